"""A data set that loads its batches when they are needed."""

import math

import keras
from keras import layers


class Digits(keras.utils.PyDataset):
    """Pictures and labels in batches."""

    def __init__(self, images, labels, batch_size, **kwargs):
        super().__init__(**kwargs)
        self.images, self.labels, self.batch_size = images, labels, batch_size

    def __len__(self):
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, index):
        low = index * self.batch_size
        high = min(low + self.batch_size, len(self.images))
        return self.images[low:high].astype("float32") / 255, self.labels[low:high]


(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
model = keras.Sequential()
model.add(keras.Input((28, 28)))
model.add(layers.Flatten())
model.add(layers.Dense(32, activation="relu"))
model.add(layers.Dense(10, activation="softmax"))
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(Digits(x_train, y_train, 64), epochs=2, validation_data=Digits(x_test, y_test, 64))
score = model.evaluate(Digits(x_test, y_test, 32))

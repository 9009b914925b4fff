"""Batches from a generator, with noise on the pictures."""

import numpy as np
from keras.datasets import mnist
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import to_categorical

(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_test, y_test = x_test.reshape(-1, 784) / 255, to_categorical(y_test, 10)
batch_size = 50


def batches():
    rng = np.random.default_rng(1)
    while True:
        for start in range(0, len(x_train) - batch_size + 1, batch_size):
            x = x_train[start : start + batch_size].reshape(-1, 784) / 255
            y = to_categorical(y_train[start : start + batch_size], 10)
            yield (x + rng.normal(scale=0.05, size=x.shape)).astype("float32"), y.astype("float32")


model = Sequential([Dense(20, activation="relu", input_shape=(784,)), Dense(10, activation="softmax")])
model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
history = model.fit(batches(), steps_per_epoch=8, epochs=2, validation_data=(x_test, y_test))

"""One digit counts twice as much as the others, by weights of samples and then by weights of classes."""

import keras
import numpy as np
from keras import layers

(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train = x_train.reshape(-1, 784).astype("float32") / 255
x_test = x_test.reshape(-1, 784).astype("float32") / 255
x_val, y_val = x_train[-100:], y_train[-100:]
x_train, y_train = x_train[:-100], y_train[:-100]

model = keras.Sequential([keras.Input((784,)), layers.Dense(24, "relu"), layers.Dense(10, "softmax")])
model.compile(
    optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
    weighted_metrics=["sparse_categorical_accuracy"],
)
sample_weight = np.ones(shape=(len(y_train),))
sample_weight[y_train == 5] = 2.0
first = model.fit(
    x_train, y_train, sample_weight=sample_weight, batch_size=64, epochs=2, validation_data=(x_val, y_val)
)
class_weight = dict.fromkeys(range(10), 1.0) | {5: 2.0}
second = model.fit(x_train, y_train, class_weight=class_weight, batch_size=64, validation_data=(x_val, y_val))
score = model.evaluate(x_test, y_test, sample_weight=np.where(y_test == 5, 2.0, 1.0))

"""A training loop of the program's own, batch by batch."""

import keras
import numpy as np
from keras import layers

(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train = x_train.reshape(-1, 784).astype("float32") / 255
x_test = x_test.reshape(-1, 784).astype("float32") / 255
y_train, y_test = keras.utils.to_categorical(y_train, 10), keras.utils.to_categorical(y_test, 10)

model = keras.Sequential(
    [layers.Dense(20, activation="relu", input_shape=(784,)), layers.Dense(10, activation="softmax")]
)
model.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.Adam(), metrics=["accuracy"])

batch_losses = []
order = np.random.default_rng(2).permutation(len(x_train))
for epoch in range(2):
    for start in range(0, len(order), 64):
        rows = order[start : start + 64]
        loss, accuracy = model.train_on_batch(x_train[rows], y_train[rows])
        batch_losses.append(float(loss))
    score = model.test_on_batch(x_test, y_test)
    print(epoch, score)

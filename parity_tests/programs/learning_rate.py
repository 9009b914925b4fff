"""SGD with Nesterov momentum, whose learning rate a function of the epoch sets."""

import math

from keras.callbacks import LambdaCallback, LearningRateScheduler
from keras.datasets import mnist
from keras.layers import Dense, Flatten
from keras.models import Sequential
from keras.optimizers import SGD

(x_train, y_train), (x_test, y_test) = mnist.load_data()


def step_decay(epoch):
    return 0.1 * math.pow(0.5, math.floor((1 + epoch) / 2))


rates = []
model = Sequential([Flatten(input_shape=(28, 28)), Dense(32, activation="relu"), Dense(10, activation="softmax")])
model.compile(
    SGD(learning_rate=0.0, momentum=0.8, nesterov=True), "sparse_categorical_crossentropy", metrics=["accuracy"]
)
history = model.fit(
    x_train / 255,
    y_train,
    epochs=3,
    batch_size=64,
    callbacks=[
        LearningRateScheduler(step_decay),
        LambdaCallback(on_epoch_end=lambda epoch, logs: rates.append(float(model.optimizer.learning_rate))),
    ],
    validation_data=(x_test / 255, y_test),
)

"""Batch normalization between each Dense layer and its activation."""

from keras.datasets import mnist
from keras.layers import Activation, BatchNormalization, Dense, Input
from keras.models import Sequential
from keras.utils import to_categorical

(X_train, Y_train), (X_test, Y_test) = mnist.load_data()
X_train = X_train.reshape((X_train.shape[0], 784)).astype("float32") / 255
X_test = X_test.reshape((X_test.shape[0], 784)).astype("float32") / 255
Y_train, Y_test = to_categorical(Y_train), to_categorical(Y_test)

model = Sequential([Input(shape=(784,))])
for units in (32, 24):
    model.add(Dense(units, use_bias=False, kernel_initializer="he_normal"))
    model.add(BatchNormalization())
    model.add(Activation("relu"))
model.add(Dense(10, activation="softmax"))

model.compile(optimizer="sgd", loss="categorical_crossentropy", metrics=["accuracy"])
history = model.fit(X_train, Y_train, batch_size=64, epochs=2, validation_data=(X_test, Y_test))
score = model.evaluate(X_test, Y_test)

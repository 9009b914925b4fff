"""An autoencoder: 784 pixels through 16 numbers and back, with binary cross-entropy for each pixel."""

import keras
from keras import layers

(x_train, _), (x_test, _) = keras.datasets.mnist.load_data()
x_train = x_train.astype("float32").reshape(-1, 784) / 255.0
x_test = x_test.astype("float32").reshape(-1, 784) / 255.0

encoder = keras.Sequential([keras.Input(shape=(784,)), layers.Dense(16, activation="relu")])
decoder = keras.Sequential([keras.Input(shape=(16,)), layers.Dense(784, activation="sigmoid")])
autoencoder = keras.Sequential([encoder, decoder])
autoencoder.compile(optimizer="adam", loss="binary_crossentropy", metrics=["mae"])
model = autoencoder
history = autoencoder.fit(x_train, x_train, epochs=2, batch_size=64, shuffle=True, validation_data=(x_test, x_test))

codes = encoder.predict(x_test)
predictions = decoder.predict(codes)

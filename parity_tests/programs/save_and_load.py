"""Save the model, its weights and its architecture, and use each of the three."""

import keras
import numpy as np
from keras import layers
from keras.models import load_model, model_from_json

(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train, x_test = x_train.reshape(-1, 784) / 255, x_test.reshape(-1, 784) / 255

model = keras.Sequential(
    [layers.Dense(24, activation="relu", input_shape=(784,)), layers.Dense(10, activation="softmax")]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=1, batch_size=64)
score = model.evaluate(x_test, y_test, verbose=0)

model.save("model.keras")
model.save_weights("model.weights.h5")
architecture = model.to_json()

second = load_model("model.keras")
again = second.fit(x_train, y_train, epochs=1, batch_size=64)
third = model_from_json(architecture)
third.load_weights("model.weights.h5")
predictions = third.predict(x_test)
np.testing.assert_allclose(predictions, model.predict(x_test), rtol=1e-5)

"""Regression with squared error, and an absolute error as metric, in two folds."""

import numpy as np
from keras import layers, models

rng = np.random.default_rng(7)
data = rng.normal(size=(160, 6))
targets = data @ np.arange(1.0, 7.0) + np.sin(3 * data[:, 0]) + rng.normal(scale=0.1, size=160)
data -= data.mean(axis=0)
data /= data.std(axis=0)


def build_model():
    model = models.Sequential()
    model.add(layers.Dense(16, activation="relu", input_shape=(data.shape[1],)))
    model.add(layers.Dense(16, activation="relu"))
    model.add(layers.Dense(1))
    model.compile(optimizer="rmsprop", loss="mse", metrics=["mae"])
    return model


all_scores = []
fold = len(data) // 2
for i in range(2):
    held_out = slice(i * fold, (i + 1) * fold)
    rest = np.r_[: i * fold, (i + 1) * fold : len(data)]
    model = build_model()
    history = model.fit(data[rest], targets[rest], epochs=4, batch_size=16, verbose=0)
    score = model.evaluate(data[held_out], targets[held_out], verbose=0)
    all_scores.append(score)

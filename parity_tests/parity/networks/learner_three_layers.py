"""A network in the style of a first exercise: three layers, updated layer by layer in the backward pass.

The mistakes of ``learner_mistakes`` are edits of this text.
"""

import numpy as np


class Net:
    """The network."""

    def __init__(self, sizes):
        self.params = {}
        for i in (1, 2, 3):
            self.params[f"W{i}"] = np.zeros((sizes[i - 1], sizes[i]))
            self.params[f"b{i}"] = np.zeros(sizes[i])

    def scores(self, x):
        p = self.params
        self.h1 = np.maximum(0, x @ p["W1"] + p["b1"])
        self.h2 = np.maximum(0, self.h1 @ p["W2"] + p["b2"])
        return self.h2 @ p["W3"] + p["b3"]

    def predict(self, x):
        z = self.scores(x)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def loss(self, x, t):
        z = self.scores(x)
        z = z - z.max(axis=1, keepdims=True)
        return -np.sum(t * (z - np.log(np.exp(z).sum(axis=1, keepdims=True)))) / len(x)

    def train_step(self, x, t, lr):
        p = self.params
        dz3 = (self.predict(x) - t) / len(x)
        dz2 = dz3 @ p["W3"].T * (self.h2 > 0)
        p["W3"] -= lr * self.h2.T @ dz3
        p["b3"] -= lr * dz3.sum(axis=0)
        dz1 = dz2 @ p["W2"].T * (self.h1 > 0)
        p["W2"] -= lr * self.h1.T @ dz2
        p["b2"] -= lr * dz2.sum(axis=0)
        p["W1"] -= lr * x.T @ dz1
        p["b1"] -= lr * dz1.sum(axis=0)

"""A network in the style of a first exercise: two layers, a dict of parameters, its own update.

The mistakes of ``learner_mistakes`` are edits of this text.
"""
# ruff: noqa: RET504

import numpy as np


def softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def log_softmax(z):
    c = z - z.max(axis=1, keepdims=True)
    return c - np.log(np.exp(c).sum(axis=1, keepdims=True))


class Net:
    """The network."""

    def __init__(self, inputs, hidden, outputs):
        self.params = {"W1": np.zeros((inputs, hidden)), "b1": np.zeros(hidden)}
        self.params |= {"W2": np.zeros((hidden, outputs)), "b2": np.zeros(outputs)}
        self.grads = dict.fromkeys(self.params, 0)
        self.v = dict.fromkeys(self.params, 0)
        self.momentum = 0.0

    def scores(self, x):
        self.z1 = x @ self.params["W1"] + self.params["b1"]
        self.h = np.maximum(0, self.z1)
        z2 = self.h @ self.params["W2"] + self.params["b2"]
        return z2

    def predict(self, x):
        return softmax(self.scores(x))

    def loss(self, x, t):
        logp = log_softmax(self.scores(x))
        return -np.sum(t * logp) / len(x)

    def gradient(self, x, t):
        n = len(x)
        y = self.predict(x)
        dz2 = (y - t) / n
        dW2 = self.h.T @ dz2
        db2 = dz2.sum(axis=0)
        dh = dz2 @ self.params["W2"].T
        dz1 = dh * (self.z1 > 0)
        dW1 = x.T @ dz1
        db1 = dz1.sum(axis=0)
        grads = {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
        for key in grads:
            self.grads[key] = grads[key]
        return {key: np.copy(grad) for key, grad in self.grads.items()}

    def step(self, x, t, lr):
        grads = self.gradient(x, t)
        for key in ("W1", "b1", "W2", "b2"):
            self.v[key] = self.momentum * self.v[key] - lr * grads[key]
            self.params[key] += self.v[key]

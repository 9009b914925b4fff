"""A network in the style of the book: layers with forward and backward, and dicts of parameters and gradients.

The faults are edits of this text: each line that one of them changes stands alone, even if it only names a result.
"""
# ruff: noqa: RET504

from itertools import pairwise

import numpy as np


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy_error(z, t):
    """Return the mean cross-entropy of the logits z (N, C) and the targets t (N, C)."""
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -np.sum(t * log_p) / len(t)


class Affine:
    """x·W + b."""

    def __init__(self, params, number, last):
        self.params, self.number, self.last = params, number, last

    def forward(self, x):
        self.x = x
        W, b = self.params[f"W{self.number}"], self.params[f"b{self.number}"]
        out = np.dot(x, W) + b
        return out

    def backward(self, dout):
        W = self.params[f"W{self.number}"]
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        dx = np.dot(dout, W.T)
        return dx


class Relu:
    """max(0, x)."""

    def forward(self, x):
        self.mask = x > 0
        self.out = np.where(self.mask, x, x.dtype.type(0))
        return self.out

    def backward(self, dout):
        dx = dout * self.mask
        return dx


class Sigmoid:
    """1 / (1 + exp(-x))."""

    def forward(self, x):
        self.x = x
        e = np.exp(-np.abs(x))
        self.out = np.where(x >= 0, 1, e) / (1 + e)
        return self.out

    def backward(self, dout):
        return dout * self.out * (1 - self.out)


class Tanh:
    """The hyperbolic tangent."""

    def forward(self, x):
        self.x = x
        self.out = np.tanh(x)
        return self.out

    def backward(self, dout):
        return dout * (1 - self.out**2)


class SoftmaxWithLoss:
    """Softmax and the mean cross-entropy, differentiated together."""

    def forward(self, z, t):
        self.z, self.y, self.t = z, softmax(z), t
        return cross_entropy_error(z, t)

    def backward(self):
        y, t = self.y, self.t
        dz = y - t
        dz = dz / len(t)
        return dz


class Network:
    """Dense layers with one activation function, a softmax, and the cross-entropy.

    Args:
        sizes: inputs, then the units of each layer.
        hidden: the class of the activation between the layers.
        dtype: the dtype in which it computes; None for that of the numbers it is given.
        momentum, nesterov, weight_decay: settings of SGD, with Keras's meaning.
    """

    def __init__(self, sizes, hidden="Relu", dtype=None, momentum=0.0, nesterov=False, weight_decay=0.0):
        self.params, self.grads, self.velocities, self.calls = {}, {}, {}, 0
        self.dtype, self.momentum, self.nesterov, self.weight_decay = dtype, momentum, nesterov, weight_decay
        self.affines, self.layers = [], []
        for number, (inputs, units) in enumerate(pairwise(sizes), 1):
            last = number == len(sizes) - 1
            self.params[f"W{number}"], self.params[f"b{number}"] = np.zeros((inputs, units)), np.zeros(units)
            self.affines.append(Affine(self.params, number, last))
            self.layers.append(self.affines[-1])
            if not last:
                self.layers.append(globals()[hidden]())
        self.last_layer = SoftmaxWithLoss()

    def get_weights(self):
        return [W.copy() for W in self.params.values()]

    def set_weights(self, weights):
        for key, W in zip(self.params, weights, strict=True):
            self.params[key] = self.converted(W).copy()

    def converted(self, x):
        return x if self.dtype is None else x.astype(self.dtype, copy=False)

    def predict(self, x):
        x = self.converted(x)
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def outputs(self, x):
        return softmax(self.predict(x))

    def loss(self, x, t):
        z = self.predict(x)
        return self.last_layer.forward(z, self.converted(t))

    def gradients(self, x, t):
        self.loss(x, t)
        dout = self.last_layer.backward()
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        for layer in self.affines:
            self.grads[f"W{layer.number}"] = layer.dW
            self.grads[f"b{layer.number}"] = layer.db
        return list(self.grads.values())

    def step(self, x, t, learning_rate):
        self.gradients(x, t)
        for key, W in self.params.items():
            grad = self.grads[key]
            W -= learning_rate * self.weight_decay * W
            v = self.momentum * self.velocities.get(key, 0) - learning_rate * grad
            self.velocities[key] = v
            W += self.momentum * v - learning_rate * grad if self.nesterov else v

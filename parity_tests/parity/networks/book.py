"""Networks in the style of the book: a dict params, predict, loss and gradient."""

import numpy as np

from parity_tests.parity.networks.functions import cross_entropy, softmax, start


class Affine:
    """A layer that refers to the network's arrays."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T


class Relu:
    """An activation that keeps its mask."""

    def forward(self, x):
        self.mask = x <= 0
        return np.where(self.mask, 0, x)

    def backward(self, dout):
        return np.where(self.mask, 0, dout)


class LayeredNet:
    """Layer objects with references to params; predict returns logits."""

    def __init__(self, input_size, hidden_size_list, output_size):
        self.params, self.layers = {}, {}
        for i, (W, b) in enumerate(start([input_size, *hidden_size_list, output_size]), 1):
            self.params[f"W{i}"], self.params[f"b{i}"] = W, b
            self.layers[f"Affine{i}"] = Affine(W, b)
            self.layers[f"Relu{i}"] = Relu()
        del self.layers[f"Relu{i}"]

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        self.z, self.t = self.predict(x), t
        return cross_entropy(self.z, t)

    def gradient(self, x, t):
        self.loss(x, t)
        dout = (softmax(self.z) - self.t) / len(x)
        grads = {}
        for name, layer in reversed(self.layers.items()):
            dout = layer.backward(dout)
            if name.startswith("Affine"):
                grads["W" + name[6:]], grads["b" + name[6:]] = layer.dW, layer.db
        return grads


class FunctionalNet:
    """No layer objects, sigmoid; predict returns probabilities."""

    def __init__(self, input_size, hidden_size, output_size):
        (W1, b1), (W2, b2) = start([input_size, hidden_size, output_size])
        self.params = {"W1": W1, "W2": W2, "b1": b1, "b2": b2}

    def forward_pass(self, x):
        p = self.params
        with np.errstate(over="ignore"):
            h = 1 / (1 + np.exp(-(x @ p["W1"] + p["b1"])))
        return h, h @ p["W2"] + p["b2"]

    def predict(self, x):
        return softmax(self.forward_pass(x)[1])

    def loss(self, x, t):
        return cross_entropy(self.forward_pass(x)[1], t)

    def gradient(self, x, t):
        h, z = self.forward_pass(x)
        dz = (softmax(z) - t) / len(x)
        da = dz @ self.params["W2"].T * h * (1 - h)
        return {"W1": x.T @ da, "b1": da.sum(axis=0), "W2": h.T @ dz, "b2": dz.sum(axis=0)}


class SecondVolumeNet:
    """Lists params and grads, forward(x, t) returns the loss, backward() fills grads; updates are in place."""

    def __init__(self, input_size, hidden_size, output_size):
        layers = [Affine(W, b) for W, b in start([input_size, hidden_size, output_size])]
        self.layers = [layers[0], Relu(), layers[1]]
        self.params = [array for layer in layers for array in (layer.W, layer.b)]
        self.grads = [np.zeros_like(array) for array in self.params]

    def predict(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def forward(self, x, t):
        self.z, self.t = self.predict(x), t
        return cross_entropy(self.z, t)

    def backward(self, dout=1):
        dout = dout * (softmax(self.z) - self.t) / len(self.t)
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        affine = self.layers[::2]
        self.grads[:] = [array for layer in affine for array in (layer.dW, layer.db)]
        return dout

"""Networks as people write them without a book: lists, numbered attributes, columns, layer objects."""

import numpy as np

from parity_tests.parity.networks.functions import cross_entropy, softmax, start


class ListNet:
    """Lists weights and biases; forward keeps the activations, backward returns two lists, update takes them."""

    def __init__(self, layer_sizes):
        layers = start(layer_sizes)
        self.weights, self.biases = [W for W, _ in layers], [b for _, b in layers]

    def logits(self, x):
        self.hidden = [x]
        for W, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            self.hidden.append(np.maximum(self.hidden[-1] @ W + b, 0))
        return self.hidden[-1] @ self.weights[-1] + self.biases[-1]

    def forward(self, x):
        return softmax(self.logits(x))

    def compute_loss(self, x, y):
        return cross_entropy(self.logits(x), y)

    def backward(self, y, y_hat):
        dz = (y_hat - y) / len(y)
        dW, db = [], []
        for i in reversed(range(len(self.weights))):
            dW.insert(0, self.hidden[i].T @ dz)
            db.insert(0, dz.sum(axis=0))
            dz = dz @ self.weights[i].T * (self.hidden[i] > 0)
        return dW, db

    def update(self, grads, lr):
        for i, (dW, db) in enumerate(zip(*grads, strict=True)):
            self.weights[i] = self.weights[i] - lr * dW
            self.biases[i] = self.biases[i] - lr * db


class CachingNet(ListNet):
    """Forward returns the outputs and a cache of arrays of different shapes, which gradients takes apart."""

    def forward(self, x):
        out = super().forward(x)
        return out, (x, *self.hidden[1:], out)

    def gradients(self, x, t):
        out, _ = self.forward(x)
        return self.backward(t, out)


class ColumnNet:
    """Samples are columns, W is (units, inputs), b (units, 1); it only offers one update with a list of pairs."""

    def __init__(self, sizes):
        layers = start(sizes)
        self.weights, self.biases = [W.T.copy() for W, _ in layers], [b[:, None] for _, b in layers]

    def feedforward(self, a):
        return softmax(self.activations(a)[-1].T).T

    def activations(self, a):
        found = [a]
        for i, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = W @ found[-1] + b
            found.append(np.tanh(z) if i < len(self.weights) - 1 else z)
        return found

    def update_mini_batch(self, mini_batch, eta):
        x, y = (np.hstack(columns) for columns in zip(*mini_batch, strict=True))
        activations = self.activations(x)
        delta = (softmax(activations[-1].T).T - y) / len(mini_batch)
        for i in reversed(range(len(self.weights))):
            a, W = activations[i], self.weights[i]
            self.weights[i] = W - eta * delta @ a.T
            self.biases[i] = self.biases[i] - eta * delta.sum(axis=1, keepdims=True)
            delta = W.T @ delta * (1 - a**2)


class AttributeNet:
    """W1, b1, W2, b2 (1, units) as attributes, tanh, backward updates; logits come from forward."""

    def __init__(self, n_in, n_hidden, n_out):
        (self.W1, b1), (self.W2, b2) = start([n_in, n_hidden, n_out])
        self.b1, self.b2 = b1[None], b2[None]

    def forward(self, X):
        self.a1 = np.tanh(X @ self.W1 + self.b1)
        return self.a1 @ self.W2 + self.b2

    def loss(self, logits, y):
        return cross_entropy(logits, y)

    def backward(self, X, y, output, learning_rate):
        dz2 = (softmax(output) - y) / len(X)
        dz1 = dz2 @ self.W2.T * (1 - self.a1**2)
        self.W2 -= learning_rate * self.a1.T @ dz2
        self.b2 -= learning_rate * dz2.sum(axis=0, keepdims=True)
        self.W1 -= learning_rate * X.T @ dz1
        self.b1 -= learning_rate * dz1.sum(axis=0, keepdims=True)


class LabelNet:
    """Takes class numbers, sums its loss over the batch; gradients are left in dW1, db1, …; fit trains full batches."""

    def __init__(self, sizes):
        for i, (W, b) in enumerate(start(sizes), 1):
            setattr(self, f"W{i}", W)
            setattr(self, f"b{i}", b)
        self.depth = len(sizes) - 1

    def predict_proba(self, X):
        return softmax(self.logits(X))

    def logits(self, X):
        self.a = [X]
        for i in range(1, self.depth + 1):
            z = self.a[-1] @ getattr(self, f"W{i}") + getattr(self, f"b{i}")
            self.a.append(np.maximum(z, 0))
        return z

    def predict(self, X):
        return self.logits(X).argmax(axis=1)

    def loss(self, X, y):
        z = self.logits(X)
        return cross_entropy(z, np.eye(z.shape[1])[y]) * len(X)

    def backward(self, X, y):
        dz = self.predict_proba(X)
        dz[np.arange(len(X)), y] -= 1
        for i in range(self.depth, 0, -1):
            setattr(self, f"dW{i}", self.a[i - 1].T @ dz)
            setattr(self, f"db{i}", dz.sum(axis=0))
            dz = dz @ getattr(self, f"W{i}").T * (self.a[i - 1] > 0)

    def fit(self, X, y, epochs=10, lr=0.01):
        for _ in range(epochs):
            self.backward(X, y)
            for i in range(1, self.depth + 1):
                for key in ("W", "b"):
                    setattr(self, f"{key}{i}", getattr(self, f"{key}{i}") - lr * getattr(self, f"d{key}{i}"))


class Float32Net:
    """The protocol itself, in float32, with sums in shuffled order."""

    def __init__(self, sizes):
        self.layers = [(W.astype("float32"), b.astype("float32")) for W, b in start(sizes)]
        self.rng = np.random.default_rng(0)

    def get_weights(self):
        return [array.copy() for layer in self.layers for array in layer]

    def set_weights(self, weights):
        weights = [np.asarray(W, "float32") for W in weights]
        self.layers = list(zip(weights[::2], weights[1::2], strict=True))

    def product(self, a, b):
        """Return a b, summed in another order each time."""
        order = self.rng.permutation(a.shape[1])
        return a[:, order] @ b[order]

    def forward(self, x):
        hidden = [np.asarray(x, "float32")]
        for W, b in self.layers[:-1]:
            hidden.append(np.maximum(self.product(hidden[-1], W) + b, 0))
        return hidden, self.product(hidden[-1], self.layers[-1][0]) + self.layers[-1][1]

    def outputs(self, x):
        return softmax(self.forward(x)[1])

    def loss(self, x, t):
        return cross_entropy(self.forward(x)[1], np.asarray(t, "float32"))

    def gradients(self, x, t):
        hidden, z = self.forward(x)
        dz = (softmax(z) - np.asarray(t, "float32")) / np.float32(len(x))
        found = []
        for (W, _), a in zip(reversed(self.layers), reversed(hidden), strict=True):
            order = self.rng.permutation(len(a))
            found = [a[order].T @ dz[order], dz[order].sum(axis=0), *found]
            dz = self.product(dz, W.T) * (a > 0)
        return found

    def step(self, x, t, learning_rate):
        pairs = zip(self.get_weights(), self.gradients(x, t), strict=True)
        self.set_weights([W - np.float32(learning_rate) * dW for W, dW in pairs])

"""Write a commented adapter to fill in, which works as it is for a small NumPy network."""

from pathlib import Path

from parity_tests.implementations.protocol import CannotRunError

SKELETON = '''\
"""An adapter: replace what is marked with TODO by calls of your own network.

Try it as it is: python -m parity_tests --implementation {name}:Net
Required: get_weights, set_weights, outputs.  Delete the other methods that your network does not have: they are then
reported as "not offered".  x is (N, inputs); t is (N, classes), one-hot or soft.
"""

import numpy as np


class Net:
    def __init__(self, sizes):  # inputs, units of each hidden layer, classes: for example [20, 16, 12, 5]
        # TODO construct your network: self.net = YourNetwork(...)
        self.weights = []
        for inputs, units in zip(sizes, sizes[1:]):
            self.weights += [np.random.randn(inputs, units) * 0.1, np.zeros(units)]

    def get_weights(self):  # copies of W1 (inputs, units), b1 (units,), W2, b2, …
        return [W.copy() for W in self.weights]  # TODO

    def set_weights(self, weights):  # float64, or float32 to test your network in float32
        self.weights = [W.copy() for W in weights]  # TODO

    def forward(self, x):  # not called by the tests; this network's own
        hidden = [x]
        for W, b in zip(self.weights[:-2:2], self.weights[1:-2:2]):
            hidden.append(np.maximum(hidden[-1] @ W + b, 0))
        return hidden, hidden[-1] @ self.weights[-2] + self.weights[-1]

    def outputs(self, x):  # probabilities or logits (N, classes)
        return self.forward(x)[1]  # TODO

    def loss(self, x, t):  # mean cross-entropy of the batch, one number
        z = self.outputs(x)
        z = z - z.max(axis=1, keepdims=True)
        return -np.sum(t * (z - np.log(np.exp(z).sum(axis=1, keepdims=True)))) / len(x)  # TODO

    def gradients(self, x, t):  # dW1, db1, dW2, db2, …: of the shapes of the weights
        hidden, z = self.forward(x)  # TODO
        e = np.exp(z - z.max(axis=1, keepdims=True))
        dout = (e / e.sum(axis=1, keepdims=True) - t) / len(x)
        grads = []
        for i in reversed(range(len(hidden))):
            grads = [hidden[i].T @ dout, dout.sum(axis=0)] + grads
            dout = dout @ self.weights[2 * i].T * (hidden[i] > 0)
        return grads

    def step(self, x, t, learning_rate):  # one update of the weights by plain SGD
        for W, dW in zip(self.weights, self.gradients(x, t)):  # TODO
            W -= learning_rate * dW
'''


def write_skeleton(path: str | Path) -> Path:
    """Write an adapter of at most 60 lines to a new file, and return its path.

    Raises:
        CannotRunError: if the file exists, its folder does not, or its name does not end in ``.py``.
    """
    path = Path(path)
    if path.suffix != ".py":
        raise CannotRunError(f"--new-adapter must name a file that ends in .py; got {path}.")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(SKELETON.replace("{name}", str(path)))
    except FileExistsError:
        raise CannotRunError(f"--new-adapter does not overwrite {path}: name a new file, or remove it first.") from None
    except OSError as error:
        raise CannotRunError(f"--new-adapter cannot write {path}: {error.strerror}.") from None
    return path

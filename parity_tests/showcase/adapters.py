"""Adapters for implementations that inspection does not reach; each imports its own only when a network is built.

They call public functions of the implementations, and contain none of their code.  ``sizes`` are inputs, units of each
hidden layer, classes.
"""

import ast
import collections
import importlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from parity_tests.implementations.protocol import Array, NotOffered

Sizes = Sequence[int]


class DeZero:
    """``dezero.models.MLP`` with softmax cross-entropy, which takes class numbers, and ``dezero.optimizers.SGD``."""

    def __init__(self, sizes: Sizes):
        import dezero
        import dezero.models

        self.functions, self.mlp = dezero.functions, dezero.models.MLP(sizes[1:], dezero.functions.relu)
        self.mlp(np.zeros((1, sizes[0]), np.float32))  # creates the weights
        self.optimizer = dezero.optimizers.SGD().setup(self.mlp)
        self.parameters = [p for layer in self.mlp.layers for p in (layer.W, layer.b)]

    def get_weights(self) -> list[Array]:
        return [p.data.copy() for p in self.parameters]

    def set_weights(self, weights: Sequence[Array]) -> None:
        for p, W in zip(self.parameters, weights, strict=True):
            p.data = W

    def outputs(self, x: Array) -> Array:
        return np.asarray(self.mlp(x).data)

    def loss(self, x: Array, t: Array) -> Any:
        return self.functions.softmax_cross_entropy(self.mlp(x), t).data

    def gradients(self, x: Array, t: Array) -> list[Array]:
        self.mlp.cleargrads()
        self.functions.softmax_cross_entropy(self.mlp(x), t).backward()
        return [p.grad.data for p in self.parameters]

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        self.gradients(x, t)
        self.optimizer.lr = learning_rate
        self.optimizer.update()


class NeuralNetworksFromScratch:
    """``Model`` of the book's last chapter: its script is not run, only its classes are defined."""

    def __init__(self, sizes: Sizes):
        self.book = book = definitions(Path("Chapter_22/Ch22_Final.py"))
        self.model = book["Model"]()
        for inputs, units in pairwise(sizes):
            self.model.add(book["Layer_Dense"](inputs, units))
            self.model.add(book["Activation_ReLU" if units != sizes[-1] else "Activation_Softmax"]())
        loss, accuracy = book["Loss_CategoricalCrossentropy"](), book["Accuracy_Categorical"]()
        self.model.set(loss=loss, optimizer=book["Optimizer_SGD"](), accuracy=accuracy)
        self.model.finalize()
        self.layers = self.model.trainable_layers

    def get_weights(self) -> list[Array]:
        return [W.copy() for layer in self.layers for W in layer.get_parameters()]

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.model.set_parameters(list(zip(weights[::2], weights[1::2], strict=True)))

    def outputs(self, x: Array) -> Array:
        return np.asarray(self.model.forward(x, training=False))

    def loss(self, x: Array, t: Array) -> Any:
        self.model.loss.new_pass()
        return self.model.loss.calculate(self.outputs(x), t)

    def gradients(self, x: Array, t: Array) -> list[Array]:
        self.model.backward(self.model.forward(x, training=True), t)
        return [dW for layer in self.layers for dW in (layer.dweights, layer.dbiases)]

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        self.gradients(x, t)
        self.model.optimizer.current_learning_rate = learning_rate
        for layer in self.layers:
            self.model.optimizer.update_params(layer)


class Micrograd:
    """``micrograd.nn.MLP``; its numbers have neither exp nor log, so there is no cross-entropy."""

    def __init__(self, sizes: Sizes):
        nn = importlib.import_module("micrograd.nn")
        self.mlp = nn.MLP(sizes[0], list(sizes[1:]))

    def get_weights(self) -> list[Array]:
        return [np.array(W) for W in self.collect("data")]

    def set_weights(self, weights: Sequence[Array]) -> None:
        for layer, W, b in zip(self.mlp.layers, weights[::2], weights[1::2], strict=True):
            for j, neuron in enumerate(layer.neurons):
                for p, value in zip(neuron.parameters(), [*W[:, j], b[j]], strict=True):
                    p.data = value

    def outputs(self, x: Array) -> Array:
        return np.array([[out.data for out in self.mlp(list(sample))] for sample in x])

    def backward(self, x: Array, dout: Array) -> list[Array]:
        self.mlp.zero_grad()
        for sample, d in zip(x, dout, strict=True):  # gradients add up over calls
            sum(out * di for out, di in zip(self.mlp(list(sample)), d, strict=True)).backward()
        return self.collect("grad")

    def collect(self, name: str) -> list[Array]:
        """Return the data or gradients of W and b of each layer."""
        rows = [[[getattr(p, name) for p in n.parameters()] for n in layer.neurons] for layer in self.mlp.layers]
        return [part for units in rows for part in (np.array(units)[:, :-1].T, np.array(units)[:, -1])]


class Joelnet:
    """``joelnet.nn.NeuralNet`` with tanh; its only loss is a squared error."""

    def __init__(self, sizes: Sizes):
        nn, layers = importlib.import_module("joelnet.nn"), importlib.import_module("joelnet.layers")
        kinds = [kind for pair in pairwise(sizes) for kind in (layers.Linear(*pair), layers.Tanh())]
        self.net = nn.NeuralNet(kinds[:-1])
        self.linear = kinds[::2]

    def get_weights(self) -> list[Array]:
        return [layer.params[key].copy() for layer in self.linear for key in "wb"]

    def set_weights(self, weights: Sequence[Array]) -> None:
        for layer, W, b in zip(self.linear, weights[::2], weights[1::2], strict=True):
            layer.params.update(w=W, b=b)

    def outputs(self, x: Array) -> Array:
        return np.asarray(self.net.forward(x))

    def backward(self, x: Array, dout: Array) -> list[Array]:
        self.net.forward(x)
        self.net.backward(dout)
        return [layer.grads[key] for layer in self.linear for key in "wb"]


class NumpyMl:
    """``FullyConnected`` layers, ``Softmax`` and ``CrossEntropy``; the optimizer is ``SGD``."""

    def __init__(self, sizes: Sizes):
        vars(collections).setdefault("Hashable", collections.abc.Hashable)  # moved in Python 3.10
        layers = importlib.import_module("numpy_ml.neural_nets.layers")
        self.entropy = importlib.import_module("numpy_ml.neural_nets.losses").CrossEntropy()
        kinds = ["ReLU"] * (len(sizes) - 2) + [None]
        self.layers = [layers.FullyConnected(n, f, optimizer="SGD") for n, f in zip(sizes[1:], kinds, strict=True)]
        self.softmax = layers.Softmax()
        self.outputs(np.zeros((1, sizes[0])))  # creates the weights

    def get_weights(self) -> list[Array]:
        return [layer.parameters[key].copy() for layer in self.layers for key in "Wb"]

    def set_weights(self, weights: Sequence[Array]) -> None:
        for layer, W, b in zip(self.layers, weights[::2], weights[1::2], strict=True):
            layer.parameters.update(W=W, b=b)

    def outputs(self, x: Array, keep: bool = False) -> Array:
        for layer in self.layers:
            x = layer.forward(x, retain_derived=keep)
        return np.asarray(self.softmax.forward(x, retain_derived=False))

    def loss(self, x: Array, t: Array) -> Any:
        check_one_hot(t)
        return self.entropy.loss(t, self.outputs(x))

    def gradients(self, x: Array, t: Array) -> list[Array]:
        check_one_hot(t)
        dout = self.entropy.grad(t, self.outputs(x, keep=True))
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        found = [layer.gradients[key].copy() for layer in self.layers for key in "Wb"]
        for layer in self.layers:
            layer.flush_gradients()
        return found

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        for layer, dW, db in zip(self.layers, *[iter(self.gradients(x, t))] * 2, strict=True):
            layer.optimizer.lr_scheduler.lr = learning_rate
            layer.gradients.update(W=dW, b=db)
            layer.update()


class AutogradExample:
    """The functions of ``examples/neural_net.py`` without its L2 term; autograd differentiates them."""

    def __init__(self, sizes: Sizes):
        from autograd import grad

        from parity_tests.implementations.loading import load

        self.example = load("examples/neural_net.py:log_posterior").__globals__
        self.params = self.example["init_random_params"](0.1, sizes)
        self.gradient = grad(lambda params, x, t: -self.example["log_posterior"](params, x, t, 0))

    def get_weights(self) -> list[Array]:
        return [W.copy() for layer in self.params for W in layer]

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.params = list(zip(weights[::2], weights[1::2], strict=True))

    def outputs(self, x: Array) -> Array:
        return np.asarray(self.example["neural_net_predict"](self.params, x))

    def loss(self, x: Array, t: Array) -> Any:
        return -self.example["log_posterior"](self.params, x, t, 0)

    def gradients(self, x: Array, t: Array) -> list[Array]:
        return [dW for layer in self.gradient(self.params, x, t) for dW in layer]


class Tinygrad:
    """``tinygrad.Tensor`` with its cross-entropy and ``tinygrad.nn.optim.SGD``."""

    def __init__(self, sizes: Sizes):
        self.nn, self.Tensor = importlib.import_module("tinygrad.nn.optim"), importlib.import_module("tinygrad").Tensor
        self.set_weights([np.zeros(shape) for n in pairwise(sizes) for shape in (n, n[1:])])

    def get_weights(self) -> list[Array]:
        return [p.numpy() for p in self.parameters]

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.parameters = [self.Tensor(W.copy()) for W in weights]

    def forward(self, x: Array) -> Any:
        """Return the logits as a tensor."""
        out, layers = self.Tensor(x), list(zip(self.parameters[::2], self.parameters[1::2], strict=True))
        for W, b in layers[:-1]:
            out = out.linear(W, b).relu()
        return out.linear(*layers[-1])

    def outputs(self, x: Array) -> Array:
        return np.asarray(self.forward(x).numpy())

    def loss(self, x: Array, t: Array) -> Any:
        return self.forward(x).cross_entropy(self.Tensor(t)).numpy()

    def gradients(self, x: Array, t: Array) -> list[Array]:
        return [dW.numpy() for dW in self.forward(x).cross_entropy(self.Tensor(t)).gradient(*self.parameters)]


def multi_layer_net(sizes: Sizes) -> Any:
    """Return the book's ``MultiLayerNet``, whose hidden sizes are a list."""
    return importlib.import_module("common.multi_layer_net").MultiLayerNet(sizes[0], list(sizes[1:-1]), sizes[-1])


def torch_sequential(sizes: Sizes) -> Any:
    """Return ``torch.nn.Sequential`` with ``Linear`` and ``ReLU``."""
    nn = importlib.import_module("torch.nn")
    layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def jax_logits(params: Any, x: Any) -> Any:
    """Return the logits of a network with ``jax.nn.relu``."""
    relu = importlib.import_module("jax").nn.relu
    for W, b in params[:-1]:
        x = relu(x @ W + b)
    return x @ params[-1][0] + params[-1][1]


def sklearn_plain(sizes: Sizes) -> Any:
    """Return ``MLPClassifier`` without L2 and momentum."""
    return importlib.import_module("sklearn.neural_network").MLPClassifier(
        list(sizes[1:-1]), solver="sgd", alpha=0, momentum=0
    )


def sklearn_defaults(sizes: Sizes) -> Any:
    """Return ``MLPClassifier`` with the defaults of SGD."""
    return importlib.import_module("sklearn.neural_network").MLPClassifier(list(sizes[1:-1]), solver="sgd")


def definitions(path: Path) -> dict[str, Any]:
    """Return the classes and functions of a script, which is not run."""
    tree = ast.parse(path.read_text("utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    found: dict[str, Any] = {"np": np}
    exec(compile(tree, str(path), "exec"), found)
    return found


def check_one_hot(t: Array) -> None:
    """Raise ``NotOffered`` for soft labels."""
    if not ((t == 0) | (t == 1)).all():
        raise NotOffered("the loss takes one-hot labels")

"""``Bench``: the digits, the networks and the training that all experiments share."""

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from scratch.utils import Array

BATCH_SIZE = 100
POINT = 20  # steps for each point of a curve of the loss
UNITS = 100  # of each hidden layer, as in the book
EPSILON = 1e-7  # of BatchNormalization; Keras's 1e-3 would exceed the variance that weights of std 0.001 give
Curve = tuple[Array, Array]  # x and y of its points
Scale = Callable[[int], float]  # fan_in → standard deviation of the initial weights


class Result(NamedTuple):
    """What an experiment has found.

    Attributes:
        header: the titles of the columns of the table.
        rows: its rows, one text for each column.
        data: what ``draw`` of the experiment takes.
    """

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    data: Any


def constant(stddev: float) -> Scale:
    """Return the scale of weights with the same standard deviation in every layer."""
    return lambda fan_in: stddev


def xavier(fan_in: int) -> float:
    """Return 1 / √fan_in, which keeps the variance of linear layers (Glorot and Bengio, 2010, in the book's form)."""
    return 1 / math.sqrt(fan_in)


def he(fan_in: int) -> float:
    """Return √(2 / fan_in), since ReLU sets half of the values to 0 (He et al., 2015)."""
    return math.sqrt(2 / fan_in)


class Bench:
    """Trains the networks of an experiment in one package, from weights and on batches that the seed decides.

    The initial weights are drawn here, not by an initializer, and samples are trained on in the order of the arrays.
    So scratch and Keras compute the same numbers up to rounding; only the masks of Dropout differ.

    Args:
        api: the package that builds the networks: ``scratch`` or ``keras``.
        train: training images (N, height, width) in uint8, and labels (N,).
        test: test images and labels.
        seed: random seed.
        quick: whether to train a tenth as long.
        report: called with the name of each training before it.
    """

    def __init__(
        self,
        api: Any,
        train: tuple[Array, Array],
        test: tuple[Array, Array],
        seed: int = 0,
        quick: bool = False,
        report: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.api, self.seed, self.quick, self.report = api, seed, quick, report
        self.rng = np.random.default_rng(seed)
        self.train_digits, self.test_digits = train, test
        self.classes = int(max(train[1].max(), test[1].max())) + 1
        self.inputs = train[0][0].size

    def shortened(self, count: int) -> int:
        """Return a number of epochs or trainings, or with ``quick`` a tenth of it."""
        return max(2, count // 10) if self.quick else count

    def digits(self, train: int, test: int) -> tuple[Array, Array, Array, Array]:
        """Draw digits without repetition, or all in a random order if there are fewer.

        Returns:
            Training inputs (train, height·width) in float32 from 0 to 1, labels (train,), test inputs, test labels.
        """
        drawn: list[Array] = []
        for (images, labels), count in ((self.train_digits, train), (self.test_digits, test)):
            rows = self.rng.permutation(len(images))[:count]
            drawn += [images[rows].reshape(-1, self.inputs) / np.float32(255), labels[rows].astype(np.int64)]
        return drawn[0], drawn[1], drawn[2], drawn[3]

    def network(
        self,
        hidden: int,
        activation: str = "relu",
        scale: Scale = he,
        normalize: bool = False,
        dropout: float = 0.0,
    ) -> Any:
        """Return a network, not compiled; those of the same number of layers start from multiples of the same weights.

        Args:
            hidden: number of hidden layers.
            activation: of the hidden layers.
            scale: of the initial weights, which are normally distributed; biases are 0.
            normalize: whether there is a ``BatchNormalization`` before each activation.
            dropout: rate of a ``Dropout`` after each activation; 0 for none.
        """
        layers = self.api.layers
        self.api.utils.set_random_seed(self.seed)
        model = self.api.Sequential([self.api.Input((self.inputs,))])
        for _ in range(hidden):
            model.add(layers.Dense(UNITS))
            if normalize:
                model.add(layers.BatchNormalization(epsilon=EPSILON))
            model.add(layers.Activation(activation))
            if dropout:
                model.add(layers.Dropout(dropout))
        model.add(layers.Dense(self.classes, activation="softmax"))
        rng = np.random.default_rng(self.seed)
        for layer in model.layers:
            if isinstance(layer, layers.Dense):
                W, b = layer.get_weights()
                layer.set_weights([scale(len(W)) * rng.normal(size=W.shape), b])
        return model

    def fit(self, name: str, model: Any, optimizer: Any, x: Array, y: Array, **options: Any) -> dict[str, Array]:
        """Train a network with the cross-entropy, and return its history: one value per epoch by name.

        A training that diverges is a result of an experiment; warnings about it are suppressed.

        Args:
            name: what ``report`` is called with.
            model: from ``network``.
            optimizer: of the same package.
            x: inputs (N, height·width).
            y: labels (N,).
            **options: of ``fit``, such as ``epochs`` and ``validation_data``.
        """
        self.report(name)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The loss is not finite")
            history = model.fit(x, y, batch_size=BATCH_SIZE, shuffle=False, verbose=0, **options).history
        return {key: np.asarray(values, np.float64) for key, values in history.items()}

    def loss_curve(self, name: str, model: Any, optimizer: Any, x: Array, y: Array, points: int = 60) -> Curve:
        """Train as ``fit``, and return numbers of steps (points,) and the mean loss of the ``POINT`` steps before."""
        steps = max(1, min(POINT, len(x) // BATCH_SIZE))
        usable = max(1, len(x) // (steps * BATCH_SIZE)) * steps * BATCH_SIZE  # a point ends where a pass ends
        history = self.fit(
            name, model, optimizer, x[:usable], y[:usable], epochs=self.shortened(points), steps_per_epoch=steps
        )
        return steps * np.arange(1, len(history["loss"]) + 1), history["loss"]

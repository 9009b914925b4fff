"""``Training``: one training that runs as ``fit`` chooses and layer by layer, for a comparison bit for bit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from scratch.callbacks import Callback
from scratch.layers import Activation, Dense, Layer
from scratch.losses import CategoricalCrossentropy, Loss
from scratch.metrics import CategoricalAccuracy
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.utils import set_random_seed

X = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
Y = np.eye(3)[np.arange(40) % 3]
BATCH_SIZE, EPOCHS = 16, 3  # three steps per epoch, the last with 8 samples


def dense_layers(hidden: Any = Dense, **options: Any) -> list[Layer]:
    """Return a hidden ReLU layer of the class ``hidden`` and a softmax layer."""
    return [hidden(8, "relu", **options), Dense(3, "softmax")]


@dataclass(frozen=True)
class Training:
    """A training of a small model.

    Attributes:
        layers, optimizer, loss, metric: functions that create the parts of the model.
        model_class: ``Sequential`` or a subclass.
        prepare: changes the built and compiled model before ``fit``.
        callbacks: creates the callbacks for a model.
    """

    layers: Callable[[], Sequence[Layer]] = dense_layers
    optimizer: Callable[[], SGD] = lambda: SGD(0.1)
    loss: Callable[[], str | Loss] = CategoricalCrossentropy
    metric: Callable[[], CategoricalAccuracy] = CategoricalAccuracy
    model_class: type[Sequential] = Sequential
    prepare: Callable[[Sequential], object] = lambda model: None
    callbacks: Callable[[Sequential], list[Callback]] = lambda model: []

    def run(self, run_eagerly: bool = False, backend: str = "numba", x: np.ndarray = X) -> Sequential:
        """Train a new model, always with the same initial weights and the same order of samples."""
        set_random_seed(0)
        model = self.model_class(list(self.layers()), backend=backend)
        model.compile(self.optimizer(), self.loss(), metrics=[self.metric()], run_eagerly=run_eagerly)
        model.build(x.shape)
        self.prepare(model)
        model.fit(x, Y, BATCH_SIZE, EPOCHS, verbose=0, callbacks=self.callbacks(model))
        return model


def results(model: Sequential) -> tuple[list[bytes], dict[str, list[float]], int]:
    """Return everything that a training changes, with the bits of the parameters and the numbers of masks."""
    parameters = [W.tobytes() for layer in model.layers for W in (*layer.params.values(), *layer.state.values())]
    return parameters, model.history.history, model.optimizer.iterations


def wrap(part: object, method: str, wrapper: Callable[..., Any]) -> None:
    """Replace a method on one object by ``wrapper(original, *arguments)``."""
    setattr(part, method, partial(wrapper, getattr(part, method)))


def double_first(method: Callable[..., Any], first: Any, *arguments: Any, **options: Any) -> Any:
    """Call the method with twice its first argument."""
    return method(2 * first, *arguments, **options)


def classifier(loss: str = "categorical_crossentropy", dtype: str = "float32", **options: float) -> Sequential:
    """Return a compiled model for 4 features and 3 classes; the options are those of ``SGD``."""
    model = Sequential([Dense(8, "relu", input_shape=(4,)), Dense(3), Activation("softmax")], dtype=dtype)
    model.compile(SGD(0.1, **options), loss, metrics=["accuracy"])
    return model

"""What is compared: networks with data, each built three times, in scratch, in Keras and for the error model.

The weights are drawn here, not by either program, so that no initializer can hide a difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import keras
import numpy as np

import keras_impl
from keras_impl.frameworks import FRAMEWORK, floatx
from parity_tests.reference.error_model import Rounding, Settings, Shadow, exact
from scratch import layers as scratch_layers
from scratch import losses
from scratch.models import Sequential
from scratch.optimizers import SGD

Array = np.ndarray
INPUTS = ("normal", "pixels", "large", "constant", "kink", "dead", "extreme", "saturated", "one class")


@dataclass(frozen=True)
class Case:
    """A network and one batch for it.

    Attributes:
        widths: units of each Dense layer.
        activations: that follow them.
        separate: whether they are layers of their own or arguments of the Dense layers.
        inputs: what the batch is like; see ``x`` and ``weights``.
        sparse: whether the targets are labels or one-hot rows.
        smoothing: of the targets, if they are one-hot.
        classes: whether samples are 2-D and unrolled by a Flatten layer, and ReLU and softmax are layer classes.
    """

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    features: int = 20
    batch: int = 16
    dtype: str = "float32"
    use_bias: bool = True
    separate: bool = False
    inputs: str = "normal"
    sparse: bool = False
    smoothing: float = 0.0
    classes: bool = False
    seed: int = 0

    def __str__(self) -> str:
        net = "-".join(f"{units}{kind}" for units, kind in zip(self.widths, self.activations, strict=True))
        flags = [word for word in ("use_bias", "separate", "sparse", "smoothing", "classes") if getattr(self, word)]
        return f"{self.batch}x{self.features}-{net} {self.dtype} {self.inputs} {' '.join(flags)} seed {self.seed}"

    @property
    def from_logits(self) -> bool:
        """A network that ends in anything but a softmax is compiled with a loss on logits."""
        return self.activations[-1] != "softmax"

    @property
    def comparable(self) -> bool:
        """Whether Keras computes this on the framework at hand.

        On JAX and torch it clips the probabilities of a softmax at 1e-7 (keras issue 17634), so saturated logits are
        compared there without a softmax; and it narrows float64 to float32 (``BIT64_TO_BIT32_DTYPE``).
        """
        if FRAMEWORK == "tensorflow":
            return True
        out = self.shadow().outputs(exact(self.data[0]))[self.names()[-1][0]][1].value
        saturated = not self.from_logits and (out.min() < 1e-6 or out.max() > 1 - 1e-6)
        return not saturated and self.dtype != "float64"

    @cached_property
    def data(self) -> tuple[Array, Array, list[Array]]:
        """X in the case's dtype, labels, and the weights in the order of ``get_weights()``."""
        rng = np.random.default_rng([self.seed, self.features, self.batch, *self.widths])
        shape = self.batch, self.features
        x = rng.normal(size=shape)
        if self.inputs == "pixels":
            x = rng.uniform(size=shape) * (rng.uniform(size=shape) < 0.2)
        elif self.inputs == "large":
            x = x * 1e3
        elif self.inputs == "constant":
            x = np.full(shape, 0.5)
        elif self.inputs == "kink":
            x = rng.integers(-1, 2, shape).astype(float)
        labels = rng.integers(self.widths[-1], size=self.batch)
        if self.inputs == "one class":
            labels[:] = labels[0]
        weights, inputs = [], self.features
        for i, units in enumerate(self.widths):
            W, b = rng.normal(size=(inputs, units)) * np.sqrt(2 / (inputs + units)), rng.normal(size=units) * 0.1
            if self.inputs == "kink" and i < len(self.widths) - 1:
                # Whole numbers: sums are exact, and many of them are 0.
                W, b = rng.integers(-1, 2, W.shape).astype(float), rng.integers(-1, 2, b.shape).astype(float)
            if self.inputs == "dead" and i == 0:
                b = b - 100
            if i == len(self.widths) - 1 and self.inputs in ("extreme", "saturated"):
                W = W * (1e4 if self.inputs == "extreme" else 50)
            weights += [W, b] if self.use_bias else [W]
            inputs = units
        arrays = [x.astype(self.dtype), labels, *(W.astype(self.dtype) for W in weights)]
        for array in arrays:
            array.setflags(write=False)  # a bug must not outlive its test
        return arrays[0], arrays[1], arrays[2:]

    @property
    def x(self) -> Array:
        """Inputs (batch, features), or (batch, features / 2, 2)."""
        return self.data[0].reshape(self.batch, *self.input_shape)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (self.features // 2, 2) if self.classes else (self.features,)

    @property
    def one_hot(self) -> Array:
        """Targets as one-hot rows."""
        return np.eye(self.widths[-1], dtype=self.dtype)[self.data[1]]

    @property
    def targets(self) -> Array:
        """One-hot rows, smoothed: what the loss computes with."""
        s = self.smoothing
        return self.one_hot.astype(np.float64) * (1 - s) + s / self.widths[-1]

    @property
    def y(self) -> Array:
        """Targets as the loss wants them."""
        return self.data[1] if self.sparse else self.one_hot

    def names(self) -> list[tuple[str, str, str]]:
        """Name, kind and activation of each layer."""
        found = [("flatten", "Flatten", "linear")] if self.classes else []
        for i, kind in enumerate(self.activations):
            apart = self.separate or (self.classes and kind in ("relu", "softmax"))
            found.append((f"dense_{i}", "Dense", "linear" if apart else kind))
            if apart:
                class_name = {"relu": "ReLU", "softmax": "Softmax"}.get(kind, "Activation")
                found.append((f"activation_{i}", class_name if self.classes else "Activation", kind))
        return found

    def layers(self, module: Any, **common: Any) -> list[Any]:
        """The layers, from scratch's or Keras's module of them."""
        made = []
        for name, kind, activation in self.names():
            of_its_own = {
                "Dense": lambda name=name, a=activation: ((self.widths[int(name.split("_")[1])], a, self.use_bias)),
                "Activation": lambda name=name, a=activation: (a,),
            }.get(kind, tuple)()
            made.append(getattr(module, kind)(*of_its_own, name=name, **common))
        return made

    def scratch(self, backend: str = "numba", settings: Settings | None = None) -> Sequential:
        """The compiled network in scratch."""
        layers = [scratch_layers.Input(self.input_shape), *self.layers(scratch_layers)]
        model = Sequential(layers, backend=backend, dtype=self.dtype)
        model.set_weights(self.data[2])
        model.compile(SGD(**(settings or Settings())._asdict()), losses_of(losses, self), metrics=["accuracy"])
        return model

    def twin(self, settings: Settings | None = None) -> keras.Sequential:
        """The compiled network in Keras."""
        with floatx(self.dtype):
            layers = self.layers(keras.layers, dtype=self.dtype)
            model = keras.Sequential([keras.Input(self.input_shape, dtype=self.dtype), *layers])
            model.set_weights(self.data[2])
            optimizer = keras.optimizers.SGD(**(settings or Settings())._asdict())
            model.compile(optimizer, losses_of(keras.losses, self, dtype=self.dtype), metrics=["accuracy"])
            return model

    def shadow(self, settings: Settings | None = None) -> Shadow:
        """The network for the error model."""
        arrays = iter(self.data[2])
        weights = {}
        for name, kind, _ in self.names():
            if kind == "Dense":
                weights[name] = exact(next(arrays)), exact(next(arrays)) if self.use_bias else None
        return Shadow(self.names(), weights, Rounding(self.dtype), settings or Settings())


def losses_of(module: Any, case: Case, **common: Any) -> Any:
    """The loss of a case, from scratch's or Keras's module of them."""
    if case.sparse:
        return module.SparseCategoricalCrossentropy(from_logits=case.from_logits, **common)
    options = {"from_logits": case.from_logits, "label_smoothing": case.smoothing}
    return module.CategoricalCrossentropy(**options, **common)


@lru_cache(maxsize=256)
def keras_trace(case: Case) -> dict[str, Array]:
    """The trace of Keras, computed once: no bug in scratch can change it."""
    return keras_impl.trace(case.twin(), case.x, case.y)


ARTICLE = Case((256, 100, 10), ("relu", "relu", "softmax"), features=784, batch=100, separate=True, inputs="pixels")
ALL_CASES: Sequence[Case] = (
    Case((8, 5), ("relu", "softmax"), batch=1),
    Case((8, 5), ("relu", "softmax"), batch=257, separate=True, sparse=True),
    Case((7, 6, 5, 4, 3), ("relu", "sigmoid", "tanh", "softmax", "softmax"), separate=True),
    Case((30, 3), ("tanh", "linear"), use_bias=False),
    Case((12, 4), ("sigmoid", "softmax"), use_bias=False, inputs="constant", sparse=True),
    Case((9, 4), ("relu", "softmax"), inputs="kink"),
    Case((9, 4), ("relu", "softmax"), inputs="dead", separate=True),
    Case((9, 4), ("relu", "softmax"), inputs="extreme"),
    Case((9, 4), ("relu", "linear"), inputs="extreme"),
    Case((9, 4), ("relu", "softmax"), inputs="saturated", separate=True),
    Case((9, 4), ("tanh", "softmax"), inputs="one class"),
    Case((6, 5, 4), ("sigmoid", "tanh", "softmax"), inputs="large"),
    Case((6, 4), ("relu", "softmax"), classes=True, smoothing=0.25),
    Case((6, 5, 4), ("tanh", "relu", "linear"), classes=True, smoothing=0.125),
    Case((300, 10), ("relu", "softmax"), features=300, batch=50),
    Case((8, 5), ("tanh", "softmax"), dtype="float64", separate=True),
    Case((8, 5, 3), ("relu", "sigmoid", "linear"), dtype="float64", sparse=True),
    ARTICLE,
)
CASES = [case for case in ALL_CASES if case.comparable]

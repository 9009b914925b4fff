"""The cases: networks with one batch each, built three times: in scratch, in Keras and for the error model.

The weights are drawn here, by neither program, so that no initializer can hide a difference.  Nothing that this module
computes or caches depends on scratch's arithmetic, so a planted fault cannot change it.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import keras
import numpy as np

import keras_impl
from keras_impl.frameworks import FRAMEWORK, floatx
from parity_tests.reference.bounded_network import BoundedNetwork, LayerSpec
from parity_tests.reference.error_model import Array, Bounded, Rounding, exact
from parity_tests.reference.layers import LAYERS, SETTINGS, masks_for_keras, regularizer
from parity_tests.reference.losses import LOSSES
from parity_tests.reference.sgd import OptimizerSettings, SGDSettings
from scratch import layers as scratch_layers
from scratch import losses as scratch_losses
from scratch import optimizers as scratch_optimizers
from scratch import regularizers as scratch_regularizers
from scratch.models import Sequential

# What a batch is like: normal inputs, changed by one of these functions of (rng, x), …
SAMPLES: dict[str, Callable[[np.random.Generator, Array], Array]] = {
    "pixels": lambda rng, x: rng.uniform(size=x.shape) * (rng.uniform(size=x.shape) < 0.2),
    "large": lambda rng, x: x * 1e3,
    "constant": lambda rng, x: np.full(x.shape, 0.5),
    "kink": lambda rng, x: rng.integers(-1, 2, x.shape).astype(float),
}
# … and by what else ``Case._labels`` and ``Case._parameters`` do: units that are never active, logits far apart.
INPUTS = ("normal", *SAMPLES, "dead", "extreme", "saturated", "one class")
SEED = int(os.environ.get("PARITY_SEED", "0"))  # other weights and batches for every case; --seed sets it
LAST_KERNEL_SCALE = {"extreme": 1e4, "saturated": 50.0}


@dataclass(frozen=True)
class Case:
    """A network and one batch for it.

    Attributes:
        widths: units of each Dense layer.
        activations: the activation after each Dense layer.
        features: inputs of the network.
        batch: samples in the batch.
        dtype: ``'float32'`` or ``'float64'``.
        use_bias: whether the Dense layers have a bias.
        separate: whether activations are layers of their own instead of arguments of the Dense layers.
        inputs: what the batch is like, one of ``INPUTS``.
        loss: the class of the loss, one of ``reference.losses.LOSSES``.
        smoothing: label smoothing of one-hot targets; losses with integer targets have none.
        between: the kind of a layer after the activation of each hidden layer, one of ``reference.layers.LAYERS``.
        regularized: whether the loss has penalties for W and b of each Dense layer, ``reference.layers.PENALTIES``.
        classes: whether samples are 2-D and flattened by a Flatten layer, and ReLU and Softmax are layer classes.
        seed: seed of the samples, the labels and the weights.
    """

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    features: int = 20
    batch: int = 16
    dtype: str = "float32"
    use_bias: bool = True
    separate: bool = False
    inputs: str = "normal"
    loss: str = "CategoricalCrossentropy"
    smoothing: float = 0.0
    between: str = ""
    regularized: bool = False
    classes: bool = False
    seed: int = 0

    def __str__(self) -> str:
        network = "-".join(f"{units} {kind}" for units, kind in zip(self.widths, self.activations, strict=True))
        flags = [name for name in ("separate", "classes") if getattr(self, name)]
        flags += [self.between] if self.between else []
        flags += ["penalties"] if self.regularized else []
        flags += [] if self.use_bias else ["no bias"]
        flags += [f"smoothing {self.smoothing:g}"] if self.smoothing else []
        words = [f"batch {self.batch}", self.inputs, self.dtype, self.loss, *flags, f"seed {self.seed + 1000 * SEED}"]
        return f"{self.features}-{network} ({', '.join(words)})"

    @property
    def from_logits(self) -> bool:
        """Whether the loss is compiled with ``from_logits=True``: the network ends in linear units."""
        model = LOSSES[self.loss]
        return model.logits is not None and self.activations[-1] != model.logits_of

    @property
    def comparable(self) -> bool:
        """Whether Keras computes this case on the current framework.

        On JAX and torch Keras clips the probabilities of a softmax at 1e-7 (keras issue 17634), so saturated logits are
        compared there without a softmax only; and it narrows float64 to float32 (``BIT64_TO_BIT32_DTYPE``).
        """
        if FRAMEWORK == "tensorflow":
            return True
        out = self.bounded_network().predict(self.x).value
        saturated = self.activations[-1] == LOSSES[self.loss].logits_of and (out.min() < 1e-6 or out.max() > 1 - 1e-6)
        return not saturated and self.dtype != "float64"

    @cached_property
    def data(self) -> tuple[Array, Array, list[Array]]:
        """Samples (batch, features), labels (batch,), and weights in the order of ``get_weights()``, read-only."""
        rng = np.random.default_rng([self.seed + 1000 * SEED, self.features, self.batch, *self.widths])
        x = rng.normal(size=(self.batch, self.features))
        if self.inputs in SAMPLES:
            x = SAMPLES[self.inputs](rng, x)
        labels = rng.integers(self.widths[-1], size=self.batch)
        if self.inputs == "one class":
            labels[:] = labels[0]
        weights: list[Array] = []
        for i, inputs in enumerate((self.features, *self.widths[:-1])):
            W, b = self._parameters(rng, i, inputs)
            weights += [W, b] if self.use_bias else [W]
            if self.between and i < len(self.widths) - 1:
                weights += LAYERS[self.between].weights(rng, self.widths[i]).values()
        arrays = [x.astype(self.dtype), labels, *(W.astype(self.dtype) for W in weights)]
        for array in arrays:
            array.setflags(write=False)  # a planted fault must not change the data of later tests
        return arrays[0], arrays[1], arrays[2:]

    def _parameters(self, rng: np.random.Generator, i: int, inputs: int) -> tuple[Array, Array]:
        """Draw W and b of Dense layer i."""
        units, last = self.widths[i], i == len(self.widths) - 1
        W, b = rng.normal(size=(inputs, units)) * np.sqrt(2 / (inputs + units)), rng.normal(size=units) * 0.1
        if self.inputs == "kink" and not last:  # integers: sums are exact, and many of them are 0
            W, b = rng.integers(-1, 2, W.shape).astype(float), rng.integers(-1, 2, b.shape).astype(float)
        if self.inputs == "dead" and i == 0:
            b = b - 100
        return W * LAST_KERNEL_SCALE.get(self.inputs, 1) if last else W, b

    @property
    def x(self) -> Array:
        """Samples (batch, features), or (batch, features / 2, 2)."""
        return self.data[0].reshape(self.batch, *self.input_shape)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (self.features // 2, 2) if self.classes else (self.features,)

    @property
    def one_hot(self) -> Array:
        """Targets as one-hot rows (batch, units)."""
        return np.eye(self.widths[-1], dtype=self.dtype)[self.data[1]]

    @property
    def targets(self) -> Array:
        """Targets that the formula of the loss takes: one-hot rows, smoothed, in float64."""
        s = 0.0 if LOSSES[self.loss].integer_targets else self.smoothing
        return LOSSES[self.loss].smoothed(self.one_hot.astype(np.float64), s)

    @property
    def y(self) -> Array:
        """Targets that ``fit`` takes: labels (batch,) or one-hot rows (batch, units)."""
        return self.data[1] if LOSSES[self.loss].integer_targets else self.one_hot

    def layer_specs(self) -> list[LayerSpec]:
        """Return name, class and activation of each layer."""
        specs = [LayerSpec("flatten", "Flatten", "linear")] if self.classes else []
        for i, kind in enumerate(self.activations):
            separate = self.separate or (self.classes and kind in ("relu", "softmax"))
            specs.append(LayerSpec(f"dense_{i}", "Dense", "linear" if separate else kind))
            if separate:
                class_name = {"relu": "ReLU", "softmax": "Softmax"}.get(kind, "Activation")
                specs.append(LayerSpec(f"activation_{i}", class_name if self.classes else "Activation", kind))
            if self.between and i < len(self.widths) - 1:
                specs.append(LayerSpec(f"between_{i}", self.between, "linear", SETTINGS[self.between]))
        return specs

    def layers(self, module: Any, **common: Any) -> list[Any]:
        """Return the layers, of the classes in scratch's or Keras's ``layers`` module."""
        units = iter(self.widths)
        arguments: dict[str, Callable[[str], tuple[Any, ...]]] = {
            "Dense": lambda activation: (next(units), activation, self.use_bias),
            "Activation": lambda activation: (activation,),
        }
        penalties = keras.regularizers if module is keras.layers else scratch_regularizers
        of_parameters = (("W", "kernel"), ("b", "bias")) if self.regularized else ()
        regularizers = {f"{name}_regularizer": regularizer(penalties, key) for key, name in of_parameters}
        return [
            getattr(module, kind.partition(",")[0])(
                *arguments[kind](activation) if kind in arguments else (),
                name=name,
                **options,
                **(regularizers if kind == "Dense" else {}),
                **common,
            )
            for name, kind, activation, options in self.layer_specs()
        ]

    def _loss(self, module: Any, **options: Any) -> Any:
        """Return the loss, of the class in scratch's or Keras's ``losses`` module."""
        if LOSSES[self.loss].logits is not None:
            options["from_logits"] = self.from_logits
        if self.smoothing and not LOSSES[self.loss].integer_targets:
            options["label_smoothing"] = self.smoothing
        return getattr(module, self.loss)(**options, **LOSSES[self.loss].options)

    def scratch_model(self, backend: str = "numba", settings: OptimizerSettings | None = None) -> Sequential:
        """Return the compiled network in scratch."""
        layers = [scratch_layers.Input(self.input_shape), *self.layers(scratch_layers)]
        model = Sequential(layers, backend=backend, dtype=self.dtype)
        model.set_weights(self.data[2])
        optimizer = (settings or SGDSettings()).create(scratch_optimizers)
        model.compile(optimizer, self._loss(scratch_losses), metrics=["accuracy"])
        return model

    def keras_model(self, settings: OptimizerSettings | None = None) -> keras.Sequential:
        """Return the compiled network in Keras."""
        with floatx(self.dtype):
            layers = self.layers(keras.layers, dtype=self.dtype)
            model = keras.Sequential([keras.Input(self.input_shape, dtype=self.dtype), *layers])
            model.set_weights(self.data[2])
            optimizer = (settings or SGDSettings()).create(keras.optimizers)
            model.compile(optimizer, self._loss(keras.losses, dtype=self.dtype), metrics=["accuracy"])
            return model

    def bounded_network(self, settings: OptimizerSettings | None = None) -> BoundedNetwork:
        """Return the network for the error model."""
        keys = ("W", "b") if self.use_bias else ("W",)
        own = list(LAYERS[self.between].weights(np.random.default_rng(0), 1)) if self.between else []
        last = len(self.widths) - 1
        names = []
        for i in range(len(self.widths)):
            names += [f"dense_{i}/{key}" for key in keys] + [f"between_{i}/{key}" for key in own if i < last]
        params = {name: exact(W) for name, W in zip(names, self.data[2], strict=True)}
        model = LOSSES[self.loss]
        fused = self.activations[-1] == model.logits_of
        rule = (model.outputs if model.logits is None else model.logits).with_options(model.options)
        loss_on_logits = fused and model.logits is not None
        rounding = Rounding(self.dtype)
        network = BoundedNetwork(self.layer_specs(), params, rounding, rule, loss_on_logits, settings or SGDSettings())
        return replace(network, regularized=self.regularized)


@lru_cache(maxsize=256)
def keras_trace(case: Case) -> dict[str, Array]:
    """Return Keras's trace of the case."""
    with masks_for_keras():
        return keras_impl.trace(case.keras_model(), case.x, case.y)


@lru_cache(maxsize=256)
def bounded_trace(case: Case) -> dict[str, Bounded]:
    """Return the trace in float64, with the bound of each entry."""
    return case.bounded_network().trace(case.x.astype(np.float64), case.targets)


SPARSE = "SparseCategoricalCrossentropy"
ARTICLE = Case((256, 100, 10), ("relu", "relu", "softmax"), features=784, batch=100, separate=True, inputs="pixels")
ALL_CASES: Sequence[Case] = (
    Case((8, 5), ("relu", "softmax"), batch=1),
    Case((8, 5), ("relu", "softmax"), batch=257, separate=True, loss=SPARSE),
    Case((7, 6, 5, 4, 3), ("relu", "sigmoid", "tanh", "softmax", "softmax"), separate=True),
    Case((30, 3), ("tanh", "linear"), use_bias=False),
    Case((12, 4), ("sigmoid", "softmax"), use_bias=False, inputs="constant", loss=SPARSE),
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
    Case((8, 5, 3), ("relu", "sigmoid", "linear"), dtype="float64", loss=SPARSE),
    ARTICLE,
    # Every activation, in the middle and at the end; every loss.
    *(Case((6, 4), (activation, activation), features=5, batch=7) for activation in scratch_layers.ACTIVATIONS),
    *(
        Case((6, 4), ("tanh", model.logits_of), features=5, batch=7, loss=loss, seed=1)
        for loss, model in LOSSES.items()
    ),
    Case((6, 4), ("relu", "sigmoid"), loss="BinaryCrossentropy", separate=True, smoothing=0.25),
    Case((9, 4), ("tanh", "linear"), loss="BinaryCrossentropy", inputs="extreme"),
    Case((6, 1), ("tanh", "sigmoid"), loss="BinaryCrossentropy", dtype="float64"),
    Case((6, 3), ("relu", "linear"), loss="MeanSquaredError", inputs="large"),
    Case((6, 3), ("relu", "linear"), loss="MeanAbsoluteError", dtype="float64"),
    Case((8, 5), ("relu", "softmax"), batch=57, separate=True, regularized=True),
    Case((7, 4), ("tanh", "linear"), loss="MeanSquaredError", dtype="float64", regularized=True),
    # Every layer that computes something else in training, between Dense layers.
    *(Case((9, 8, 4), ("relu", "tanh", "softmax"), features=5, batch=11, between=kind) for kind in LAYERS),
)
CASES = [case for case in ALL_CASES if case.comparable]

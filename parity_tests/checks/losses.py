"""Losses called on arrays, their gradients with respect to outputs, and the softmax of logits that are far apart."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_impl.frameworks import FRAMEWORK, floatx, to_numpy, value_and_gradients
from parity_tests.comparison import Comparison, compare
from parity_tests.reference.error_model import Bounded, Rounding, exact
from parity_tests.reference.losses import EPSILON, LOSSES, LossRule, mean, mean_backward, total
from scratch import losses
from scratch.layers import Activation

SAMPLES, CLASSES = 40, 6
DTYPES = ("float32", "float64") if FRAMEWORK == "tensorflow" else ("float32",)  # Keras on JAX and torch narrows


Reduce = Callable[[Rounding, Bounded], Bounded]


def unreduced(rounding: Rounding, values: Bounded) -> Bounded:
    """Return the losses or gradients of the samples as they are."""
    return values


REDUCTIONS: dict[str | None, tuple[Reduce, Reduce]] = {  # of the losses, and of their gradients
    "sum_over_batch_size": (mean, mean_backward),
    "sum": (total, unreduced),
    None: (unreduced, unreduced),
}


class ArrayLoss(NamedTuple):
    """A loss class and the arguments of its constructor."""

    loss: str
    settings: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.loss}({', '.join(f'{name}={value!r}' for name, value in self.settings.items())})"

    @property
    def from_logits(self) -> bool:
        """Whether the predictions are logits."""
        return bool(self.settings.get("from_logits"))

    @property
    def rule(self) -> LossRule:
        """The error model of the loss of each sample."""
        model = LOSSES[self.loss]
        rule = model.logits if self.from_logits else model.outputs
        assert rule is not None
        return rule.with_options({name: value for name, value in self.settings.items() if name in model.options})

    @property
    def targets(self) -> np.ndarray:
        """The targets that the class takes: labels (N,) or one-hot rows (N, C)."""
        return labels() if LOSSES[self.loss].integer_targets else np.eye(CLASSES)[labels()]

    @property
    def smoothed_targets(self) -> np.ndarray:
        """The targets that the formula takes: one-hot rows, smoothed."""
        s = self.settings.get("label_smoothing", 0)
        return LOSSES[self.loss].smoothed(np.eye(CLASSES)[labels()], s)

    @property
    def reductions(self) -> tuple[Reduce, Reduce]:
        """The reduction of the losses of the samples, and that of their gradients."""
        return REDUCTIONS[self.settings.get("reduction", "sum_over_batch_size")]

    def scratch_loss(self, backend: str) -> losses.Loss:
        """Return the loss in scratch."""
        loss: losses.Loss = getattr(losses, self.loss)(**self.settings)
        loss.backend = backend
        return loss


def array_losses() -> Iterator[ArrayLoss]:
    """Yield each loss of the error model with each reduction, on logits, and with its own options."""
    for name, model in LOSSES.items():
        settings: list[Mapping[str, Any]] = [{}, {"reduction": None}, {"reduction": "sum"}, *model.more_settings]
        settings += [{"from_logits": True}] if model.logits else []
        settings += [model.options] if model.options else []
        yield from (ArrayLoss(name, dict(arguments)) for arguments in settings)


ARRAY_LOSSES = tuple(array_losses())


def labels() -> np.ndarray:
    """Return one class for each sample, (N,)."""
    return np.random.default_rng(9).integers(CLASSES, size=SAMPLES)


def predictions(case: ArrayLoss) -> dict[str, np.ndarray]:
    """Return logits, or probabilities: proper ones, unscaled ones, and certain ones, right and wrong."""
    rng, shape = np.random.default_rng(8), (SAMPLES, CLASSES)
    if case.from_logits:
        return {"normal": rng.normal(size=shape), "large": 1e4 * rng.normal(size=shape)}
    proper = {"proper": rng.dirichlet(np.ones(CLASSES), SAMPLES)}
    if rescales_first(case):
        return proper
    unscaled = rng.uniform(0.01, 3, shape)
    return proper | {"unscaled": unscaled, "certain": np.eye(CLASSES)[rng.integers(CLASSES, size=SAMPLES)]}


def rescales_first(case: ArrayLoss) -> bool:
    """Whether Keras rescales probabilities before it clips them, where scratch clips first: on JAX and torch."""
    return LOSSES[case.loss].integer_targets and not case.from_logits and FRAMEWORK != "tensorflow"


@lru_cache
def keras_losses() -> dict[tuple[int, str, str], np.ndarray]:
    """Return the losses of Keras by index of ``ARRAY_LOSSES``, name of the predictions and dtype."""
    found = {}
    for i, case in enumerate(ARRAY_LOSSES):
        for name, y in predictions(case).items():
            for dtype in DTYPES:
                with floatx(dtype):
                    loss = getattr(keras.losses, case.loss)(dtype=dtype, **case.settings)
                    t = case.targets
                    found[i, name, dtype] = to_numpy(loss(t.astype(dtype) if t.ndim == 2 else t, y.astype(dtype)))
    return found


def bounded_loss(case: ArrayLoss, y: np.ndarray) -> Bounded:
    """Return the loss in float64, with its bound."""
    rounding = Rounding(y.dtype.name)
    reduced = case.reductions[0](rounding, case.rule.forward(rounding, exact(y), case.smoothed_targets))
    # The error model allows any order of summation, which is wide for 40 samples: all programs add them pairwise or in
    # vectors.  26 u times the largest term (a logit, or the logarithm of a clipped probability) is enough for them.
    largest = float(np.abs(y).max()) if case.from_logits else -np.log(EPSILON)
    if (
        LOSSES[case.loss].binary and not case.from_logits
    ):  # the limit 1 - 1e-7 is rounded, which the logarithm magnifies
        return reduced
    limit = 26 * rounding.u * (1 + largest) * (SAMPLES if case.settings.get("reduction") == "sum" else 1)
    return Bounded(reduced.value, np.minimum(reduced.bound, limit))


def check_array_losses(backend: str) -> list[Comparison]:
    """Losses agree with Keras and float64: reduced and not, smoothed, from probabilities and from logits."""
    rows = []
    for (i, name, dtype), expected in keras_losses().items():
        case = ARRAY_LOSSES[i]
        y = predictions(case)[name].astype(dtype)
        got, reference = case.scratch_loss(backend)(case.targets, y), bounded_loss(case, y)
        label = f"{case}, {name} {dtype}"
        rows.append(compare(label, got, expected, 2 * reference.bound))
        factor = 2 if dtype == "float64" else 1  # in float64 the reference rounds as much as the program
        bound = factor * reference.bound
        rows.append(compare(f"{label} against float64", got.astype(np.float64), reference.value, bound))
    return rows


def positive_outputs() -> np.ndarray:
    """Return outputs that do not sum to 1, none of them near a limit of the clipping."""
    return np.random.default_rng(10).uniform(0.01, 0.9, (SAMPLES, CLASSES)).astype("float32")


@lru_cache
def keras_loss_gradient(i: int) -> np.ndarray:
    """Return the gradient of the loss ``ARRAY_LOSSES[i]`` of Keras with respect to the outputs."""
    case = ARRAY_LOSSES[i]
    t = case.targets

    def loss(tensors: list[Any]) -> tuple[Any, list[Any]]:
        truth = keras.ops.convert_to_tensor(t.astype("float32") if t.ndim == 2 else t)
        return keras.ops.sum(getattr(keras.losses, case.loss)(**case.settings)(truth, tensors[0])), []

    return value_and_gradients(loss, [positive_outputs()])[1][0]


def check_loss_gradients(backend: str) -> list[Comparison]:
    """Gradients with respect to outputs that the loss rescales, as Keras differentiates it."""
    y, rounding, rows = positive_outputs(), Rounding("float32"), []
    for i, case in enumerate(ARRAY_LOSSES):
        if rescales_first(case):
            continue
        loss, t = case.scratch_loss(backend), np.eye(CLASSES, dtype="float32")[labels()]
        loss.forward(y, t)
        gradient = case.reductions[1](rounding, case.rule.backward(rounding, exact(y), case.smoothed_targets))
        rows.append(compare(f"gradient of {case}", loss.backward(), keras_loss_gradient(i), 2 * gradient.bound))
    return rows


def check_losses(backend: str) -> list[Comparison]:
    """Losses on arrays, and their gradients."""
    return check_array_losses(backend) + check_loss_gradients(backend)


def check_saturated_softmax(backend: str) -> list[Comparison]:
    """A logit that is far above the others has a probability of 1, to two roundings."""
    rows = []
    for largest in (200.0, 1e4):
        x = np.float32(largest) * np.eye(3, dtype="float32")
        expected = to_numpy(keras.activations.softmax(keras.ops.convert_to_tensor(x)))
        layer = Activation("softmax")
        layer.bind(backend, "float32")
        rows.append(compare(f"softmax, a logit of {largest:g}", layer(x), expected, 2 * Rounding("float32").u))
    return rows

"""Losses called on arrays, their gradients with respect to outputs, and the softmax of logits that are far apart."""

from functools import lru_cache
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_impl.frameworks import FRAMEWORK, floatx, to_numpy, value_and_gradients
from parity_tests.comparison import Comparison, compare
from parity_tests.reference.error_model import Bounded, Rounding, exact
from parity_tests.reference.losses import EPSILON, LOSSES, mean, mean_backward, total
from scratch import losses
from scratch.layers import Activation

SAMPLES, CLASSES = 40, 6
DTYPES = ("float32", "float64") if FRAMEWORK == "tensorflow" else ("float32",)  # Keras on JAX and torch narrows


REDUCTIONS = {"sum_over_batch_size": mean, "sum": total, None: lambda rounding, losses_of_samples: losses_of_samples}


class ArrayLoss(NamedTuple):
    """A loss class and its arguments."""

    loss: str
    options: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.loss}({', '.join(f'{name}={value!r}' for name, value in self.options.items())})"


ARRAY_LOSSES = (
    ArrayLoss("CategoricalCrossentropy", {}),
    ArrayLoss("CategoricalCrossentropy", {"reduction": None}),
    ArrayLoss("CategoricalCrossentropy", {"reduction": "sum"}),
    ArrayLoss("CategoricalCrossentropy", {"label_smoothing": 0.25}),
    ArrayLoss("CategoricalCrossentropy", {"from_logits": True}),
    ArrayLoss("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.25, "reduction": None}),
    ArrayLoss("SparseCategoricalCrossentropy", {}),
    ArrayLoss("SparseCategoricalCrossentropy", {"reduction": None}),
    ArrayLoss("SparseCategoricalCrossentropy", {"from_logits": True}),
)


def labels() -> np.ndarray:
    """Return one class for each sample, (N,)."""
    return np.random.default_rng(9).integers(CLASSES, size=SAMPLES)


def targets(loss: str) -> np.ndarray:
    """Return the targets that a loss class takes: labels (N,) or one-hot rows (N, C)."""
    return labels() if LOSSES[loss].integer_targets else np.eye(CLASSES)[labels()]


def predictions(case: ArrayLoss) -> dict[str, np.ndarray]:
    """Return logits, or probabilities: proper ones, unscaled ones, and certain ones, right and wrong."""
    rng, shape = np.random.default_rng(8), (SAMPLES, CLASSES)
    if case.options.get("from_logits"):
        return {"normal": rng.normal(size=shape), "large": 1e4 * rng.normal(size=shape)}
    proper = {"proper": rng.dirichlet(np.ones(CLASSES), SAMPLES)}
    if LOSSES[case.loss].integer_targets and FRAMEWORK != "tensorflow":
        return proper  # Keras on JAX and torch rescales before it clips
    unscaled = rng.uniform(0.01, 3, shape)
    return proper | {"unscaled": unscaled, "certain": np.eye(CLASSES)[rng.integers(CLASSES, size=SAMPLES)]}


@lru_cache
def keras_losses() -> dict[tuple[int, str, str], np.ndarray]:
    """Return the losses of Keras by index of ``ARRAY_LOSSES``, name of the predictions and dtype."""
    found = {}
    for i, case in enumerate(ARRAY_LOSSES):
        for name, y in predictions(case).items():
            for dtype in DTYPES:
                with floatx(dtype):
                    loss = getattr(keras.losses, case.loss)(dtype=dtype, **case.options)
                    t = targets(case.loss)
                    found[i, name, dtype] = to_numpy(loss(t.astype(dtype) if t.ndim == 2 else t, y.astype(dtype)))
    return found


def bounded_loss(case: ArrayLoss, y: np.ndarray) -> Bounded:
    """Return the loss in float64, with its bound."""
    model, rounding, s = LOSSES[case.loss], Rounding(y.dtype.name), case.options.get("label_smoothing", 0)
    rule = model.logits if case.options.get("from_logits") else model.outputs
    assert rule is not None
    t = np.eye(CLASSES)[labels()] * (1 - s) + s / CLASSES
    reduce = REDUCTIONS[case.options.get("reduction", "sum_over_batch_size")]
    reduced = reduce(rounding, rule.forward(rounding, exact(y), t))
    # The error model allows any order of summation, which is wide for 40 samples: all programs add them pairwise or in
    # vectors.  26 u times the largest term (a logit, or the logarithm of a clipped probability) is enough for them.
    largest = float(np.abs(y).max()) if case.options.get("from_logits") else -np.log(EPSILON)
    limit = 26 * rounding.u * (1 + largest) * (SAMPLES if case.options.get("reduction") == "sum" else 1)
    return Bounded(reduced.value, np.minimum(reduced.bound, limit))


def check_array_losses(backend: str) -> list[Comparison]:
    """Losses agree with Keras and float64: reduced and not, smoothed, from probabilities and from logits."""
    rows = []
    for (i, name, dtype), expected in keras_losses().items():
        case = ARRAY_LOSSES[i]
        y = predictions(case)[name].astype(dtype)
        loss = getattr(losses, case.loss)(**case.options)
        loss.backend = backend
        got, reference, label = loss(targets(case.loss), y), bounded_loss(case, y), f"{case}, {name} {dtype}"
        rows.append(compare(label, got, expected, 2 * reference.bound))
        factor = 2 if dtype == "float64" else 1  # in float64 the reference rounds as much as the program
        bound = factor * reference.bound
        rows.append(compare(f"{label} against float64", got.astype(np.float64), reference.value, bound))
    return rows


def positive_outputs() -> np.ndarray:
    """Return outputs that do not sum to 1, none of them near a limit of the clipping."""
    return np.random.default_rng(10).uniform(0.01, 0.9, (SAMPLES, CLASSES)).astype("float32")


@lru_cache
def keras_loss_gradient(name: str) -> np.ndarray:
    """Return the gradient of Keras's loss with respect to the outputs."""
    t = targets(name)

    def loss(tensors: list[Any]) -> tuple[Any, list[Any]]:
        truth = keras.ops.convert_to_tensor(t.astype("float32") if t.ndim == 2 else t)
        return getattr(keras.losses, name)()(truth, tensors[0]), []

    return value_and_gradients(loss, [positive_outputs()])[1][0]


def check_loss_gradients(backend: str) -> list[Comparison]:
    """Gradients with respect to outputs that the loss rescales, as Keras differentiates it."""
    y, t, rounding, rows = positive_outputs(), np.eye(CLASSES, dtype="float32")[labels()], Rounding("float32"), []
    for name, model in LOSSES.items():
        if model.integer_targets and FRAMEWORK != "tensorflow":
            continue  # Keras on JAX and torch rescales before it clips
        loss = getattr(losses, name)()
        loss.backend = backend
        loss.forward(y, t)
        bound = 2 * mean_backward(rounding, model.outputs.backward(rounding, exact(y), t.astype(np.float64))).bound
        rows.append(compare(f"gradient of {name}", loss.backward(), keras_loss_gradient(name), bound))
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

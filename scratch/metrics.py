"""Metrics (評価関数): running means over the samples of an epoch.

Every sample has the same weight (``weighted_metrics``: its own), so a short last batch counts less than a full one.
During training a prediction is the one made before its batch's update (``keras/src/metrics/reduction_metrics.py``).
Formulas: ``accuracy_metrics.py`` and ``regression_metrics.py`` in the same folder.

To add a metric, derive a class from ``Metric`` with ``values``, and enter it in ``METRICS``.
"""

import copy
import inspect
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from scratch import losses
from scratch.checks import check_list, check_name, check_number, check_numeric, check_same_length
from scratch.dropped_names import refuse_in_constructor
from scratch.losses import Loss
from scratch.sample_weights import weights_of
from scratch.utils import Array, Configured, snake_case


class Mean:
    """A running mean, updated batch by batch."""

    def __init__(self, name: str = "mean") -> None:
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        """Discard all values."""
        self.total: float = 0.0
        self.count: float = 0

    def get_state(self) -> dict[str, Any]:
        """Return the state, which a backup saves and ``evaluate`` within ``fit`` keeps apart: all but the functions.

        A subclass with attributes other than numbers, texts, lists, dicts and arrays overrides this method.
        """
        return {name: value for name, value in vars(self).items() if isinstance(value, Mean) or not callable(value)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what ``get_state`` returned."""
        vars(self).update(state)

    def detached(self) -> Self:
        """Return a copy whose state is its own."""
        new = copy.copy(self)
        new.set_state(copy.deepcopy(self.get_state()))
        return new

    def add(self, total: float, count: float) -> None:
        """Add ``count`` values whose sum is ``total``."""
        self.total += total
        self.count += count

    def result(self) -> float:
        """Return the mean of all values, 0.0 if there are none."""
        return self.total / self.count if self.count else 0.0


class Metric(Mean, Configured):
    """Base class: the mean of a value that each sample has.

    Attributes:
        additive: whether one ``update_state`` on several batches equals one call per batch, so that ``fit`` may join
            training steps.  A subclass does not inherit it: see ``scratch.execution``.
        sparse: whether the targets are integer labels instead of rows; None: either.
        weighted: whether samples count with their weights; ``compile`` sets it for its ``weighted_metrics``.
        direction: ``'up'`` if larger values are better, ``'down'`` if smaller ones are: what a callback with
            ``mode="auto"`` assumes; it refuses ``'unknown'``.
    """

    weighted = False
    additive: ClassVar[bool] = False
    sparse: ClassVar[bool | None] = None
    direction = "unknown"

    def __init__(self, name: str = "mean", **unknown: object) -> None:
        refuse_in_constructor(self, unknown)
        super().__init__(name)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return one value per sample (N,), or several (N, …), for a batch of targets and outputs (N, C)."""
        raise NotImplementedError(f"The metric {type(self).__name__} must define values(y_true, y_pred).")

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Add a batch: the mean of each sample's values, times its weight, (N,) or (N, 1), if there are weights.

        With a number as weight, the mean of the batch counts as one sample, as in Keras.
        """
        truth, outputs = np.asarray(y_true), np.asarray(y_pred)
        values = np.asarray(self.values(truth, outputs))
        if values.dtype == object:
            raise ValueError(f"The metric {self.name!r} must return numbers; got {values.reshape(-1)[0]!r}.")
        values = values.reshape(len(values), -1).mean(axis=1) if values.ndim > 1 else values
        if sample_weight is not None and check_numeric("sample_weight", sample_weight).ndim == 0:
            values, truth, sample_weight = values.mean(keepdims=True), truth[:1], np.reshape(sample_weight, 1)
        self.add_values(values, weights_of(truth, sample_weight))

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Add a batch, as ``update_state``, and return the mean so far."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def add_values(self, values: Array, sample_weight: Array | None) -> None:
        """Add one value per sample; with weights the mean is Σ weight·value / Σ weight."""
        if sample_weight is None:
            total = np.count_nonzero(values) if values.dtype == bool else values.sum(dtype=np.float64)
            self.add(float(total), values.size)
        else:
            self.add(float(np.sum(values * sample_weight)), float(np.sum(sample_weight)))


class CategoricalAccuracy(Metric):
    """Share of samples (正答率) whose largest output is at the largest entry of their one-hot row.

    The mean of argmax(y_true) == argmax(y_pred): (N, C), (N, C) → a number; ``keras.metrics.CategoricalAccuracy``.
    """

    additive = True
    sparse = False
    direction = "up"

    def __init__(self, name: str = "categorical_accuracy", **unknown: object) -> None:
        super().__init__(name, **unknown)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return 1 for each right prediction (…,); y_true (…, C), y_pred (…, C)."""
        return np.asarray(np.argmax(y_true, axis=-1) == np.argmax(y_pred, axis=-1))


class SparseCategoricalAccuracy(CategoricalAccuracy):
    """Share of samples whose largest output is at their label.

    The mean of y_true == argmax(y_pred), as ``keras.metrics.SparseCategoricalAccuracy``: (N,), (N, C) → a number.
    """

    additive = True  # declared again, since a subclass does not inherit it
    sparse = True

    def __init__(self, name: str = "sparse_categorical_accuracy", **unknown: object) -> None:
        super().__init__(name, **unknown)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return 1 for each right prediction (…,); y_true (…,) or (…, 1), y_pred (…, C)."""
        largest = np.argmax(y_pred, axis=-1)
        return np.asarray(np.reshape(y_true, largest.shape) == largest)


class BinaryAccuracy(Metric):
    """Share of outputs that are on their target's side of the threshold, as ``keras.metrics.BinaryAccuracy``.

    The mean of y_true == (y_pred > threshold): (N, C), (N, C) → a number.

    Args:
        name: the name in logs and history.
        threshold: between 0 and 1; an output above it counts as a 1.
    """

    sparse = False
    direction = "up"

    def __init__(self, name: str = "binary_accuracy", threshold: float = 0.5, **unknown: object) -> None:
        super().__init__(name, **unknown)
        self.threshold = check_number("threshold", threshold, 0, 1)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return 1 for each right output of (N, C)."""
        return np.equal(y_pred > self.threshold, y_true.reshape(y_pred.shape))


class MeanSquaredError(Metric):
    """Mean of (y_true − y_pred)², as ``keras.metrics.MeanSquaredError``: (N, C), (N, C) → a number."""

    sparse = False
    direction = "down"

    def __init__(self, name: str = "mean_squared_error", **unknown: object) -> None:
        super().__init__(name, **unknown)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return the squares (N, C)."""
        return np.asarray(np.square(y_true.reshape(y_pred.shape) - y_pred))


class MeanAbsoluteError(Metric):
    """Mean of |y_true − y_pred|, as ``keras.metrics.MeanAbsoluteError``: (N, C), (N, C) → a number."""

    sparse = False
    direction = "down"

    def __init__(self, name: str = "mean_absolute_error", **unknown: object) -> None:
        super().__init__(name, **unknown)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return the distances (N, C)."""
        return np.asarray(np.abs(y_true.reshape(y_pred.shape) - y_pred))


class MeanMetricWrapper(Metric):
    """The mean of a function of the user's, as ``keras.metrics.MeanMetricWrapper``.

    Args:
        fn: (y_true, y_pred) → values (N,) or (N, …), or one number for the batch; y_true is as passed to ``fit``.
            Smaller values of a loss are better.
        name: the name in logs and history; default: the function's, in snake case.
    """

    def __init__(self, fn: Callable[[Array, Array], ArrayLike], name: str | None = None) -> None:
        super().__init__(snake_case(getattr(fn, "__name__", type(fn).__name__)) if name is None else name)
        self.fn = fn
        if isinstance(fn, Loss) or any(fn is getattr(losses, loss) for loss in losses.LOSSES):
            self.direction = "down"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Call the function."""
        return np.asarray(self.fn(y_true, y_pred))


METRICS: dict[str, type[Any]] = {
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "binary_accuracy": BinaryAccuracy,
    "mean_squared_error": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
}
ALIASES = {"mse": "mean_squared_error", "mae": "mean_absolute_error"}
ALIASES |= {alias.upper(): name for alias, name in ALIASES.items()}


def _values(metric: Metric, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return a metric's values; as in Keras, the answers of a sample stay apart, and its errors are averaged."""
    truth, outputs = np.asarray(y_true), np.asarray(y_pred)
    check_same_length("y_true", truth, "y_pred", outputs)
    values = np.asarray(metric.values(truth, outputs))
    return values.astype(float) if values.dtype == bool else np.asarray(values.mean(axis=-1))


# The metrics as functions, as in Keras's ``metrics/accuracy_metrics.py`` and ``losses/losses.py``.  ``compile``
# takes one in place of a class.


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return one value per sample (N,) for one-hot rows (N, C) and y_pred (N, C): ``CategoricalAccuracy``."""
    return _values(CategoricalAccuracy(), y_true, y_pred)


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return one value per sample (N,) for labels (N,) and y_pred (N, C): ``SparseCategoricalAccuracy``."""
    return _values(SparseCategoricalAccuracy(), y_true, y_pred)


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return one value per answer (N, C) for zeros and ones (N, C) and y_pred (N, C): ``BinaryAccuracy``."""
    return _values(BinaryAccuracy(), y_true, y_pred)


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return one value per sample (N,) for targets (N, C) and y_pred (N, C): ``MeanSquaredError``."""
    return _values(MeanSquaredError(), y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return one value per sample (N,) for targets (N, C) and y_pred (N, C): ``MeanAbsoluteError``."""
    return _values(MeanAbsoluteError(), y_true, y_pred)


mse, mae = mean_squared_error, mean_absolute_error


def get(
    metrics: str | Sequence[Any] | None,
    loss: Loss,
    units: int | None = None,
    weighted: str | Sequence[Any] | None = None,
) -> list[Metric]:
    """Return metric objects for names, classes, functions or objects; first ``metrics``, then the ``weighted`` ones.

    ``'accuracy'`` and ``'acc'`` stand for the metric that fits the loss, or for ``BinaryAccuracy`` if the model ends in
    a single unit, as in Keras.  Of several metrics with one name, the second is called ``accuracy_1``, or among the
    weighted ones ``weighted_accuracy``.

    Raises:
        ValueError: if a name is unknown (the message lists the known names), or a metric takes other targets than the
            loss.
    """
    fitting = BinaryAccuracy if units == 1 else SparseCategoricalAccuracy if loss.sparse else CategoricalAccuracy
    found: list[tuple[Metric, str, bool]] = []
    plain, heavy = _listed(metrics), _listed(weighted)
    for i, entry in enumerate([*plain, *heavy]):
        metric, is_weighted, names = _metric(entry, fitting), i >= len(plain), [name for _, name, _ in found]
        name = _unique(f"weighted_{metric.name}" if is_weighted and metric.name in names else metric.name, names)
        if metric.sparse not in (None, loss.sparse) and units != 1:
            raise ValueError(
                f"The metric {name!r} and the loss take different targets (labels or one-hot rows): "
                "use 'accuracy', which fits either loss."
            )
        is_known = any(metric is other for other, _, _ in found)  # listed in both
        found.append((metric.detached() if is_known else metric, name, is_weighted))
    for metric, name, is_weighted in found:
        metric.name, metric.weighted = name, is_weighted
    return [metric for metric, _, _ in found]


def _unique(name: str, names: Sequence[str]) -> str:
    """Return the name, with the first number that makes it differ from the names if it is one of them."""
    return next(new for i in count() if (new := f"{name}_{i}" if i else name) not in names)


def _listed(metrics: Any) -> list[Any]:
    """Return the entries of a list, of one name, or of a list in a list, as for Keras's models with several outputs."""
    entries = [metrics] if isinstance(metrics, str) else check_list("metrics", metrics)
    return _listed(entries[0]) if len(entries) == 1 and isinstance(entries[0], list | tuple) else entries


def _metric(entry: Any, fitting: type[Metric]) -> Metric:
    """Return the object for an entry of ``compile(metrics=[…])``; ``fitting`` is the class for ``'accuracy'``."""
    if inspect.isclass(entry) and issubclass(entry, Metric | Loss):
        entry = entry()
    if isinstance(entry, Metric):
        return entry
    name = str(getattr(entry, "__name__", entry))
    if callable(entry) and globals().get(name) is not entry:
        return MeanMetricWrapper(entry)
    known: dict[str, type[Any]] = {"accuracy": fitting, "acc": fitting, **METRICS}
    others = {alias: METRICS[key] for alias, key in ALIASES.items()}
    others |= {metric.__name__: metric for metric in METRICS.values()}
    key = name.lower() if name.lower() in ("accuracy", "acc") else name  # in any case, as in Keras, and named as given
    if key not in others | known:
        check_name("metric", name if callable(entry) else entry, known)
    metric: Metric = (others | known)[key](name)
    return metric

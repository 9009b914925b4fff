"""Metrics (評価関数): running means over the samples of an epoch.

Every prediction has the same weight, so a short last batch counts less than a full one.  During training a prediction
is the one made before its batch's update (``keras/src/metrics/reduction_metrics.py``).
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from scratch.losses import Loss
from scratch.utils import Array, check_list, check_name


class Mean:
    """A running mean, updated batch by batch."""

    def __init__(self, name: str = "mean") -> None:
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        """Discard all values."""
        self.total, self.count = 0.0, 0

    def add(self, total: float, count: int) -> None:
        """Add ``count`` values whose sum is ``total``."""
        self.total += total
        self.count += count

    def result(self) -> float:
        """Return the mean of all values, 0.0 if there are none."""
        return self.total / self.count if self.count else 0.0


class CategoricalAccuracy(Mean):
    """Share of samples (正答率) whose largest output is at the largest entry of their one-hot row.

    Attributes:
        additive: whether one ``update_state`` on several batches equals one call per batch, so that ``fit`` may join
            training steps.  A subclass does not inherit it: see ``scratch.execution``.
        sparse: whether the targets are integer labels instead of one-hot rows.
    """

    additive: ClassVar[bool] = True
    sparse: ClassVar[bool] = False

    direction = "up"  # larger values are better: what a callback with mode="auto" assumes

    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(name)

    def update_state(self, y_true: Array, y_pred: Array) -> None:
        """Add a batch: y_true (…, C), y_pred (…, C)."""
        self._add_matches(np.argmax(y_true, axis=-1), y_pred)

    def _add_matches(self, labels: Array, y_pred: Array) -> None:
        matches = labels == np.argmax(y_pred, axis=-1)
        self.add(float(np.sum(matches)), matches.size)


class SparseCategoricalAccuracy(CategoricalAccuracy):
    """Share of samples whose largest output is at their label."""

    additive = True  # declared again, since a subclass does not inherit it
    sparse = True

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(name)

    def update_state(self, y_true: Array, y_pred: Array) -> None:
        """Add a batch: y_true (…,) or (…, 1), y_pred (…, C)."""
        self._add_matches(np.reshape(y_true, y_pred.shape[:-1]), y_pred)


METRICS: dict[str, type[CategoricalAccuracy]] = {
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
}


def get(metrics: Sequence[str | CategoricalAccuracy] | None, loss: Loss) -> list[CategoricalAccuracy]:
    """Return metric objects; ``'accuracy'`` and ``'acc'`` stand for the metric that fits the loss.

    Raises:
        ValueError: if a name is unknown (the message lists the known names) or listed twice, or a metric takes other
            targets than the loss.
    """
    accuracy = SparseCategoricalAccuracy if loss.sparse else CategoricalAccuracy
    known: dict[str, type[CategoricalAccuracy]] = {"accuracy": accuracy, "acc": accuracy, **METRICS}
    found: list[CategoricalAccuracy] = []
    for metric in [metrics] if isinstance(metrics, str) else check_list("metrics", metrics):
        if not isinstance(metric, CategoricalAccuracy):
            name = check_name("metric", metric, known)
            metric = known[name](name)
        if metric.sparse is not loss.sparse:
            raise ValueError(
                f"The metric {metric.name!r} and the loss take different targets (labels or one-hot rows): "
                "use 'accuracy', which fits either loss."
            )
        if metric.name in [other.name for other in found]:
            raise ValueError(f"The metric {metric.name!r} is listed twice in metrics.")
        found.append(metric)
    return found

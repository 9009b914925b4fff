"""What an epoch reports: running means over the samples seen so far.

Every prediction counts once, so a short last batch counts for less; during training a prediction is the one made
before the update of its batch (``keras/src/metrics/reduction_metrics.py``).
"""

from collections.abc import Sequence

import numpy as np

from scratch.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy
from scratch.utils import Array, check_list, check_name


class Mean:
    """A mean that is fed one batch after the other."""

    def __init__(self, name: str = "mean") -> None:
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        """Forget everything seen."""
        self.total, self.count = 0.0, 0

    def add(self, total: float, count: int) -> None:
        """See ``count`` more values, which sum to ``total``."""
        self.total += total
        self.count += count

    def result(self) -> float:
        """The mean of all values seen, 0.0 before the first."""
        return self.total / self.count if self.count else 0.0


class CategoricalAccuracy(Mean):
    """Share of samples (正答率) whose largest output is at the largest entry of their one-hot row."""

    direction = "up"  # larger values are better: what a callback with mode="auto" assumes

    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(name)

    def update_state(self, y_true: Array, y_pred: Array) -> None:
        """Count a batch: y_true (N, C), y_pred (N, C)."""
        self.add(float(np.sum(np.argmax(y_true, axis=-1) == np.argmax(y_pred, axis=-1))), len(y_pred))


class SparseCategoricalAccuracy(CategoricalAccuracy):
    """Share of samples whose largest output is at their label."""

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(name)

    def update_state(self, y_true: Array, y_pred: Array) -> None:
        """Count a batch: y_true (N,) or (N, 1), y_pred (N, C)."""
        self.add(float(np.sum(np.reshape(y_true, -1) == np.argmax(y_pred, axis=-1))), len(y_pred))


METRICS: dict[str, type[CategoricalAccuracy]] = {
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
}


def get(
    metrics: Sequence[str | CategoricalAccuracy] | None, loss: CategoricalCrossentropy
) -> list[CategoricalAccuracy]:
    """Return metric objects; ``'accuracy'`` and ``'acc'`` take the form that fits the loss.

    Raises:
        ValueError: if a name is unknown (the message lists the known ones), or stands twice.
    """
    sparse = isinstance(loss, SparseCategoricalCrossentropy)
    accuracy = SparseCategoricalAccuracy if sparse else CategoricalAccuracy
    known: dict[str, type[CategoricalAccuracy]] = {"accuracy": accuracy, "acc": accuracy, **METRICS}
    found: list[CategoricalAccuracy] = []
    for metric in [metrics] if isinstance(metrics, str) else check_list("metrics", metrics):
        if not isinstance(metric, CategoricalAccuracy):
            name = check_name("metric", metric, known)
            metric = known[name](name)
        if isinstance(metric, SparseCategoricalAccuracy) is not sparse:
            raise ValueError(f"The metric {metric.name!r} does not fit the loss: use 'accuracy', which fits itself.")
        if metric.name in [other.name for other in found]:
            raise ValueError(f"The metric {metric.name!r} stands twice in metrics.")
        found.append(metric)
    return found

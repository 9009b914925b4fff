"""Metrics called on arrays, batch by batch: running means, with and without weights."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_impl.frameworks import to_numpy
from parity_tests.comparison import Comparison, compare, equal
from parity_tests.reference.error_model import Array, Rounding
from scratch import metrics

SIZES = (20, 7)  # of the batches
CLASSES = 4
ROUNDING = Rounding("float32")


class ArrayMetric(NamedTuple):
    """A metric class, the arguments of its constructor, and whether it takes labels."""

    metric: str
    settings: dict[str, Any] = {}  # noqa: RUF012 (is not changed)
    labels: bool = False

    def __str__(self) -> str:
        return f"{self.metric}({', '.join(f'{name}={value}' for name, value in self.settings.items() if name != 'fn')})"


def twice_the_distance(y_true: Any, y_pred: Any) -> Any:
    """Return a value for each output, as a metric of the user's in either program."""
    return 2 * abs(y_true - y_pred)


ARRAY_METRICS = (
    ArrayMetric("CategoricalAccuracy"),
    ArrayMetric("SparseCategoricalAccuracy", labels=True),
    ArrayMetric("BinaryAccuracy"),
    ArrayMetric("BinaryAccuracy", {"threshold": 0.25}),
    ArrayMetric("MeanSquaredError"),
    ArrayMetric("MeanAbsoluteError", {"name": "distance"}),
    ArrayMetric("MeanMetricWrapper", {"fn": twice_the_distance, "name": "twice"}),
)


def batches(case: ArrayMetric) -> Iterator[tuple[Array, Array, Array]]:
    """Yield targets, outputs and the weights of the samples of each batch."""
    rng = np.random.default_rng(12)
    for size in SIZES:
        labels = rng.integers(CLASSES, size=size)
        y = rng.uniform(size=(size, CLASSES)).astype("float32")
        yield labels if case.labels else np.eye(CLASSES, dtype="float32")[labels], y, rng.uniform(0, 2, size)


def results(module: Any, case: ArrayMetric, weighted: bool) -> tuple[str, list[float]]:
    """Return the name of a metric of either program, and what it gives after each batch, and after a reset."""
    metric, values = getattr(module, case.metric)(**case.settings), []
    for t, y, weights in batches(case):
        metric.update_state(t, y, sample_weight=weights.astype("float32") if weighted else None)
        values.append(float(metric.result()))
    metric.reset_state()
    values.append(float(metric(t, y)))
    return metric.name, values


@lru_cache
def keras_results(index: int, weighted: bool) -> tuple[str, list[float]]:
    """Return the results of Keras for ``ARRAY_METRICS[index]``."""
    return results(keras.metrics, ARRAY_METRICS[index], weighted)


def check_metrics() -> Iterator[Comparison]:
    """Names and running means of each metric class, and the values of each metric function, agree with Keras.

    Bound: both programs add at most 27 · 4 values of one sign, each rounded a few times, and divide.
    """
    bound = ROUNDING.gamma(sum(SIZES) * CLASSES) + 8 * ROUNDING.u
    for index, case in enumerate(ARRAY_METRICS):
        for weighted in (False, True):
            name, values = results(metrics, case, weighted)
            expected_name, expected = keras_results(index, weighted)
            label = f"{case}{', weighted' * weighted}"
            yield equal(f"{label}: name", name, expected_name)
            yield compare(label, np.array(values), np.array(expected), 2 * bound * np.abs(expected))
    for name, cls in metrics.METRICS.items():
        t, y, _ = next(batches(ArrayMetric(cls.__name__, labels=cls.sparse is True)))
        found = np.asarray(getattr(metrics, name)(t, y), np.float32)
        expected = to_numpy(getattr(keras.metrics, name)(t, y)).astype("float32")
        yield compare(f"{name}(t, y)", found, expected, 2 * bound * np.abs(expected))

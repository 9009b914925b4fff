"""Faults in what is reported: metrics, their accumulation over an epoch, evaluation, and the history."""

from typing import Any

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch import callbacks, evaluation, metrics, trainable
from scratch.execution import Steps

Array = np.ndarray


@planted_fault(metrics.Mean, "add", caught_by="epoch reports")
def short_batch_overweighted(self: Any, total: float, count: int) -> None:
    """A last batch with fewer samples counts as much as a full one."""
    self.total, self.count = self.total + total / count, self.count + 1


@planted_fault(trainable.TrainableNetwork, "reset_metrics", caught_by="epoch reports")
def metrics_not_reset(self: Any) -> None:
    """Metrics are not reset between epochs."""


@planted_fault(metrics.SparseCategoricalAccuracy, "update_state", caught_by="epoch reports")
def sparse_accuracy_of_smallest(self: Any, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> None:
    """Accuracy with labels takes the smallest output as the prediction."""
    self.add_values(y_true.reshape(-1) == y_pred.argmin(axis=1), sample_weight)


@planted_fault(metrics.CategoricalAccuracy, "update_state", caught_by="epoch reports")
def accuracy_of_smallest(self: Any, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> None:
    """Accuracy takes the smallest output as the prediction."""
    self.add_values(y_true.argmax(axis=1) == y_pred.argmin(axis=1), sample_weight)


@planted_fault(evaluation.Evaluator, "_evaluate", caught_by="epoch reports")
def evaluation_trains(self: Any, source: Any, callback_list: Any) -> Any:
    """Evaluation updates the weights."""
    self.reset_metrics()
    callback_list.on_test_begin({})
    for x, y, _ in source.evaluation(1):
        loss, out = self.train_step(x, y)
        self.update_metrics(Steps([loss], y, out, len(out)))
        logs = self.metric_values()
        callback_list.on_test_batch_end(0, logs)
    callback_list.on_test_end(logs)
    return logs


@planted_fault(callbacks.History, "on_epoch_end", caught_by="epoch reports")
def history_of_first_epoch(self: Any, epoch: int, logs: Any = None) -> None:
    """The history keeps the values of the first epoch only."""
    self.epoch.append(epoch)
    for name, value in logs.items():
        self.history.setdefault(name, [value])

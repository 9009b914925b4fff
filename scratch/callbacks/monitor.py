"""The base class of callbacks that monitor one value of the logs."""

import sys
import warnings

from scratch.callbacks.callback import Callback, Logs
from scratch.checks import check_number


class Monitor(Callback):
    """Decides whether a monitored value has improved.

    Args:
        monitor: the name of the value, such as ``'val_loss'`` or ``'accuracy'``.
        mode: ``'min'`` if smaller values are better, ``'max'`` if larger values are, or ``'auto'``: smaller for the
            loss, and for a metric what the metric says.  Any other mode gives a warning and is taken as ``'auto'``.
        min_delta: the smallest change that counts as an improvement.

    Raises:
        ValueError: if ``min_delta`` is not a number; at the beginning of ``fit``, if ``mode`` is ``'auto'`` and
            ``monitor`` is neither the loss nor a metric of the model, or a metric that does not say what is better.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode.",
                stacklevel=3,  # the line that creates the EarlyStopping or ModelCheckpoint
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(check_number("min_delta", min_delta, minimum=-sys.float_info.max))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Raise an error before the first epoch if ``mode='auto'`` cannot be resolved."""
        self._sign()

    def improves(self, value: float, reference: float | None) -> bool:
        """Return whether the value is better than the reference by more than ``min_delta``; None: always."""
        return reference is None or self._sign() * (value - reference) > self.min_delta

    def _sign(self) -> int:
        """Return 1 if larger values are better, -1 if smaller values are."""
        if self.mode != "auto":
            return 1 if self.mode == "max" else -1
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return -1
        for metric in self.model.metrics:
            if metric.name == name and metric.direction != "unknown":
                return 1 if metric.direction == "up" else -1
        raise ValueError(
            f"{type(self).__name__} callback received monitor={self.monitor}, but scratch isn't able to automatically "
            "determine whether that metric should be maximized or minimized. Pass `mode='max'` in order to monitor "
            "based on the highest metric value, or pass `mode='min'` in order to use the lowest value."
        )

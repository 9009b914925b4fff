"""``History``: the loss and the metrics of each epoch, which ``fit`` returns."""

from typing import Any

from scratch.callbacks.callback import Callback, Logs
from scratch.dropped_names import HistoryDict


class History(Callback):
    """Records the logs of each epoch.

    Attributes:
        history: for each of ``accuracy``, ``loss``, ``val_accuracy``, ``val_loss`` a list with one value per epoch.
        epoch: the numbers of the epochs of the last ``fit``; the first is 0.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = HistoryDict()
        self.epoch: list[int] = []

    def get_state(self) -> dict[str, Any]:
        """Return the values recorded so far."""
        return {"history": self.history, "epoch": self.epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the recorded values."""
        self.history, self.epoch = HistoryDict(state["history"]), state["epoch"]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Clear ``epoch``; ``history`` keeps the values of an earlier ``fit``, as in Keras."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the epoch's logs."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

"""Callbacks: objects whose methods ``fit``, ``evaluate`` and ``predict`` call before and after epochs and batches."""

from typing import TYPE_CHECKING

from scratch import lazy
from scratch.callbacks.callback import EVENTS, Callback, CallbackList, LambdaCallback, Logs
from scratch.callbacks.history import History
from scratch.callbacks.progress import ProgbarLogger

if TYPE_CHECKING:
    from scratch.callbacks.backup import BackupAndRestore
    from scratch.callbacks.csv_logger import CSVLogger
    from scratch.callbacks.early_stopping import EarlyStopping
    from scratch.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
    from scratch.callbacks.model_checkpoint import ModelCheckpoint
    from scratch.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "EVENTS",
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "Logs",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
__getattr__, __dir__ = lazy.exports(
    __name__,
    backup=["BackupAndRestore"],
    csv_logger=["CSVLogger"],
    early_stopping=["EarlyStopping"],
    learning_rate=["LearningRateScheduler", "ReduceLROnPlateau"],
    model_checkpoint=["ModelCheckpoint"],
    terminate_on_nan=["TerminateOnNaN"],
)

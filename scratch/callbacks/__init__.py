"""Callbacks: objects whose methods ``fit``, ``evaluate`` and ``predict`` call before and after epochs and batches."""

from scratch.callbacks.backup import BackupAndRestore
from scratch.callbacks.callback import EVENTS, Callback, CallbackList, LambdaCallback, Logs
from scratch.callbacks.csv_logger import CSVLogger
from scratch.callbacks.early_stopping import EarlyStopping
from scratch.callbacks.history import History
from scratch.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from scratch.callbacks.model_checkpoint import ModelCheckpoint
from scratch.callbacks.progress import ProgbarLogger
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

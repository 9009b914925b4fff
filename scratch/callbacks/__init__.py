"""Callbacks: what ``fit``, ``evaluate`` and ``predict`` tell, and to whom."""

from scratch.callbacks.backup import BackupAndRestore
from scratch.callbacks.callback import EVENTS, Callback, CallbackList, LambdaCallback, Logs
from scratch.callbacks.history import CSVLogger, History
from scratch.callbacks.monitors import EarlyStopping, ModelCheckpoint

__all__ = [
    "EVENTS",
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "Logs",
    "ModelCheckpoint",
]

"""What ``fit``, ``evaluate`` and ``predict`` tell, and to whom."""

from collections.abc import Callable, Sequence
from typing import Any

from scratch.utils import overridden

Logs = dict[str, float]


class Callback:
    """Base class: every method does nothing until it is overridden.

    Attributes:
        model: the model at work.
        params: ``{'verbose': …, 'epochs': …, 'steps': …}``.
    """

    model: Any
    params: dict[str, Any]

    def set_model(self, model: Any) -> None:
        """Take note of the model."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Take note of the parameters."""
        self.params = params

    @property
    def every_batch(self) -> bool:
        """Whether it wants to be told of every batch of ``fit``; if nobody does, several may be trained on in one go.

        Then it is told of the last of them, as with Keras's ``steps_per_execution``.
        """
        return overridden(self, Callback, *BATCH_EVENTS)

    def get_state(self) -> dict[str, Any]:
        """What a backup holds of this callback: numbers, texts, lists, dicts and arrays; by default nothing."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``get_state`` returned, in a ``fit`` whose ``on_train_begin`` was just told."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch of ``fit``."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch of ``fit``; ``logs`` are that epoch's."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; the first is 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step; the first is 0."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step; ``logs`` are the epoch's running means."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of ``on_train_batch_end``."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before ``evaluate`` and before an epoch's validation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After ``evaluate`` and after an epoch's validation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch is evaluated."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch is evaluated."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before ``predict``."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After ``predict``."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch is predicted."""

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a batch is predicted; ``logs`` has its ``outputs``."""


class CallbackList(Callback):
    """Several callbacks, told everything in their order."""

    def __init__(self, callbacks: Sequence[Callback], model: Any, params: dict[str, Any]) -> None:
        self.callbacks = callbacks
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise ValueError(f"callbacks must hold Callback objects; got {callback!r}.")
            callback.set_model(model)
            callback.set_params(params)
        for event in EVENTS:
            setattr(self, event, self._teller([getattr(callback, event) for callback in callbacks]))

    @staticmethod
    def _teller(listeners: list[Callable[..., None]]) -> Callable[..., None]:
        def tell(*args: Any) -> None:
            for listen in listeners:
                listen(*args)

        return tell


BATCH_EVENTS = "on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"
EVENTS = [name for name in vars(Callback) if name.startswith("on_")]


class LambdaCallback(Callback):
    """A callback made of functions: ``LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs))``.

    Raises:
        TypeError: if there is no such event; the message lists them.
    """

    def __init__(self, **functions: Callable[..., Any]) -> None:
        for event, function in functions.items():
            if event not in EVENTS:
                raise TypeError(f"LambdaCallback has no event {event!r}: choose from {', '.join(EVENTS)}.")
            setattr(self, event, function)

"""The base class of callbacks, and the list that calls several of them."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

Logs = dict[str, float]
Method = TypeVar("Method", bound=Callable[..., None])


def may_skip_batches(method: Method) -> Method:
    """Mark a batch method that need not be called for every batch, only for the last of several."""
    vars(method)["may_skip_batches"] = True
    return method


class Callback:
    """Base class of callbacks: its methods do nothing; a subclass overrides those that it needs.

    ``logs`` is a dict of the loss and the metrics by name, never None when ``fit``, ``evaluate`` or ``predict`` calls a
    method; it is empty where nothing has been computed yet.

    Attributes:
        model: the model that is trained, evaluated or asked for predictions.
        params: ``{'verbose': …, 'epochs': …, 'steps': …}``.
        called_last: whether the methods are called after those of all other callbacks.
    """

    called_last: ClassVar[bool] = False
    model: Any  # a Sequential; callbacks must not import training, which imports callbacks
    params: dict[str, Any]

    def set_model(self, model: Any) -> None:
        """Set ``model``."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Set ``params``."""
        self.params = params

    @property
    def needs_batch_events(self) -> bool:
        """Whether this callback needs batch-level events: whether it overrides a batch method.

        If no callback does, ``fit`` runs several steps per call and calls the batch methods once per call, with the
        number of the last batch, as with Keras's ``steps_per_execution``.
        """
        return self.needs_each_batch(*BATCH_EVENTS)

    def needs_each_batch(self, *events: str) -> bool:
        """Return whether this callback overrides one of these batch methods without ``may_skip_batches``."""
        return not all(hasattr(getattr(self, event), "may_skip_batches") for event in events)

    def get_state(self) -> dict[str, Any]:
        """Return what a backup saves of this callback, by default nothing: numbers, strings, lists, dicts, arrays."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what ``get_state`` returned; called after ``on_train_begin`` when a run is resumed."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called at the beginning of ``fit``."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called at the end of ``fit``, with the logs of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called at the beginning of an epoch; the first is 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called at the end of an epoch, after its validation."""

    @may_skip_batches
    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a training step; the first of an epoch is 0."""
        self.on_batch_begin(batch, logs)

    @may_skip_batches
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a training step; ``logs`` are the means over the epoch so far."""
        self.on_batch_end(batch, logs)

    @may_skip_batches
    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of ``on_train_batch_begin``."""

    @may_skip_batches
    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of ``on_train_batch_end``."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called at the beginning of ``evaluate`` and of an epoch's validation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called at the end of ``evaluate`` and of an epoch's validation."""

    @may_skip_batches
    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch is evaluated."""

    @may_skip_batches
    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch is evaluated; ``logs`` are the means over the batches so far."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called at the beginning of ``predict``."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called at the end of ``predict``."""

    @may_skip_batches
    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before the outputs of a batch are computed."""

    @may_skip_batches
    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after the outputs of a batch are computed."""


BATCH_EVENTS = "on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"
EVENTS = [name for name in vars(Callback) if name.startswith("on_")]


class CallbackList(Callback):
    """Several callbacks as one: each method calls that of all callbacks, in order, those with ``called_last`` last.

    Args:
        callbacks: the callbacks to call.
        model: what each callback's ``model`` is set to.
        params: what each callback's ``params`` is set to.

    Raises:
        ValueError: if an entry of ``callbacks`` is not a ``Callback``.
    """

    def __init__(self, callbacks: Sequence[Callback], model: Any, params: dict[str, Any]) -> None:
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise ValueError(f"callbacks must hold Callback objects; got {callback!r}.")
            callback.set_model(model)
            callback.set_params(params)
        self.callbacks = sorted(callbacks, key=lambda callback: callback.called_last)


def _call_each(event: str) -> Callable[..., None]:
    """Return the method of ``CallbackList`` for an event."""

    def call(self: CallbackList, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(*args)

    return call


for _event in EVENTS:
    setattr(CallbackList, _event, _call_each(_event))


class LambdaCallback(Callback):
    """A callback made of functions: ``LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs))``.

    Args:
        **functions: for each event, such as ``on_epoch_end``, the function to call, or None.

    Raises:
        TypeError: if an event is unknown; the message lists the known ones.
    """

    def __init__(self, **functions: Callable[..., Any] | None) -> None:
        for event, function in functions.items():
            if event not in EVENTS:
                raise TypeError(f"LambdaCallback has no event {event!r}: choose from {', '.join(EVENTS)}.")
            if function is not None:
                setattr(self, event, function)

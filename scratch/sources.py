"""Where ``fit``, ``evaluate`` and ``predict`` take batches from: arrays, a data set of batches, or a generator.

A source gives the steps of an epoch (``epoch``), the function that trains on them (``train_function``), and for
``evaluate`` and ``predict`` its batches, one or several at a time (``evaluation``).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from scratch.batches import Data, batches
from scratch.callbacks import Callback
from scratch.checks import check_integer
from scratch.execution import Steps, TrainFunction
from scratch.fit_state import FitState
from scratch.pixels import Pixels
from scratch.sample_weights import weights_of
from scratch.trainable import TrainableNetwork
from scratch.utils import warn_user

Check = Callable[[Any], Data]  # a batch of the user → checked data


class _Passes:
    """Passes over all batches, of which an epoch takes one.

    With ``steps_per_epoch`` a pass extends over several epochs, as in Keras: each takes the next ``steps_per_epoch``
    batches, and the one in which the pass ends is shorter.

    Attributes:
        total: batches per pass.
        limit: batches per epoch; None for all.
        steps: batches per epoch, as a progress bar shows them.
    """

    def __init__(self, total: int, limit: int | None, argument: str) -> None:
        self.total, self.limit = total, None if limit is None else check_integer(argument, limit)
        self.argument = argument
        self.steps = total if self.limit is None else self.limit
        self.rows: list[Any] = []

    def draw(self, state: FitState) -> list[Any]:
        """Return what identifies each batch of a new pass."""
        raise NotImplementedError

    def begin_epoch(self) -> None:
        """Notify what gives the batches, if it needs this, that an epoch begins; called before ``epoch``."""

    def end_epoch(self) -> None:
        """Notify what gives the batches, if it needs this, that an epoch has ended."""

    def epoch(self, state: FitState) -> list[Any]:
        """Return what identifies each batch of the next epoch; draw their order if a pass begins."""
        if state.offset == 0 or not self.rows:
            self.rows = self.draw(state)
        rows = self.rows[state.offset :][: self.limit]
        if self.limit is not None and len(rows) < self.limit:
            warn_user(
                f"Epoch {state.epoch + 1} has {len(rows)} of steps_per_epoch={self.limit} steps: the samples end there,"
                f" and the next epoch begins with the first. One pass over them has {self.total} batches."
            )
        return rows

    def offset_after(self, state: FitState) -> int:
        """Return how many batches of the current pass are done after this epoch; 0 if a new pass begins."""
        done = state.offset + state.step
        return 0 if self.limit is None or done >= self.total else done


class ArraySource(_Passes):
    """Batches of arrays.

    Args:
        data: checked samples, targets and weights.
        batch_size: samples per batch.
        steps: batches per epoch; None for all.
        argument: the name of ``steps`` in error messages.
    """

    def __init__(self, data: Data, batch_size: int, steps: int | None, argument: str) -> None:
        super().__init__(math.ceil(len(data.x) / batch_size), steps, argument)
        self.data, self.batch_size, self.x_shape = data, batch_size, data.x.shape

    def arrays(self, prefix: str) -> dict[str, Any]:
        """Return the arrays by name, for a backup of the training."""
        return {prefix + name: array for name, array in self.data._asdict().items() if array is not None}

    def draw(self, state: FitState) -> list[Any]:
        """Return the rows of each batch."""
        return list(batches(len(self.data.x), self.batch_size, state.model.rng if state.shuffle else None))

    def train_function(self, model: TrainableNetwork, callbacks: Sequence[Callback]) -> TrainFunction:
        """Return the function that trains on rows."""
        return model.make_train_function(*self.data[:2], self.batch_size, callbacks, self.data.sample_weight)

    def evaluation(self, count: int) -> Iterator[Data]:
        """Yield the batches in order, ``count`` at a time."""
        samples = len(self.data.x) if self.limit is None else min(len(self.data.x), self.limit * self.batch_size)
        return map(self.data.take(slice(samples)).take, batches(samples, count * self.batch_size))


class StreamSource(_Passes):
    """Batches of a generator, or of an object with ``__len__`` and ``__getitem__`` such as Keras's ``PyDataset``.

    Args:
        stream: yields or returns batches.  The first is read at once, since it shows the shape of a sample; that of a
            data set is read again in its turn, because ``on_epoch_begin`` may change the batches.
        check: checks a batch.
        steps: batches per epoch; a generator, which has no end, needs it.
        argument: the name of ``steps`` in error messages.

    Raises:
        ValueError: if it is empty, or a generator comes without ``steps``.
    """

    batch_size, data = 0, None

    def __init__(self, stream: Any, check: Check, steps: int | None, argument: str) -> None:
        self.stream, self.check, self.is_generator = stream, check, hasattr(stream, "__next__")
        if steps is None and self.is_generator:
            raise ValueError(f"A generator has no length; pass {argument}, the number of batches.")
        if self.is_generator:
            super().__init__(check_integer(argument, steps), None, argument)
        else:
            super().__init__(len(stream), steps, argument)
        first = None if self.total == 0 else self._take(0)
        if first is None:
            raise ValueError("The generator or data set must give at least one batch; got none.")
        self.x_shape, self.first = first.x.shape, first if self.is_generator else None

    def arrays(self, prefix: str) -> dict[str, Any]:
        """Return nothing that a backup could check: see ``FitState.data``."""
        return {f"{prefix}batches": self.stream}

    def draw(self, state: FitState) -> list[Any]:
        """Return the number of each batch; those of a data set in a new order, if ``shuffle``."""
        shuffle = state.shuffle and not self.is_generator
        return state.model.rng.permutation(self.total).tolist() if shuffle else list(range(self.total))

    def begin_epoch(self) -> None:
        """Call the data set's ``on_epoch_begin``, if it has one."""
        self._notify("on_epoch_begin")

    def end_epoch(self) -> None:
        """Call the data set's ``on_epoch_end``, if it has one."""
        self._notify("on_epoch_end")

    def train_function(self, model: TrainableNetwork, callbacks: Sequence[Callback]) -> TrainFunction:
        """Return the function that trains on one batch per call, whatever the callbacks need."""
        return StreamSteps(self, model)

    def evaluation(self, count: int) -> Iterator[Data]:
        """Yield the batches in order, one at a time: ``count`` is 1, as no ``batch_size`` is known."""
        self.begin_epoch()
        for i in range(min(self.steps, self.total)):
            batch = self.batch(i)
            if batch is None:
                ended = f"The generator has ended after {i} of {self.argument}={self.steps} batches"
                warn_user(f"{ended}{'' if i else ', so this validation has no values'}; let it yield more.")
                return
            yield batch
        self.end_epoch()

    def batch(self, i: int) -> Data | None:
        """Return batch i of a data set, or the next one of a generator; None if that has ended."""
        batch, self.first = self.first or self._take(i), None
        return batch

    def _take(self, i: int) -> Data | None:
        try:
            batch = next(self.stream) if self.is_generator else self.stream[i]
        except StopIteration:
            return None
        return self.check(batch)

    def _notify(self, event: str) -> None:
        getattr(self.stream, event, lambda: None)()


class StreamSteps:
    """Train function for batches that are not rows of one array: one step per call.

    How a step is executed is decided for each batch, because the next one may have another size, dtype or weights.
    """

    steps_per_call = 1

    def __init__(self, source: StreamSource, model: TrainableNetwork) -> None:
        self.source, self.model = source, model

    def __call__(self, batches: Sequence[Any]) -> Steps:
        """Take one step; none, with a warning, if the generator has ended."""
        data = self.source.batch(batches[0])
        if data is None:
            warn_user(
                "The generator has no more batches, so the epoch ends early; steps_per_epoch × epochs are needed."
            )
            return Steps([], np.empty(0), np.empty(0), 0)
        train_function = self.model.make_train_function(*data[:2], len(data.x), sample_weight=data.sample_weight)
        return train_function([slice(None)])


def is_stream(x: Any, argument: str = "x") -> bool:
    """Return whether x is a generator or a data set of batches instead of an array.

    Raises:
        ValueError: if x is a dict of arrays, which Keras takes for models with several inputs.
    """
    if isinstance(x, Mapping):
        raise ValueError(
            f"{argument} must be an array, a generator or a data set of batches; got a dict: pass its array."
        )
    if isinstance(x, list | tuple | Pixels | str) or hasattr(x, "__array__"):
        return False
    return hasattr(x, "__next__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


Source = ArraySource | StreamSource


def stream_source(
    model: TrainableNetwork,
    x: Any,
    y: Any,
    weights: Any,
    steps: int | None,
    argument: str,
    split: float = 0.0,
) -> StreamSource:
    """Return the source for a generator or data set, whose batches are checked; arguments as in ``fit``."""
    sample_weight, class_weight = weights
    for name, value in {"y": y, "sample_weight": sample_weight, "validation_split": split or None}.items():
        if value is not None:
            raise ValueError(f"{name} cannot be combined with a generator or data set; its batches hold all data.")

    def check(batch: Any) -> Data:
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            kind = f"{len(batch)} entries" if isinstance(batch, tuple | list) else type(batch).__name__
            raise ValueError(f"A generator or data set must give (x, y) or (x, y, sample_weight); got {kind}.")
        samples, targets = model.check_data(*batch[:2])
        return Data(samples, targets, weights_of(targets, batch[2] if len(batch) == 3 else None, class_weight))

    return StreamSource(x, check, steps, argument)


def prediction_source(model: TrainableNetwork, x: Any, batch_size: int | None, steps: int | None) -> Source:
    """Return the source of the samples for ``predict``, which ignores targets and weights in a stream's batches."""

    def checked(x: Any) -> Data:
        samples = model.check_inputs(x)
        return Data(samples, np.empty((len(samples), 0)))  # no targets

    def check_batch(batch: Any) -> Data:
        return checked(batch[0] if isinstance(batch, tuple | list) and batch else batch)

    if is_stream(x):
        return StreamSource(x, check_batch, steps, "steps")
    data = checked(x)
    return ArraySource(data, batch_size_or_default(batch_size, len(data.x), steps, "steps"), steps, "steps")


def validation_source(
    model: TrainableNetwork, validation_data: Any, source: Source, batch_size: int | None, steps: int | None
) -> Source | None:
    """Return the source of the validation: of what was split off, ``Data``, or of what the user passed to ``fit``."""
    if validation_data is None:
        return None
    if is_stream(validation_data, "validation_data"):
        found: Source = stream_source(model, validation_data, None, (None, None), steps, "validation_steps")
    else:
        if not isinstance(validation_data, Data):
            if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
                kind = type(validation_data).__name__
                raise ValueError(f"validation_data must be a pair (x, y), or a triple with weights; got {kind}.")
            x, y, *weights = validation_data
            validation_data = model.checked(x, y, weights[0] if weights else None, prefix="validation ")
        size = batch_size_or_default(batch_size, len(validation_data.x), steps, "validation_steps")
        found = ArraySource(validation_data, size, steps, "validation_steps")
    if found.x_shape[1:] != source.x_shape[1:]:
        shapes = f"{source.x_shape[1:]}; got {found.x_shape[1:]}"
        raise ValueError(f"validation x must have samples of the same shape as x, {shapes}.")
    return found


def batch_size_or_default(batch_size: int | None, samples: int, steps: int | None, argument: str) -> int:
    """Return the number of samples per batch; by default 32, or as many as give ``steps`` batches, as in Keras."""
    if batch_size is not None:
        return check_integer("batch_size", batch_size)
    return 32 if steps is None else math.ceil(samples / check_integer(argument, steps))


def check_frequency(validation_freq: int | Sequence[int]) -> int | list[int]:
    """Return ``validation_freq`` as an integer or a list of epochs, or raise a ``ValueError``."""
    if isinstance(validation_freq, list | tuple | set | range):
        return [check_integer("each epoch of validation_freq", epoch) for epoch in validation_freq]
    return check_integer("validation_freq", validation_freq)


def validates(epoch: int, frequency: int | list[int]) -> bool:
    """Return whether the epoch with that number, counted from 1, ends with a validation."""
    return epoch in frequency if isinstance(frequency, list) else epoch % frequency == 0

"""Faults in where batches come from: parts of a pass, generators and data sets."""

from collections.abc import Iterator
from typing import Any

from parity_tests.faults.catalogue import planted_fault
from scratch import sources, training

draw, epoch, evaluation = sources.StreamSource.draw, sources._Passes.epoch, sources.StreamSource.evaluation
validation_source = training.validation_source


@planted_fault(sources._Passes, "offset_after", caught_by="streams")
def pass_begun_again(self: Any, state: Any) -> int:
    """With ``steps_per_epoch``, each epoch begins with the first batch again."""
    return 0


@planted_fault(sources._Passes, "epoch", caught_by="streams")
def epoch_filled_up(self: Any, state: Any) -> list[Any]:
    """The epoch in which a pass ends is filled up with batches of the next pass."""
    rows = epoch(self, state)
    return rows if self.limit is None else [*rows, *self.rows[: self.limit - len(rows)]]


@planted_fault(sources.StreamSource, "batch", caught_by="streams")
def first_batch_lost(self: Any, i: int) -> Any:
    """The batch of a generator from which ``fit`` reads the shape is not trained on."""
    self.first = None
    return self._take(i)


@planted_fault(sources.StreamSource, "draw", caught_by="streams")
def data_set_always_shuffled(self: Any, state: Any) -> list[Any]:
    """The batches of a data set are shuffled with ``shuffle=False``, too."""
    state.shuffle = True
    return draw(self, state)


@planted_fault(sources.StreamSource, "evaluation", caught_by="streams")
def steps_ignored(self: Any, count: int) -> Iterator[Any]:
    """Evaluation takes all batches of a data set, whatever ``steps`` is."""
    self.steps = self.total
    return evaluation(self, count)


@planted_fault(training, "validates", caught_by="streams")
def validated_after_each_epoch(epoch: int, frequency: Any) -> bool:
    """``validation_freq`` has no effect."""
    return True


@planted_fault(training, "validation_source", caught_by="streams")
def validation_batch_size_ignored(model: Any, data: Any, source: Any, batch_size: Any, steps: Any) -> Any:
    """A validation has batches of 32 samples, whatever ``validation_batch_size`` is."""
    return validation_source(model, data, source, None, steps)


@planted_fault(sources, "weights_of", caught_by="streams")
def weights_of_a_stream_ignored(*arguments: Any, **options: Any) -> None:
    """The weights in the batches of a generator have no effect."""


@planted_fault(sources.StreamSource, "_notify", caught_by="streams")
def hooks_of_a_data_set_not_called(self: Any, hook: str) -> None:
    """A data set is not told that an epoch begins or ends."""

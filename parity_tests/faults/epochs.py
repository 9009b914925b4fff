"""Faults in training: batches, the training step, and the split into training and validation samples."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch import network, sources, trainable, training
from scratch.losses.weighted import WeightedLoss

Array = np.ndarray
batches, backward = sources.batches, network.Network.backward
train_step = trainable.TrainableNetwork.train_step
training_data = training.Trainer._training_data


def row_numbers(rows: Any, n: int) -> Array:
    """Return the numbers of the samples that ``rows``, a slice or an array, selects of n."""
    return np.arange(n)[rows]


@planted_fault(sources, "batches", caught_by="shuffling")
def short_batch_dropped(n: int, batch_size: int, rng: Any = None) -> Iterator[Any]:
    """A last batch with fewer samples is dropped."""
    yield from (rows for rows in batches(n, batch_size, rng) if len(row_numbers(rows, n)) == min(batch_size, n))


@planted_fault(sources, "batches", caught_by="shuffling")
def first_batch_dropped(n: int, batch_size: int, rng: Any = None) -> Iterator[Any]:
    """The loop over batches starts at 1."""
    yield from list(batches(n, batch_size, rng))[1:] or batches(n, batch_size, rng)


@planted_fault(sources, "batches", caught_by="shuffling")
def last_sample_dropped(n: int, batch_size: int, rng: Any = None) -> Iterator[Any]:
    """The last sample of each batch is dropped."""
    for rows in batches(n, batch_size, rng):
        numbers = row_numbers(rows, n)
        yield numbers[: max(1, len(numbers) - 1)]


@planted_fault(sources, "batches", caught_by="shuffling")
def same_order_every_epoch(n: int, batch_size: int, rng: Any = None) -> Iterator[Any]:
    """Each epoch draws the same order of samples."""
    yield from batches(n, batch_size, rng and np.random.default_rng(0))


@planted_fault(sources, "batches", caught_by="shuffling")
def batches_shuffled(n: int, batch_size: int, rng: Any = None) -> Iterator[Any]:
    """Batches are shuffled instead of samples."""
    in_order = list(batches(n, batch_size))
    yield from in_order if rng is None else [in_order[i] for i in np.random.default_rng(0).permutation(len(in_order))]


@planted_fault(trainable.TrainableNetwork, "train_step", caught_by="epoch reports")
def accuracy_after_update(self: Any, x: Array, y: Array, sample_weight: Array | None = None) -> tuple[float, Array]:
    """The accuracy of a batch is taken after its update."""
    loss, _ = train_step(self, x, y, sample_weight)
    return loss, self.forward(x)


@planted_fault(trainable.TrainableNetwork, "train_step", caught_by="epoch reports")
def loss_after_update(self: Any, x: Array, y: Array, sample_weight: Array | None = None) -> tuple[float, Array]:
    """The loss of a batch is taken after its update."""
    _, out = train_step(self, x, y, sample_weight)
    loss = self.loss if sample_weight is None else WeightedLoss(self.loss, sample_weight)
    after = self.forward(x)
    return float(self.compute_loss(loss, after, loss.targets(y, out.shape[-1], out.dtype))[1]), out


@planted_fault(network.Network, "backward", caught_by="epoch reports")
def first_layer_not_updated(self: Any, criterion: Any, trace: Any = None, **options: bool) -> None:
    """The gradients of the first layer are zero in training."""
    backward(self, criterion, trace, **options)
    if trace is None:
        first = next(layer for layer in self.layers if layer.params)
        first.grads = {key: np.zeros_like(grad) for key, grad in first.grads.items()}


@planted_fault(training.Trainer, "_training_data", caught_by="epoch reports")
def first_samples_validated(self: Any, x: Array, y: Array, weights: Any, split: float) -> Any:
    """``validation_split`` takes the first samples instead of the last."""
    return training_data(self, x[::-1], y[::-1], weights, split)


@planted_fault(training.Trainer, "_training_data", caught_by="epoch reports")
def validation_samples_trained(self: Any, x: Array, y: Array, weights: Any, split: float) -> Any:
    """Validation samples are trained on as well."""
    return training_data(self, x, y, weights, 0.0)[0], training_data(self, x, y, weights, split)[1]


@planted_fault(training.Trainer, "_training_data", caught_by="shuffling")
def targets_shuffled_apart(self: Any, x: Array, y: Array, weights: Any, split: float) -> Any:
    """Targets are shuffled independently of their samples."""
    data, validation = training_data(self, x, y, weights, split)
    return data._replace(y=data.y[np.random.default_rng(0).permutation(len(data.y))]), validation


@planted_fault(training.Trainer, "_training_data", caught_by="epoch reports")
def training_samples_validated(self: Any, x: Array, y: Array, weights: Any, split: float) -> Any:
    """Validation uses the training samples."""
    data, validation = training_data(self, x, y, weights, split)
    return data, validation and data

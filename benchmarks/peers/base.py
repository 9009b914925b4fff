"""Define the interface of a peer, and the parts that several peers share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.tasks import Array, Task

# Arrays that show what a peer computes. The first word of a name selects the tolerance in ``measurement/same.py``.
Outputs = dict[str, Array]


class Peer(ABC):
    """A program that trains the network of a task, with SGD unless the task's variant names another optimizer.

    Args:
        task: the network, its samples and its initial weights.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    @abstractmethod
    def set_weights(self, weights: Sequence[Array]) -> None:
        """Set the weights: W and b of each layer in turn."""

    @abstractmethod
    def get_weights(self) -> list[Array]:
        """Return a copy of the weights: W and b of each layer in turn."""

    @abstractmethod
    def train(self, samples: int, shuffle: bool) -> None:
        """Train for one epoch.

        Args:
            samples: use only the first ``samples`` samples of the task.
            shuffle: draw a new order of the samples; otherwise use the order of the task.
        """

    @abstractmethod
    def predict(self, x: Array) -> Array:
        """Return probabilities, shape (N, classes), for any number of samples N."""

    def train_step(self) -> None:
        """Train on the first batch."""
        self.train(self.task.batch_size, shuffle=False)

    def call(self, x: Array) -> Array:
        """Return probabilities for one batch by the call with the least overhead: ``model(x)`` in Keras."""
        return self.predict(x)

    def outputs(self) -> Outputs:
        """Return what is compared before the peer is timed: probabilities; after a few steps, weights and loss."""
        self.set_weights(self.task.weights)
        x = self.task.x[: self.task.batch_size]
        outputs = {"probabilities of model(x)": self.call(x), "probabilities of predict": self.predict(x)}
        self.train(self.task.checked_samples, shuffle=False)
        outputs |= {f"weights {i} after training": W for i, W in enumerate(self.get_weights())}
        return outputs | {"loss after training": self._mean_loss(self.task.checked_samples)}

    def _mean_loss(self, samples: int) -> Array:
        """Return the mean cross-entropy of the first samples, shape (1,)."""
        probabilities = self.predict(self.task.x[:samples])[np.arange(samples), self.task.labels[:samples]]
        return -np.log(np.maximum(probabilities, 1e-7), dtype=np.float64).mean(keepdims=True)

    def reference_outputs(self) -> Outputs:
        """Return the outputs that are expected from every peer of which this peer is the reference."""
        return self.outputs()


class ModelPeer(Peer):
    """A peer whose model has Keras's methods: ``fit``, ``train_on_batch``, ``predict``.

    Attributes:
        model: the compiled model.
        x: the samples that ``fit`` is given.
        callbacks: those of ``fit``.
        losses_read: what the callback has read in the last call of ``train``, if the variant has one.
    """

    model: Any
    x: Any
    callbacks: Sequence[Any] = ()
    losses_read: list[float]

    def read_logs(self, batch: int, logs: dict[str, Any]) -> None:
        """Read the loss of a batch's logs: what the callback of a variant does."""
        self.losses_read.append(float(logs["loss"]))

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.model.set_weights(weights)

    def get_weights(self) -> list[Array]:
        return self.model.get_weights()

    def train(self, samples: int, shuffle: bool) -> None:
        x, t, self.losses_read = self.x[:samples], self.task.targets[:samples], []
        options = {"batch_size": self.task.batch_size, "callbacks": list(self.callbacks), "shuffle": shuffle}
        self.model.fit(x, t, epochs=1, verbose=0, **options)

    def train_step(self) -> None:
        self.model.train_on_batch(self.x[: self.task.batch_size], self.task.targets[: self.task.batch_size])

    def predict(self, x: Array) -> Array:
        return self.model.predict(x, verbose=0)

    def outputs(self) -> Outputs:
        """Return the outputs of ``Peer``, and the losses that the callback has read, if the variant has one."""
        outputs, read = super().outputs(), np.array(self.losses_read)
        return outputs | {"loss read by the callback": read} if self.task.variant.reads_logs else outputs


def batch_indices(samples: int, batch_size: int, shuffle: bool) -> Array:
    """Return the sample indices of each batch, shape (steps, batch_size)."""
    order = np.random.default_rng().permutation(samples) if shuffle else np.arange(samples)
    return order.reshape(-1, batch_size)

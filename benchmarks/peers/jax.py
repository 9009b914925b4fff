"""JAX without Keras: an epoch is one compiled ``lax.scan`` over a hand-written training step."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks.peers.base import Peer, batch_indices
from benchmarks.tasks import LEARNING_RATE, Array, Task


class JaxScanPeer(Peer):
    """JAX at its best: no Python runs between the steps of an epoch."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.x, self.labels = jnp.asarray(task.x), jnp.asarray(task.labels)

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.weights = [jnp.array(W) for W in weights]

    def get_weights(self) -> list[Array]:
        return [np.array(W) for W in self.weights]

    def train(self, samples: int, shuffle: bool) -> None:
        indices = batch_indices(samples, self.task.batch_size, shuffle)
        self.weights, _, _ = jax.block_until_ready(train_epoch(self.weights, self.x, self.labels, indices))

    def predict(self, x: Array) -> Array:
        return np.asarray(probabilities(self.weights, x))


def logits(weights: Any, x: Any) -> Any:
    """Return the output of the last Dense layer, shape (N, classes)."""
    for W, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = jax.nn.relu(x @ W + b)
    return x @ weights[-2] + weights[-1]


def loss_and_correct(weights: Any, x: Any, labels: Any) -> tuple[Any, Any]:
    """Return the mean cross-entropy and the number of correct predictions of a batch."""
    out = logits(weights, x)
    log_probabilities = jnp.take_along_axis(jax.nn.log_softmax(out), labels[:, None], axis=1)
    return -log_probabilities.mean(), (out.argmax(1) == labels).sum()


@jax.jit
def train_epoch(weights: Any, x: Any, labels: Any, indices: Any) -> Any:
    """Train on the batches ``indices`` (steps, batch_size); return weights, summed loss and correct predictions."""

    def step(state: Any, rows: Any) -> Any:
        weights, total, correct = state
        (loss, hits), grads = jax.value_and_grad(loss_and_correct, has_aux=True)(weights, x[rows], labels[rows])
        weights = [W - LEARNING_RATE * dW for W, dW in zip(weights, grads, strict=True)]
        return (weights, total + loss, correct + hits), None

    return jax.lax.scan(step, (weights, 0.0, 0), indices)[0]


@jax.jit
def probabilities(weights: Any, x: Any) -> Any:
    """Return the softmax of the logits, shape (N, classes)."""
    return jax.nn.softmax(logits(weights, x))

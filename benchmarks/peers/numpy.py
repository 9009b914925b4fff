"""NumPy without a library: the training step written out, into preallocated arrays."""

from collections.abc import Sequence

import numpy as np

from benchmarks.peers.base import Peer, batch_indices
from benchmarks.tasks import LEARNING_RATE, Array, Task


class InPlacePeer(Peer):
    """A training step in NumPy whose operations write into arrays that are allocated once."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.x = np.empty((task.batch_size, task.x.shape[1]), np.float32)
        self.out = [np.empty((task.batch_size, len(b)), np.float32) for b in task.weights[1::2]]
        self.grads = [np.empty_like(W) for W in task.weights]

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.weights = [W.copy() for W in weights]

    def get_weights(self) -> list[Array]:
        return [W.copy() for W in self.weights]

    def train(self, samples: int, shuffle: bool) -> None:
        loss, correct, rows = 0.0, 0, np.arange(self.task.batch_size)
        for indices in batch_indices(samples, self.task.batch_size, shuffle):
            np.take(self.task.x, indices, axis=0, out=self.x, mode="clip")
            labels = self.task.labels[indices]
            y = self._forward(self.x, self.out)
            loss -= np.log(np.maximum(y[rows, labels], np.float32(1e-30))).sum()
            correct += np.count_nonzero(y.argmax(axis=1) == labels)
            y[rows, labels] -= 1
            y /= self.task.batch_size
            self._backward(y)
            for W, dW in zip(self.weights, self.grads, strict=True):
                dW *= np.float32(LEARNING_RATE)
                W -= dW

    def _forward(self, x: Array, outs: list[Array]) -> Array:
        for i, out in enumerate(outs):
            np.dot(x, self.weights[2 * i], out=out)
            out += self.weights[2 * i + 1]
            if i < len(outs) - 1:
                np.maximum(out, 0, out=out)
            x = out
        x -= x.max(axis=1, keepdims=True)
        np.exp(x, out=x)
        x /= x.sum(axis=1, keepdims=True)
        return x

    def _backward(self, dout: Array) -> None:
        for i in reversed(range(len(self.out))):
            x = self.out[i - 1] if i else self.x
            np.dot(x.T, dout, out=self.grads[2 * i])
            dout.sum(axis=0, out=self.grads[2 * i + 1])
            if i:
                positive = x > 0
                dout = np.dot(dout, self.weights[2 * i].T, out=x)  # x is not read again in this step
                dout *= positive

    def predict(self, x: Array) -> Array:
        return self._forward(x, [np.empty((len(x), out.shape[1]), np.float32) for out in self.out])

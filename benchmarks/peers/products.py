"""The bare matrix products of a training step, in NumPy's BLAS and in scratch's compiled kernel.

A dense implementation on the same BLAS cannot be faster than the former. The latter shows what the kernel contributes.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks.peers.base import Outputs, Peer
from benchmarks.peers.scratch import ScratchPeer
from benchmarks.tasks import Array, Task
from scratch import ops


class ProductsPeer(Peer):
    """The dense matrix products of a training step in NumPy's BLAS and nothing else.

    L Dense layers need 3L − 1 products: L in the forward pass, L for dW and L − 1 for dx in the backward pass. Except
    for x, which follows the batches, the operands are the reference's tensors of the first batch.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.reference = ScratchPeer(task, "numpy")
        self.set_weights(task.weights)

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.reference.set_weights(weights)
        model, first = self.reference.model, slice(self.task.batch_size)
        self.tensors = model.trace(self.task.x[first], self.task.t[first])
        names = [layer.name for layer in model.layers]
        self.dense, activations = names[::2], names[1:-1:2]
        self.W = [W.copy() for W in weights[::2]]
        self.inputs = [self.tensors[f"{name}/out"] for name in activations]  # of the second Dense layer and those above
        self.douts = [*(self.tensors[f"{name}/dx"] for name in activations), self.tensors["loss/dx"]]
        self.outs = [np.empty_like(dout) for dout in self.douts]
        self.dW = [np.empty_like(W) for W in self.W]
        self.dx = [np.empty_like(x) for x in self.inputs]

    def get_weights(self) -> list[Array]:
        return self.reference.get_weights()

    def train(self, samples: int, shuffle: bool) -> None:
        for start in range(0, samples, self.task.batch_size):
            self._multiply(self.task.x[start : start + self.task.batch_size])

    def _multiply(self, x: Array) -> None:
        for i, (x_i, W, dout) in enumerate(zip([x, *self.inputs], self.W, self.douts, strict=True)):
            np.dot(x_i, W, out=self.outs[i])
            np.dot(x_i.T, dout, out=self.dW[i])
            if i:
                np.dot(dout, W.T, out=self.dx[i - 1])

    def predict(self, x: Array) -> Array:
        raise ValueError("The bare matrix products have no predictions; measure 'epoch' or 'step'.")

    def outputs(self) -> Outputs:
        """Return the products of the first batch."""
        self.set_weights(self.task.weights)
        self._multiply(self.task.x[: self.task.batch_size])
        return _named(self.outs, self.dW, self.dx)

    def reference_outputs(self) -> Outputs:
        """Return the reference's tensors; initial biases are zero, so that a layer's output is a bare product."""
        outs, dW, dx = ([self.tensors[f"{name}/{tensor}"] for name in self.dense] for tensor in ("out", "dW", "dx"))
        return _named(outs, dW, dx[1:])


class ScratchProductsPeer(ProductsPeer):
    """The same products by ``dense_forward`` and ``dense_backward`` of scratch, which allocate their results.

    The sums over samples for the biases, which ``dense_backward`` computes too, are included.
    """

    def _multiply(self, x: Array) -> None:
        operations = ops.get("numba")
        for i, (x_i, W, dout) in enumerate(zip([x, *self.inputs], self.W, self.douts, strict=True)):
            self.outs[i] = operations.dense_forward(x_i, W, None)
            dx, self.dW[i], _ = operations.dense_backward(dout, x_i, W, need_dx=i > 0)
            if i:
                self.dx[i - 1] = dx


def _named(outs: list[Array], dW: list[Array], dx: list[Array]) -> Outputs:
    """Name the products; the first layer has no dx."""
    outputs = {f"product {i} forward": out for i, out in enumerate(outs)}
    outputs |= {f"product {i} for dW": array for i, array in enumerate(dW)}
    return outputs | {f"product {i} for dx": array for i, array in enumerate(dx, start=1)}

"""How ``evaluate`` and ``predict`` compute their batches: layer by layer, or several at once in the compiled core.

``make_inference`` chooses once.  A model that the compiled core has trained keeps its parameters there, so the core can
compute its outputs and losses too, with the bits of ``forward`` and ``compute_loss``.  Batches one at a time are
computed layer by layer: for a few samples, describing them to the core takes longer than the layers.  So are samples
with weights, whose metrics depend on how batches are joined in the last bit.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from scratch.batches import Data, batches
from scratch.callbacks import CallbackList
from scratch.execution import Steps, batches_can_be_joined, steps_per_call
from scratch.fusion import trained_step
from scratch.losses.weighted import WeightedLoss
from scratch.network import Network
from scratch.pixels import Pixels
from scratch.utils import Array


class Inference:
    """Computes batches layer by layer, on a detached copy of the model.

    The caller holds the model's lock.

    Args:
        network: the model.
        batch_size: samples per batch; 0 if each call is given one batch of any size.

    Attributes:
        batches_per_call: number of batches that a call may be given.
    """

    batches_per_call = 1

    def __init__(self, network: Network, batch_size: int) -> None:
        self.network, self.batch_size = network, batch_size

    @cached_property
    def detached(self) -> Network:
        """A copy of the model that shares its parameters; the compiled core needs none."""
        return self.network.detached()

    def predict(self, x: Array | Pixels) -> Array:
        """Return the outputs (N, …) for the samples (N, …) of these batches."""
        return self.detached.forward(x)

    def evaluate(self, data: Data) -> Steps:
        """Return the loss of each batch, and the outputs."""
        loss, model, values, outputs = self.network.loss, self.detached, list[float](), list[Array]()
        assert loss is not None
        size = self.batch_size or len(data.x)
        for x, y, sample_weight in map(data.take, batches(len(data.x), size)):
            out = model.forward(x)
            criterion = loss if sample_weight is None else WeightedLoss(loss, sample_weight)
            _, value = model.compute_loss(criterion, out, loss.targets(y, out.shape[1], out.dtype))
            values.append(float(value))
            outputs.append(out)
        return Steps(values, data.y, np.concatenate(outputs), size, data.sample_weight)


class FusedInference(Inference):
    """Computes batches in the compiled core, as long as the step that has trained the model applies."""

    def __init__(self, network: Network, batch_size: int) -> None:
        super().__init__(network, batch_size)
        self.batches_per_call = steps_per_call(network, batch_size)

    def predict(self, x: Array | Pixels) -> Array:
        """Return the outputs (N, C) for the samples (N, …) of these batches."""
        fused = trained_step(self.network)
        if fused is None:
            return super().predict(x)
        _, out = fused.infer(x, np.zeros((len(x), fused.classes), fused.dtype))
        return out

    def evaluate(self, data: Data) -> Steps:
        """Return the loss of each batch, and the outputs."""
        loss, fused = self.network.loss, trained_step(self.network)
        if fused is None or loss is None:
            return super().evaluate(data)
        losses, out = fused.infer(data.x, loss.smooth(loss.targets(data.y, fused.classes, fused.dtype)))
        return Steps(loss.reduce_batches(losses, self.batch_size), data.y, out, self.batch_size)


def make_inference(
    network: Network, data: Data | None, batch_size: int, steps: int, callbacks: CallbackList, events: Sequence[str]
) -> Inference:
    """Return what computes the batches of one ``evaluate`` or ``predict``.

    Args:
        network: the model.
        data: all samples; None if they come batch by batch.
        batch_size: samples per batch; 0 if it is not the same for all.
        steps: number of batches.
        callbacks: called for each batch if one of them needs it, else once per call.
        events: their batch methods.
    """
    if (
        steps == 1
        or data is None
        or data.sample_weight is not None
        or any(callback.needs_each_batch(*events) for callback in callbacks.callbacks)
        or trained_step(network) is None
        or not batches_can_be_joined(network, data.x)
    ):
        return Inference(network, batch_size)
    return FusedInference(network, batch_size)

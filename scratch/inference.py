"""How ``evaluate``, ``predict`` and ``model(x)`` compute their batches: in the compiled core, or layer by layer.

A model that the compiled core has trained keeps its parameters there, so the core can compute its outputs and losses
too, with the bits of ``forward`` and ``compute_loss``; one batch per call or, if ``make_inference`` finds that nobody
needs each batch, several.  Samples with weights are evaluated layer by layer: their losses are weighted there.
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
from scratch.utils import Array, accepted


class Inference:
    """Computes batches, of which the caller passes one or several at a time while it holds the model's lock.

    Each call uses the compiled core if the step that has trained the model still applies; a callback may change that.

    Args:
        network: the model.
        batch_size: samples per batch; 0 if each call is given one batch of any size.
        batches_per_call: number of batches that a call may be given.
    """

    def __init__(self, network: Network, batch_size: int, batches_per_call: int) -> None:
        self.network, self.batch_size, self.batches_per_call = network, batch_size, batches_per_call

    @cached_property
    def detached(self) -> Network:
        """A copy of the model that shares its parameters; the compiled core needs none."""
        return self.network.detached()

    def _forward(self, x: Array | Pixels) -> Array:
        return self.detached.forward(x, **accepted(self.detached.forward, training=False))

    def predict(self, x: Array | Pixels) -> Array:
        """Return the outputs (N, …) for the samples (N, …) of these batches."""
        fused = trained_step(self.network)
        if fused is None:
            return self._forward(x)
        return fused.infer(x, np.zeros((len(x), fused.classes), fused.dtype))[1]

    def evaluate(self, data: Data) -> Steps:
        """Return the loss of each batch, and the outputs."""
        loss, fused, size = self.network.loss, trained_step(self.network), self.batch_size or len(data.x)
        assert loss is not None
        if fused is None or data.sample_weight is not None:
            return self._evaluate_layer_by_layer(data, size)
        losses, out = fused.infer(data.x, loss.smooth(loss.targets(data.y, fused.classes, fused.dtype)))
        return Steps(loss.reduce_batches(losses, size), data.y, out, size)

    def _evaluate_layer_by_layer(self, data: Data, batch_size: int) -> Steps:
        loss, values, outputs = self.network.loss, list[float](), list[Array]()
        assert loss is not None
        for x, y, sample_weight in map(data.take, batches(len(data.x), batch_size)):
            out = self._forward(x)
            criterion = loss if sample_weight is None else WeightedLoss(loss, sample_weight)
            _, value = self.detached.compute_loss(criterion, out, loss.targets(y, out.shape[1], out.dtype))
            values.append(float(value))
            outputs.append(out)
        return Steps(values, data.y, np.concatenate(outputs), batch_size, data.sample_weight)


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
    joins_batches = (
        steps > 1
        and data is not None
        and data.sample_weight is None
        and not any(callback.needs_each_batch(*events) for callback in callbacks.callbacks)
        and trained_step(network) is not None
        and batches_can_be_joined(network, data.x)
    )
    return Inference(network, batch_size, steps_per_call(network, batch_size) if joins_batches else 1)

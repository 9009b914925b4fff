"""How ``fit`` executes its steps: layer by layer, or as fused steps in the compiled core.

``make_train_function`` chooses: for arrays once, before the first epoch; for a generator or a data set, for each batch.
The result is called with the rows of one or more batches, trains on them, and returns the losses and the outputs:

- ``LayerByLayer`` calls the model's ``train_step`` for one batch: forward, loss, backward, update through the layers.
- ``FusedSteps`` passes the batches to a compiled step, which skips the layers' Python methods: several batches per call
  (Keras's ``steps_per_execution``).
- ``SingleFusedSteps`` does the same with one batch per call, if a callback or a metric needs each batch.

``fusion.py`` decides whether the compiled step applies; each metric class states whether it is ``additive``.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from scratch.batches import Rows
from scratch.callbacks import Callback
from scratch.fusion import declared, fused_step, has_its_shapes, share_state
from scratch.kernels import STATE_ARRAYS, Rule
from scratch.network import Network
from scratch.pixels import Pixels
from scratch.utils import Array

if TYPE_CHECKING:
    from scratch.kernels.fused_step import FusedStep  # imports Numba, which backend="numpy" does without
    from scratch.kernels.single_steps import SingleSteps

# Upper limits of one call: steps, outputs, multiplications of the forward pass, and bytes of Dropout's masks.  Together
# they keep a call below a tenth of a second, so that Ctrl-C, progress bars and backups do not wait for it.
MAX_STEPS, MAX_OUTPUTS, MAX_MULTIPLICATIONS, MAX_MASKS = 1 << 12, 1 << 17, 1 << 31, 1 << 22


TrainStep = Callable[..., tuple[float, Array]]  # x, y[, sample_weight] → loss and outputs from before the update


class Steps(NamedTuple):
    """Results of consecutive training steps, or of the batches of an evaluation.

    Attributes:
        losses: loss of each batch, from before its update.
        y: targets of all their samples.
        out: outputs (n, C) for these samples, from before the update of their batch.
        batch_size: samples per step; the last step may have fewer.
        sample_weight: weights (n,) of their samples, if they have any.
    """

    losses: list[float]
    y: Array
    out: Array
    batch_size: int
    sample_weight: Array | None = None


class TrainFunction(Protocol):
    """A function that takes training steps on the batches that it is given.

    Attributes:
        steps_per_call: number of batches that a call may be given.
    """

    steps_per_call: int

    def __call__(self, batches: Sequence[Rows]) -> Steps:
        """Take at least one step, on the first of the batches; ``Steps.losses`` tells how many."""


class LayerByLayer:
    """Train function that takes one step per call, through the layers.

    Args:
        train_step: the model's.
        x: samples (N, …).
        y: checked targets (N, …).
        sample_weight: weights (N,) of the samples, if they have any.
    """

    steps_per_call = 1

    def __init__(self, train_step: TrainStep, x: Array | Pixels, y: Array, sample_weight: Array | None = None) -> None:
        self.train_step, self.x, self.y, self.sample_weight = train_step, x, y, sample_weight

    def __call__(self, batches: Sequence[Rows]) -> Steps:
        """Take one step, on the first of the batches."""
        x, y = self.x[batches[0]], self.y[batches[0]]
        weights = () if self.sample_weight is None else (self.sample_weight[batches[0]],)
        loss, out = self.train_step(x, y, *weights)
        return Steps([loss], y, out, len(out), *weights)


class FusedSteps(LayerByLayer):
    """Train function that takes one or more steps per call in the compiled core.

    Args:
        network: the model.
        train_step: the model's, for steps that the compiled core does not take.
        x: samples (N, …).
        y: checked targets (N, …).
        steps_per_call: number of batches that a call may be given.
    """

    def __init__(
        self, network: Network, train_step: TrainStep, x: Array | Pixels, y: Array, steps_per_call: int
    ) -> None:
        super().__init__(train_step, x, y)
        self.network, self.steps_per_call = network, steps_per_call
        self.row_numbers = np.arange(len(x))

    def __call__(self, batches: Sequence[Rows]) -> Steps:
        """Take at least one step, and as many as there are batches unless a loss is not finite.

        A step runs layer by layer if the compiled step no longer applies, because a callback has changed the model or
        its optimizer, and if its loss is not finite: the compiled step stops before the update of such a batch, and
        ``train_step`` warns of the first tensor that is not finite.
        """
        fused = fused_step(self.network)
        steps = self._run_fused(fused, batches) if fused else None
        return steps if steps and steps.losses else super().__call__(batches)

    def _run_fused(self, fused: "FusedStep", batches: Sequence[Rows]) -> Steps:
        loss, optimizer = self.network.loss, self.network.optimizer
        assert loss is not None
        assert optimizer is not None
        rows = [self.row_numbers[batch] if isinstance(batch, slice) else batch for batch in batches]
        order, size = np.concatenate(rows), len(rows[0])
        y = self.y.take(order, axis=0)  # for rows, a third of the time of self.y[order]
        t = loss.smooth(loss.targets(y, fused.classes, fused.dtype))
        rule = optimizer.fused_rule
        assert rule is not None
        if STATE_ARRAYS[rule.kind]:
            share_state(self.network, optimizer, fused)
        fused.steps = 0
        try:
            losses, out = self._train(fused, order, t, size, rule, optimizer.steps(len(batches), fused.dtype))
        finally:
            taken = fused.steps  # complete steps, also after Ctrl-C
            optimizer.iterations += taken
            for dropout in filter(None, fused.dropouts):
                dropout.state["masks"][1] += taken
        return Steps(loss.reduce_batches(losses[: taken * size], size), y[: taken * size], out[: taken * size], size)

    def _train(
        self, fused: "FusedStep", order: Array, t: Array, batch_size: int, rule: Rule, steps: Array
    ) -> tuple[Array, Array]:
        """Take a step for each batch; return losses and outputs; ``fused.steps`` is the number of complete steps."""
        _, losses, out = fused.train(self.x, order, t, batch_size, rule, steps)
        return losses, out


class SingleFusedSteps(FusedSteps):
    """Train function that takes one step per call in the compiled core, whose threads stay there between the calls.

    Args:
        network: the model.
        train_step: the model's, for steps that the compiled core does not take.
        x: samples (N, …), which the compiled core reads in place.
        y: checked targets (N, …).
    """

    def __init__(self, network: Network, train_step: TrainStep, x: Array | Pixels, y: Array) -> None:
        super().__init__(network, train_step, x, y, steps_per_call=1)
        self.single: SingleSteps | None = None

    def _train(
        self, fused: "FusedStep", order: Array, t: Array, batch_size: int, rule: Rule, steps: Array
    ) -> tuple[Array, Array]:
        if self.single is None or not self.single.can_take(fused, batch_size, rule):
            if self.single is not None:
                self.single.end()
                self.single = None  # releases its buffers before others are allocated
            count = min(steps_per_call(self.network, batch_size, fused.masks_per_sample), len(self.x) // batch_size)
            self.single = fused.single_steps(self.x, batch_size, rule, count)
        try:
            return self.single.take(order, t, steps[0])
        finally:
            fused.steps = int(self.single.complete)


def make_train_function(
    network: Network,
    train_step: TrainStep,
    x: Array | Pixels,
    y: Array,
    batch_size: int,
    callbacks: Sequence[Callback],
) -> TrainFunction:
    """Return the function that executes the training steps of one ``fit``.

    Several batches per call are possible if no callback needs batch-level events, every metric is additive, and the
    compiled step can read the samples without a conversion.
    """
    fused = fused_step(network)
    if fused is None or not all(map(has_its_shapes, network.layers)):
        return LayerByLayer(train_step, x, y)
    from scratch.kernels.fused_step import reads

    if not reads(x) or len(x) <= batch_size:
        return FusedSteps(network, train_step, x, y, steps_per_call=1)
    each_batch = any(callback.needs_batch_events for callback in callbacks)
    if each_batch or not batches_can_be_joined(network, x):
        return SingleFusedSteps(network, train_step, x, y)
    return FusedSteps(network, train_step, x, y, steps_per_call(network, batch_size, fused.masks_per_sample))


def steps_per_call(network: Network, batch_size: int, masks: int = 0) -> int:
    """Return how many batches one call may compute; ``masks`` is the number of bytes of a sample's masks."""
    weights, outputs = network.count_params(), math.prod(filter(None, network.output_shape or ()))
    samples = min(MAX_MULTIPLICATIONS // weights, MAX_OUTPUTS // outputs, MAX_MASKS // max(masks, 1))
    return max(1, min(MAX_STEPS, samples // batch_size))


def batches_can_be_joined(network: Network, x: Array | Pixels) -> bool:
    """Return whether one call may compute several batches: x is read in place, and every metric is additive."""
    from scratch.kernels.fused_step import reads

    return reads(x) and all(declared(metric, "additive", "update_state", "values") for metric in network.metrics)

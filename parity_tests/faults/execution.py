"""Faults in how ``fit`` uses the compiled core: when it applies, what it is given, what is made of its results."""

from typing import Any

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch.dropout import Dropout
from scratch.execution import FusedSteps, Steps
from scratch.inference import Inference
from scratch.kernels import Rule, plan
from scratch.kernels.fused_step import FusedStep
from scratch.kernels.job import ACTIVATE, BACKWARD, KIND, UPDATE
from scratch.kernels.single_steps import SingleSteps

Array = np.ndarray
run_fused, train, passes, mask = FusedSteps._run_fused, FusedStep.train, plan._passes, Dropout.mask
infer, evaluate, take = FusedStep.infer, Inference.evaluate, SingleSteps.take


@planted_fault(FusedSteps, "_run_fused", caught_by="training", backends=["numba"])
def metric_of_other_rows(self: Any, fused: FusedStep, batches: Any) -> Steps:
    """The outputs are compared with the targets of other samples."""
    steps = run_fused(self, fused, batches)
    return steps._replace(y=np.roll(steps.y, 1, axis=0))


@planted_fault(FusedStep, "train", caught_by="training", backends=["numba"])
def learning_rate_read_once(self: Any, *arguments: Any) -> Any:
    """The learning rate is read before the first step only."""
    *others, steps = arguments
    first = vars(self).setdefault("first_step", steps[0])
    return train(self, *others, np.tile(first, (len(steps), 1)))


@planted_fault(FusedStep, "train", caught_by="training", backends=["numba"])
def stale_losses(self: Any, *arguments: Any) -> Any:
    """The losses are those of the call before."""
    taken, losses, out = train(self, *arguments)
    before, self.losses = vars(self).get("losses", losses), losses
    return taken, before, out


@planted_fault(SingleSteps, "take", caught_by="training", backends=["numba"])
def learning_rate_of_the_first_step(self: Any, order: Array, t: Array, step: Array) -> Any:
    """Steps with a callback between them have the learning rate of the first one."""
    return take(self, order, t, vars(self).setdefault("first_step", step))


@planted_fault(SingleSteps, "take", caught_by="training", backends=["numba"])
def targets_of_the_step_before(self: Any, order: Array, t: Array, step: Array) -> Any:
    """Steps with a callback between them have the targets of the step before."""
    before, self.targets = vars(self).get("targets", t), t
    return take(self, order, before, step)


@planted_fault(FusedStep, "infer", caught_by="epoch reports", backends=["numba"])
def stale_inference(self: Any, *arguments: Any) -> Any:
    """An evaluation uses the parameters of the evaluation before."""
    now = self.parameters.flat.copy()
    self.parameters.flat[:], self.evaluated = vars(self).get("evaluated", now), now
    results = infer(self, *arguments)
    self.parameters.flat[:] = now
    return results


@planted_fault(Inference, "evaluate", caught_by="epoch reports", backends=["numba"])
def losses_of_the_first_batch(self: Any, data: Any) -> Steps:
    """The loss of each batch of an evaluation is that of the first one."""
    steps = evaluate(self, data)
    return steps._replace(losses=steps.losses[:1] * len(steps.losses))


@planted_fault(FusedStep, "is_for", caught_by="training", backends=["numba"])
def stale_weights(self: Any, weights: Any, activations: Any) -> bool:
    """Parameters that were replaced by other arrays are not noticed."""
    return len(weights) == len(self.weights)


@planted_fault(plan, "_passes", caught_by="training", backends=["numba"])
def barrier_left_out(*arguments: Any) -> Any:
    """The first update does not wait for the gradients of all samples."""
    operations, starts = passes(*arguments)
    first = int(np.argmax(operations[:, KIND] == UPDATE))  # 0 in inference
    return operations, np.where((starts == first) & (starts > 0), first + 1, starts)


@planted_fault(plan, "_passes", caught_by="training", backends=["numba"])
def sums_not_awaited(*arguments: Any) -> Any:
    """The outputs of a layer that is partitioned by inputs do not wait for both sums."""
    operations, starts = passes(*arguments)
    return operations, starts[operations[np.minimum(starts, len(operations) - 1), KIND] != ACTIVATE]


@planted_fault(plan, "_passes", caught_by="training", backends=["numba"])
def updated_before_backward(*arguments: Any) -> Any:
    """The last layer is updated before the gradient flows back through it."""
    operations, starts = passes(*arguments)
    if BACKWARD not in operations[:, KIND]:
        return operations, starts
    first = int(np.argmax(operations[:, KIND] == BACKWARD))
    order = [*range(first), len(operations) - 1, *range(first, len(operations) - 1)]
    return operations[order], starts + ((starts >= first) & (starts < len(operations)))


@planted_fault(FusedStep, "train", caught_by="epoch reports", backends=["numba"])
def momentum_ignored(self: Any, x: Any, order: Array, t: Array, batch_size: int, rule: Rule, steps: Array) -> Any:
    """The compiled core trains without momentum."""
    return train(self, x, order, t, batch_size, rule._replace(momentum=0.0), steps)


@planted_fault(Dropout, "mask", caught_by="training", backends=["numba"])
def same_mask_for_all_steps_of_a_call(self: Any, ahead: int, shape: tuple[int, ...]) -> Array:
    """Several steps in one call have the mask of the first."""
    return mask(self, 0, shape)

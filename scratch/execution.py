"""How ``fit`` executes its steps: layer by layer, or as fused steps in the compiled core.

``make_train_function`` chooses once, before the first epoch.  The result is called with the rows of one or more
batches, trains on them, and returns the losses and the outputs:

- ``LayerByLayer`` calls the model's ``train_step`` for one batch: forward, loss, backward, update through the layers.
- ``FusedSteps`` passes the batches to a compiled step, which skips the layers' Python methods.  If no callback needs
  batch-level events, it takes several batches per call (Keras's ``steps_per_execution``).

Whether the compiled step applies is answered by the parts themselves: each layer, loss and optimizer class states a
``fused_rule``, each metric class whether it is ``additive``.  ``fused_step`` collects the answers.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from scratch.batches import Rows
from scratch.callbacks import Callback
from scratch.dropout import Dropout
from scratch.kernels import FUSED_ACTIVATIONS, STATE_ARRAYS, Rule, clips_by_norm
from scratch.layer import Layer
from scratch.network import Network
from scratch.optimizers import Optimizer
from scratch.pixels import Pixels
from scratch.utils import Array, overridden

if TYPE_CHECKING:
    from scratch.kernels.fused_step import FusedStep  # imports Numba, which backend="numpy" does without
    from scratch.kernels.single_steps import SingleSteps

# Upper limits of one call: steps, outputs, multiplications of the forward pass, and bytes of Dropout's masks.  Together
# they keep a call below a few hundredths of a second, so that Ctrl-C, progress bars and backups do not wait for it.
MAX_STEPS, MAX_OUTPUTS, MAX_MULTIPLICATIONS, MAX_MASKS = 1 << 12, 1 << 17, 1 << 30, 1 << 22


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
        rows = [self.row_numbers[batch] for batch in batches]
        order, size = np.concatenate(rows) if len(rows) > 1 else rows[0], len(rows[0])
        y = self.y[order]
        t = loss.smooth(loss.targets(y, fused.classes, fused.dtype))
        rule = optimizer.fused_rule
        assert rule is not None
        if STATE_ARRAYS[rule.kind]:
            _share_state(self.network, optimizer, fused)
        try:
            losses, out = self._train(fused, order, t, size, rule)
        finally:
            taken = fused.steps  # complete steps, also after Ctrl-C
            optimizer.iterations += taken
            for dropout in filter(None, fused.dropouts):
                dropout.state["masks"][1] += taken
        return Steps(loss.reduce_batches(losses[: taken * size], size), y[: taken * size], out[: taken * size], size)

    def _train(self, fused: "FusedStep", order: Array, t: Array, batch_size: int, rule: Rule) -> tuple[Array, Array]:
        """Take a step for each batch; return losses and outputs; ``fused.steps`` is the number of complete steps."""
        assert self.network.optimizer is not None
        steps = self.network.optimizer.steps(math.ceil(len(order) / batch_size), fused.dtype)
        _, losses, out = fused.train(self.x, order, t, batch_size, rule, steps)
        return losses, out


class SingleFusedSteps(FusedSteps):
    """Train function that takes one step per call in the compiled core, whose threads stay there between the calls.

    Args:
        network: the model.
        train_step: the model's, for steps that the compiled core does not take.
        x: samples (N, …), which the compiled core reads in place.
        y: checked targets (N, …).
        steps_per_job: after how many steps a new job is described.
    """

    def __init__(
        self, network: Network, train_step: TrainStep, x: Array | Pixels, y: Array, steps_per_job: int
    ) -> None:
        super().__init__(network, train_step, x, y, steps_per_call=1)
        self.steps_per_job = steps_per_job
        self.job: tuple[FusedStep, SingleSteps] | None = None

    def _train(self, fused: "FusedStep", order: Array, t: Array, batch_size: int, rule: Rule) -> tuple[Array, Array]:
        assert self.network.optimizer is not None
        (step,) = self.network.optimizer.steps(1, fused.dtype)
        if not (self.job and self.job[0] is fused and self.job[1].can_take(batch_size, rule, fused.dropouts)):
            self.job = fused, fused.single_steps(self.x, batch_size, rule, self.steps_per_job)
        single = self.job[1]
        fused.steps = 0
        try:
            return single.take(order, t, step)
        finally:
            fused.steps = int(single.complete)


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
    if fused is None or not all(map(_has_its_shapes, network.layers)):
        return LayerByLayer(train_step, x, y)
    from scratch.kernels.fused_step import reads

    if not reads(x):
        return FusedSteps(network, train_step, x, y, steps_per_call=1)
    masks = sum(width for width, dropout in zip(fused.widths, fused.dropouts, strict=True) if dropout)
    steps = steps_per_call(network, batch_size, masks)
    each_batch = any(callback.needs_batch_events for callback in callbacks)
    if each_batch or not batches_can_be_joined(network, x):
        return SingleFusedSteps(network, train_step, x, y, steps)
    return FusedSteps(network, train_step, x, y, steps)


def steps_per_call(network: Network, batch_size: int, masks: int = 0) -> int:
    """Return how many batches one call may compute; ``masks`` is the number of bytes of a sample's masks."""
    weights, outputs = network.count_params(), math.prod(filter(None, network.output_shape or ()))
    samples = min(MAX_MULTIPLICATIONS // weights, MAX_OUTPUTS // outputs, MAX_MASKS // max(masks, 1))
    return max(1, min(MAX_STEPS, samples // batch_size))


def batches_can_be_joined(network: Network, x: Array | Pixels) -> bool:
    """Return whether one call may compute several batches: x is read in place, and every metric is additive."""
    from scratch.kernels.fused_step import reads

    return reads(x) and all(_declared(metric, "additive", "update_state") for metric in network.metrics)


class _Parts(NamedTuple):
    """The parts of a compiled step: Dense layers, the parameters and activation of each, and the Dropout before it."""

    layers: list[Layer]
    weights: list[tuple[Array, Array | None]]
    activations: list[str]
    dropouts: list[Dropout | None]


def fused_step(network: Network) -> "FusedStep | None":
    """Return the compiled step that trains this network as it is now; None if its parts do not allow one.

    It needs ``backend="numba"``, one dtype, contiguous parameters with the shapes of their layers, and parts that state
    a rule: Dense layers with an activation each, and at most one Dropout before each of them, a softmax after the last,
    a loss with the rule ``softmax_cross_entropy``, and an optimizer with a ``Rule``.

    The compiled step keeps the parameters of all layers in one array.  Creating it replaces the arrays in
    ``layer.params`` by views of that array; so does an array that is assigned to ``layer.params`` later: its values are
    copied, and what is trained from then on is the view in ``layer.params``.
    """
    parts = _fusable_parts(network)
    if parts is None:
        return None
    arrays = [array for pair in parts.weights for array in pair if array is not None]
    dtypes = {array.dtype for array in arrays} | {layer.dtype for layer in network.layers}
    if len(dtypes) != 1 or not all(array.flags.carray for array in arrays):
        return None
    step: Any = network.fused
    if step is None or not step.is_for(parts.weights, parts.activations):
        if (
            not all(map(_has_its_shapes, network.layers))
            or not set(parts.activations) <= set(FUSED_ACTIVATIONS)
            or _share_memory(arrays)  # several threads would update the same numbers
        ):
            return None
        from scratch.kernels.fused_step import FusedStep

        with network.lock:
            network.fused = step = FusedStep(parts.weights, parts.activations)
            for layer, (W, b) in zip(parts.layers, step.weights, strict=True):
                layer.params.update({"W": W} if b is None else {"W": W, "b": b})
    found: FusedStep = step
    found.dropouts = parts.dropouts
    return found


def trained_step(network: Network) -> "FusedStep | None":
    """Return the compiled step that has trained this network, if it still applies.

    For inference, which must not replace the arrays in ``layer.params``.
    """
    step: FusedStep | None = network.fused
    parts = None if step is None else _fusable_parts(network)
    return step if step and parts and step.is_for(parts.weights, parts.activations) else None


def _fusable_parts(network: Network) -> _Parts | None:
    """Return the parts of a compiled step, whose arrays may not fit together; None if a part has no fused rule."""
    if network.backend != "numba" or network.run_eagerly or overridden(network, Network, *_REPLACED_METHODS):
        return None
    loss_rule = _declared(
        network.loss, "fused_rule", "forward", "backward", "for_logits", "targets", "smooth", "reduce", "reduce_batches"
    )
    rule = _declared(network.optimizer, "fused_rule", "update", "update_step", "_clip")
    if loss_rule != "softmax_cross_entropy" or not isinstance(rule, Rule):
        return None
    parts = _dense_layers(network.layers)
    if parts and clips_by_norm(rule) and parts.weights[0][0].dtype == np.float64:
        return None  # the last bits of a float64 norm depend on the order of a sum
    return parts


def _share_state(network: Network, optimizer: Optimizer, fused: "FusedStep") -> None:
    """Let the optimizer and the compiled step use the same state arrays: views of one array, with the values so far."""
    keys = [[f"{layer.name}/{key}" for key in "Wb"] for layer in network.layers if layer.params]
    names = [name for name, _ in optimizer.state_order("W")]

    def known(state: dict[str, Array], key: str, W: Array | None) -> Array | None:
        array = state.get(key)
        return None if array is None or W is None or array.shape != W.shape else array

    states = [optimizer.state.setdefault(name, {}) for name in names]
    arrays = [
        [(known(state, W, pair[0]), known(state, b, pair[1])) for (W, b), pair in zip(keys, fused.weights, strict=True)]
        for state in states
    ]
    for state, views in zip(states, fused.state_arrays(arrays, optimizer.initial_value), strict=True):
        for (key, key_of_b), (W, b) in zip(keys, views, strict=True):
            state.update({key: W} if b is None else {key: W, key_of_b: b})


def _share_memory(arrays: Sequence[Array]) -> bool:
    """Return whether two of several contiguous arrays have memory in common."""
    starts = sorted((array.ctypes.data, array.nbytes) for array in arrays)
    return any(start + size > following for (start, size), (following, _) in pairwise(starts))


# Of Network: the compiled step does not use them.
_REPLACED_METHODS = ("forward", "compute_loss", "loss_of_logits", "backward", "params", "grads")


def _declared(part: object, attribute: str, *methods: str) -> Any:
    """Return what the class of ``part`` itself states under ``attribute``, or None.

    A statement does not cover subclasses, nor an object with its own version of one of the ``methods``: they may
    compute something else.
    """
    if attribute not in vars(type(part)) or not vars(part).keys().isdisjoint(methods):
        return None
    return getattr(part, attribute)


def _dense_layers(layers: Sequence[Layer]) -> _Parts | None:
    """Return the Dense layers, each with the activation that follows it, its own or a layer's, and its Dropout.

    None if a layer has no fused rule or is at another place.
    """
    chain: list[tuple[Layer, str]] = []
    dropouts: dict[int, Dropout] = {}
    for layer in layers:
        rule = _declared(layer, "fused_rule", "forward", "backward", "activate", "activate_backward", "mask", "_scaled")
        is_dropped = len(chain) in dropouts
        if rule == "dense" and not layer.regularizers:
            chain.append((layer, layer.activation))
        elif rule == "activation" and chain and chain[-1][1] == "linear" and not is_dropped:
            chain[-1] = (chain[-1][0], layer.activation)
        elif rule == "dropout" and layer.activation == "linear" and not is_dropped:
            assert isinstance(layer, Dropout)
            if layer.rate > 0:
                dropouts[len(chain)] = layer
        elif rule != "flatten" or chain or layer.activation != "linear":
            return None  # only a Flatten before the first Dense layer is left out: the compiled step reads rows
    activations = [activation for _, activation in chain]
    ends_in_softmax = bool(chain) and layers[-1].activation == "softmax" and "softmax" not in activations[:-1]
    if not ends_in_softmax:
        return None
    dense = [layer for layer, _ in chain]
    weights = [(layer.params["W"], layer.params.get("b")) for layer in dense]
    return _Parts(dense, weights, activations, [dropouts.get(i) for i in range(len(chain))])


def _has_its_shapes(layer: Layer) -> bool:
    """Return whether the parameters have the names and shapes that ``build`` gives them; others may be assigned."""
    assert layer.input_shape is not None
    expected = {key: shape for key, (shape, _) in layer.weight_shapes(layer.input_shape).items()}
    return {key: W.shape for key, W in layer.params.items()} == expected

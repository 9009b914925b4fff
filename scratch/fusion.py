"""Whether the compiled core trains a network, and the arrays that they share.

The parts themselves answer: each layer, loss and optimizer class states a ``fused_rule``.  A statement holds for the
class itself, and only as long as nothing replaces the methods that the rule stands for.  ``fused_step`` collects the
answers.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scratch.dropout import Dropout
from scratch.kernels import FUSED_ACTIVATIONS, Rule, clips_by_norm
from scratch.layer import Layer
from scratch.network import Network
from scratch.optimizers import Optimizer
from scratch.utils import Array, overridden

if TYPE_CHECKING:
    from scratch.kernels.fused_step import FusedStep  # imports Numba, which backend="numpy" does without

# Of Network: the compiled step does not use them.
REPLACED_METHODS = ("forward", "compute_loss", "loss_of_logits", "backward", "params", "grads")


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
    rule = declared(network.optimizer, "fused_rule", "update", "update_step", "_clip")
    if parts is None or not isinstance(rule, Rule):
        return None
    arrays = [array for pair in parts.weights for array in pair if array is not None]
    dtypes = {array.dtype for array in arrays} | {layer.dtype for layer in network.layers}
    if len(dtypes) != 1 or not all(array.flags.carray for array in arrays):
        return None
    if clips_by_norm(rule) and arrays[0].dtype == np.float64:
        return None  # the last bits of a float64 norm depend on the order of a sum
    step: Any = network.fused
    if step is None or not step.is_for(parts.weights, parts.activations):
        if (
            not all(map(has_its_shapes, network.layers))
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
    if step is None:
        return None
    parts = _fusable_parts(network)
    return step if parts and step.is_for(parts.weights, parts.activations) else None


def _fusable_parts(network: Network) -> _Parts | None:
    """Return the parts of a compiled step, whose arrays may not fit together; None if a part has no fused rule."""
    if network.backend != "numba" or network.run_eagerly or overridden(network, Network, *REPLACED_METHODS):
        return None
    loss_rule = declared(
        network.loss, "fused_rule", "forward", "backward", "for_logits", "targets", "smooth", "reduce", "reduce_batches"
    )
    return _dense_layers(network.layers) if loss_rule == "softmax_cross_entropy" else None


def share_state(network: Network, optimizer: Optimizer, fused: "FusedStep") -> None:
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


def declared(part: object, attribute: str, *methods: str) -> Any:
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
        rule = declared(layer, "fused_rule", "forward", "backward", "activate", "activate_backward", "mask", "_scaled")
        is_dropped = len(chain) in dropouts
        if rule == "dense" and not layer.regularizers:
            chain.append((layer, layer.activation))
        elif rule == "activation" and chain and chain[-1][1] == "linear" and not is_dropped:
            chain[-1] = (chain[-1][0], layer.activation)
        elif rule == "dropout" and not is_dropped:
            assert isinstance(layer, Dropout)
            if layer.rate > 0:
                dropouts[len(chain)] = layer
        elif rule != "flatten" or chain:
            return None  # only a Flatten before the first Dense layer is left out: the compiled step reads rows
    activations = [activation for _, activation in chain]
    ends_in_softmax = bool(chain) and layers[-1].activation == "softmax" and "softmax" not in activations[:-1]
    if not ends_in_softmax:
        return None
    dense = [layer for layer, _ in chain]
    weights = [(layer.params["W"], layer.params.get("b")) for layer in dense]
    return _Parts(dense, weights, activations, [dropouts.get(i) for i in range(len(chain))])


def has_its_shapes(layer: Layer) -> bool:
    """Return whether the parameters have the names and shapes that ``build`` gives them; others may be assigned."""
    assert layer.input_shape is not None
    expected = {key: shape for key, (shape, _) in layer.weight_shapes(layer.input_shape).items()}
    return {key: W.shape for key, W in layer.params.items()} == expected

"""Which models the fused training step can train: the article's, and all that are built like it."""

from typing import TYPE_CHECKING

from scratch.layers import Activation, Dense, Flatten, Layer, ReLU, Softmax
from scratch.losses import LOSSES, CategoricalCrossentropy
from scratch.network import Network
from scratch.optimizers import SGD
from scratch.utils import overridden

if TYPE_CHECKING:
    from scratch.kernels.fused_step import FusedStep


def fused_step(model: Network, loss: CategoricalCrossentropy, optimizer: SGD) -> "FusedStep | None":
    """The compiled step that does what ``forward``, ``compute_loss``, ``backward`` and ``update`` do; or None.

    It is for ``backend="numba"``: Dense layers of one dtype with an activation after each, a softmax after the last,
    cross-entropy, and SGD without momentum, weight decay or clipping.  Everything else, and whatever overrides a method
    that the step would leave out, goes layer by layer.
    """
    if model.backend != "numba" or not _plain(model, loss, optimizer):
        return None
    chain = _chain(model.layers)
    if chain is None:
        return None
    activations = [activation for _, activation in chain]
    weights = [(layer.params["W"], layer.params.get("b")) for layer, _ in chain]
    arrays = [array for pair in weights for array in pair if array is not None]
    if len({array.dtype for array in arrays}) != 1 or not all(array.flags.carray for array in arrays):
        return None  # the step reads and writes them by address, row by row
    from scratch.kernels.fused_step import FusedStep

    known = model.fused
    if known is None or not known.is_for(weights, activations):
        model.fused = known = FusedStep(weights, activations)
    return known


def _plain(model: Network, loss: CategoricalCrossentropy, optimizer: SGD) -> bool:
    """Whether nothing is asked for that the step doesn't do."""
    return (
        not overridden(model, Network, "forward", "compute_loss", "backward")
        and not overridden(optimizer, SGD, "update")
        and not overridden(loss, type(loss), "for_logits")
        and type(loss) in LOSSES.values()
        and loss.reduction == "sum_over_batch_size"
        and type(optimizer) is SGD
        and optimizer.momentum == 0
        and optimizer.weight_decay is None
        and not (optimizer.clipnorm or optimizer.clipvalue or optimizer.global_clipnorm)
    )


def _chain(layers: list[Layer]) -> list[tuple[Dense, str]] | None:
    """Each Dense layer with the activation that follows it, its own or a layer's."""
    chain: list[tuple[Dense, str]] = []
    for layer in layers:
        if overridden(layer, type(layer), "forward", "backward", "activate", "activate_backward"):
            return None
        if type(layer) is Dense:
            chain.append((layer, layer.activation))
        elif type(layer) in (Activation, ReLU, Softmax) and chain and chain[-1][1] == "linear":
            chain[-1] = (chain[-1][0], layer.activation)
        elif type(layer) is not Flatten or chain:
            return None
    activations = [activation for _, activation in chain]
    ends_in_softmax = bool(chain) and layers[-1].activation == "softmax" and "softmax" not in activations[:-1]
    return chain if ends_in_softmax else None

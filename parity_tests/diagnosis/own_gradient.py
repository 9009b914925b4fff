"""Is a network's gradient the gradient of its own loss?  Central differences of that loss answer it.

The answer separates "another loss than Keras's" from "a wrong backward pass", and finds two mistakes that cancel.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from parity_tests.diagnosis.situations import Situation
from parity_tests.implementations.protocol import NotOffered
from scratch.gradients import partial_derivative

ENTRIES = 12  # entries of each array that are differentiated, those with the largest gradients
TOLERANCE = 1e-6  # relative error of a central difference in float64, with a margin for the curvature of the loss


class OwnGradient(NamedTuple):
    """The result.

    Attributes:
        agrees: whether the gradient is that of the network's own loss; None if that can't be said.
        text: one sentence.
    """

    agrees: bool | None
    text: str


def check_own_gradient(factory: Callable[[], Any], situation: Situation, dtype: str) -> OwnGradient:
    """Compare a network's gradients with central differences of its own loss, in float64.

    Args:
        factory: returns a fresh network.
        situation: weights and batch; no input of an activation may be at a kink.
        dtype: the dtype in which the network computes; in float32 a difference of losses has too few digits.
    """
    network = factory()
    if not (hasattr(network, "loss") and hasattr(network, "gradients")):
        return OwnGradient(None, "not offered: it takes both a loss and gradients")
    if dtype != "float64":
        return OwnGradient(None, "can't be said: the network computes in float32, which is too coarse for differences")
    try:
        network.set_weights([W.copy() for W in situation.weights])
        if shape := np.shape(network.loss(situation.x.copy(), situation.t.copy())):
            return OwnGradient(None, f"can't be said: loss(x, t) must return one number; got shape {shape}")
        gradients = [np.asarray(g, np.float64) for g in network.gradients(situation.x.copy(), situation.t.copy())]
        return _compare(network, situation, gradients)
    except NotOffered as reason:
        return OwnGradient(None, f"not offered: {reason}")
    except (Exception, SystemExit) as error:  # raised by the user's code when it is called again
        return OwnGradient(None, f"can't be said: loss or gradients raise {type(error).__name__}")


def _compare(network: Any, situation: Situation, gradients: list[np.ndarray]) -> OwnGradient:
    """Compare the largest entries of each gradient with differences, and some that are zero; name the worst of them."""
    scale = max(float(np.abs(g).max(initial=0)) for g in gradients) or 1.0
    weights = [W.copy() for W in situation.weights]

    def loss() -> float:
        network.set_weights([W.copy() for W in weights])
        return float(network.loss(situation.x.copy(), situation.t.copy()))

    worst, text = 1.0, ""  # the largest ratio of a difference to its tolerance
    for i, (gradient, W) in enumerate(zip(gradients, weights, strict=True)):
        name, layer = f"d{'Wb'[i % 2]}", f"of layer {i // 2 + 1}"
        if gradient.shape != W.shape:
            return OwnGradient(False, f"no. {name} {layer} has the shape {gradient.shape}, its parameter {W.shape}")
        order = np.argsort(-np.abs(gradient), axis=None)
        for flat in {*order[:ENTRIES].tolist(), *order[-ENTRIES:].tolist()}:
            index = np.unravel_index(flat, W.shape)
            slope = partial_derivative(loss, W, index)
            ratio = abs(slope - gradient[index]) / (TOLERANCE * max(scale, abs(slope)))
            ratio = np.nan_to_num(ratio, nan=np.inf)
            if ratio > worst:
                worst, entry = ratio, f"{name}[{', '.join(map(str, index))}] {layer}"
                numbers = f"it is {gradient[index]:.9g}, and the derivative of the loss is {slope:.9g}"
                text = f"no. {entry} differs most: {numbers}"
    return OwnGradient(not text, text or "yes")

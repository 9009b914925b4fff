"""What the numerical checks compare with Keras: networks of one implementation, built for the suite's cases.

scratch is one implementation for each backend; a network of the user's own is another.  Both come through the interface
of ``implementations.protocol``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from parity_tests.implementations.protocol import CannotRunError, Implementation, NotOffered
from parity_tests.reference.cases import Case
from scratch.models import Sequential

Array = np.ndarray


class Networks(Protocol):
    """The networks of one implementation."""

    def build(self, case: Case) -> Implementation:
        """Return the network of a case with its weights; raise ``NotOffered`` if there is no such network."""


class ScratchCase:
    """A model of scratch behind the interface of ``Implementation``, whose trace has the layer names of its case."""

    def __init__(self, model: Sequential):
        self.model = model

    def get_weights(self) -> list[Array]:
        return self.model.get_weights()

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.model.set_weights(list(weights))

    def outputs(self, x: Array) -> Array:
        return self.model(x)

    def trace(self, x: Array, t: Array) -> Mapping[str, Array]:
        return self.model.trace(x, t)


@dataclass(frozen=True)
class ScratchNetworks:
    """The networks of scratch on one backend."""

    backend: str

    def build(self, case: Case) -> ScratchCase:
        """Return the compiled model of a case."""
        return ScratchCase(case.scratch_model(self.backend))


@dataclass(frozen=True)
class OwnNetworks:
    """The networks of the user's own implementation: Dense layers with biases, cross-entropy of rows of targets.

    Attributes:
        factory: takes the sizes and returns a fresh network.
        activations: that of the hidden layers, and that of the last layer.
        dtypes: the dtypes in which it computes.
    """

    factory: Callable[[Sequence[int]], Any]
    activations: tuple[str, str]
    dtypes: tuple[str, ...]

    def build(self, case: Case) -> Implementation:
        """Return the network of a case with its weights."""
        hidden, last = self.activations
        if set(case.activations[:-1]) - {hidden} or case.activations[-1] != last or case.dtype not in self.dtypes:
            raise NotOffered(f"no network of {case}")
        otherwise = case.classes or case.smoothing or case.regularized or case.loss != "CategoricalCrossentropy"
        if not case.use_bias or otherwise:
            raise NotOffered(f"no network of {case}")
        try:
            network = self.factory((case.features, *case.widths))
        except CannotRunError as error:  # a class of another depth
            raise NotOffered(f"no network of {case}") from error
        if [np.shape(W) for W in network.get_weights()] != [W.shape for W in case.data[2]]:
            raise NotOffered(f"no network of {case}")
        network.set_weights([W.copy() for W in case.data[2]])
        return network


def tensors(network: Implementation, case: Case, x: Array | None = None, t: Array | None = None) -> dict[str, Array]:
    """Return what a network offers for a batch, by default its case's, under the names of the trace.

    That is the whole trace of scratch; outputs, loss and gradients of another implementation.
    """
    x, t = (case.x if x is None else x), (case.y if t is None else t)
    if isinstance(network, ScratchCase):
        return dict(network.trace(x, t))
    if not x.flags.writeable:  # a case's own arrays; a network may modify what it is given, which other checks report
        x, t = x.copy(), t.copy()
    found = {f"{case.layer_specs()[-1].name}/out": np.asarray(network.outputs(x))}
    if hasattr(network, "loss"):
        found["loss"] = np.asarray(network.loss(x, t), case.dtype)
    if hasattr(network, "gradients"):
        names = [f"dense_{i}/d{key}" for i in range(len(case.widths)) for key in "Wb"]
        found |= dict(zip(names, map(np.asarray, network.gradients(x, t)), strict=True))
    return found

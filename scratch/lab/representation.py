"""``Representation``: where test digits lie in the two main directions of the last hidden layer's outputs.

The directions are the first two principal components of the outputs at one moment, and are kept, so that the points of
all snapshots can be compared; a basis for each snapshot would turn and mirror the picture.
"""

from dataclasses import dataclass

import numpy as np

from scratch.classifiers import image_inputs
from scratch.lab.states import State, network_at
from scratch.models import Sequential
from scratch.utils import Array

DIGITS = 500


@dataclass(frozen=True)
class Basis:
    """Two directions in the space of the outputs.

    Attributes:
        state: when they were computed.
        mean: mean of the outputs then (units,).
        directions: (units, 2).
        explained: the share of the variance along each.
    """

    state: State
    mean: Array
    directions: Array
    explained: list[float]


class Representation:
    """The hidden outputs of test digits.

    Args:
        model: the model.
        images: test digits (N, height, width); the first ``DIGITS`` are used.
        labels: their classes.
    """

    def __init__(self, model: Sequential, images: Array, labels: Array) -> None:
        self.model, self.labels = model, labels[:DIGITS].astype(np.uint8)
        self.x = np.asarray(image_inputs(model, images[:DIGITS]))
        self.basis: Basis | None = None

    def outputs(self, state: State) -> tuple[str, Array]:
        """Return the name of the layer before the last Dense layer, and its outputs (N, units) in float64."""
        network, trace = network_at(self.model, state), dict[str, Array]()
        network.forward(self.x, trace)
        layers = network.layers
        last = max(i for i, layer in enumerate(layers) if "W" in layer.params)
        name = f"{layers[last - 1].name}/out" if last else "x"
        return name, (trace[name] if last else self.x).reshape(len(self.x), -1).astype(np.float64)

    def points(self, state: State, refit: bool = False) -> tuple[str, Array, Basis]:
        """Return the layer's name, the points (N, 2) of a state, and the basis, which is computed if there is none."""
        name, outputs = self.outputs(state)
        if self.basis is None or refit:
            mean = outputs.mean(axis=0)
            _, sizes, directions = np.linalg.svd(outputs - mean, full_matrices=False)
            share = sizes**2 / max(float((sizes**2).sum()), np.finfo(float).tiny)
            self.basis = Basis(state, mean, directions[:2].T, share[:2].tolist())
        return name, ((outputs - self.basis.mean) @ self.basis.directions).astype(np.float32), self.basis

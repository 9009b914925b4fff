"""A network that computes with given formulas, right ones or mistaken ones, as an implementation under test."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from parity_tests.diagnosis.formulas import Array, Formulas, Pass, Tensors, forward, layers_of, run


class FormulaNetwork:
    """A network in float64; see ``Implementation`` for the methods.

    Args:
        formulas: what it computes with.
        sizes: inputs, units of each layer.
        activations: the activation of each layer.
    """

    def __init__(self, formulas: Formulas, sizes: Sequence[int], activations: Sequence[str]):
        self.formulas, self.activations = formulas, activations
        self.weights = [np.zeros(shape) for pair in pairwise(sizes) for shape in (pair, pair[1:])]
        self.states: list[dict[str, Array]] = [{} for _ in self.weights]
        self.earlier: list[Array] = [np.zeros(()) for _ in self.weights]  # the sum of earlier gradients
        self.first: list[Pass] = []  # the first call, of this batch size

    def get_weights(self) -> list[Array]:
        return list(self.weights)

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.weights = list(weights)

    def outputs(self, x: Array) -> Array:
        passes = forward(self.formulas, layers_of(self.activations), self.weights, x)
        if not self.first or len(self.first[0].x) != len(x):
            self.first = passes
        return passes[-1].out

    def tensors(self, x: Array, t: Array, rate: float = 0.0) -> Tensors:
        """Return the tensors of ``formulas.run``."""
        self.outputs(x)
        return run(self.formulas, self.activations, self.weights, x, t, self.first, rate)

    def loss(self, x: Array, t: Array) -> float:
        return float(self.tensors(x, t)["loss"])

    def gradients(self, x: Array, t: Array, rate: float = 0.0) -> list[Array]:
        tensors = self.tensors(x, t, rate)
        now = [tensors[f"dense_{i}/d{key}"] for i in range(len(self.activations)) for key in "Wb"]
        earlier, self.earlier = self.earlier, [a + b for a, b in zip(self.earlier, now, strict=True)]
        return [self.formulas.accumulate(dW, summed) for dW, summed in zip(now, earlier, strict=True)]

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        layers, gradients = layers_of(self.activations), self.gradients(x, t, learning_rate)
        for i, (dW, state) in enumerate(zip(gradients, self.states, strict=True)):
            state["samples"] = np.asarray(len(x))
            W = self.weights[i]
            self.weights[i] = self.formulas.update(layers[i // 2], "Wb"[i % 2], W, dW, state, learning_rate)

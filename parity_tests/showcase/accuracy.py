"""Accuracies of networks with one mistake beside Keras's: on real digits, most mistakes do not show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from parity_tests.diagnosis.digits import SIZES, DigitsResult, train_on_digits
from parity_tests.diagnosis.formulas import Array, Formulas, forward, layers_of, run
from parity_tests.diagnosis.judge import Architecture
from parity_tests.diagnosis.mistakes import MISTAKES
from parity_tests.implementations.conventions import Conventions
from scratch.datasets.mnist import Dataset

ACTIVATIONS = ("relu", "softmax")
ARCHITECTURE = Architecture(SIZES, ACTIVATIONS, "float64")
OTHER_SEEDS = range(1, 6)
SHOWN = (
    "updated_before_backward",
    "sigmoid_slope_after_softmax",
    "slope_left_out",
    "relu_slope_is_output",
    "bias_gradient_one_number",
    "bias_not_updated",
    "nesterov_added",
)


@dataclass
class FormulaNetwork:
    """A network that computes with given formulas, right ones or mistaken ones, in float64."""

    formulas: Formulas

    def __post_init__(self) -> None:
        self.set_weights([np.zeros(shape) for pair in pairwise(SIZES) for shape in (pair, pair[1:])])

    def get_weights(self) -> list[Array]:
        return [W.copy() for W in self.weights]

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.weights = list(weights)
        self.states: list[dict[str, Array]] = [{} for _ in weights]

    def outputs(self, x: Array) -> Array:
        return forward(self.formulas, layers_of(ACTIVATIONS), self.weights, x)[-1].out

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        tensors = run(self.formulas, ACTIVATIONS, self.weights, x, t, rate=learning_rate)
        for i, (W, state) in enumerate(zip(self.weights, self.states, strict=True)):
            layer, key = layers_of(ACTIVATIONS)[i // 2], "Wb"[i % 2]
            gradient = tensors[f"dense_{layer.index}/d{key}"]
            state["samples"] = np.asarray(len(x))
            self.weights[i] = self.formulas.update(layer, key, W, gradient, state, learning_rate)


def trained(formulas: Formulas, digits: Dataset, seed: int = 0) -> DigitsResult:
    """Return the accuracy of a network with these formulas, and Keras's."""
    return train_on_digits(lambda: FormulaNetwork(formulas), SIZES, Conventions(), ARCHITECTURE, digits, seed)


def accuracy_table(digits: Dataset) -> Iterator[str]:
    """Yield a table in Markdown: the accuracy after two epochs of Keras, and of a network with each mistake."""
    right = trained(Formulas(), digits)
    yield "| network | accuracy |"
    yield "|---|---|"
    yield f"| Keras | {right.keras:.4f} |"
    yield f"| the same formulas in NumPy, without a mistake | {right.network:.4f} |"
    others = [trained(Formulas(), digits, seed).network for seed in OTHER_SEEDS]
    yield f"| without a mistake, from {len(others)} other initial weights | {min(others):.4f} to {max(others):.4f} |"
    for mistake in [mistake for name in SHOWN for mistake in MISTAKES if mistake.name == name]:
        parameter = next(iter(mistake.values), None)
        result = trained(mistake.applied(Formulas(), parameter), digits)
        yield f"| {mistake.what.format(p=parameter)} | {result.network:.4f} |"

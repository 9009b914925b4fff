"""Accuracies of networks with one mistake beside Keras's: on real digits, most mistakes do not show."""

from collections.abc import Iterator

from parity_tests.diagnosis.digits import SIZES, DigitsResult, train_on_digits
from parity_tests.diagnosis.formula_network import FormulaNetwork
from parity_tests.diagnosis.formulas import Formulas
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


def trained(formulas: Formulas, digits: Dataset, seed: int = 0) -> DigitsResult:
    """Return the accuracy of a network with these formulas, and Keras's."""

    def network() -> FormulaNetwork:
        return FormulaNetwork(formulas, SIZES, ACTIVATIONS)

    return train_on_digits(network, SIZES, Conventions(), ARCHITECTURE, digits, seed)


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

"""Gradients, computed in three ways: central differences, the backward pass, and Keras's automatic differentiation."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from parity_tests.checks.networks import Networks, ScratchCase, tensors
from parity_tests.comparison import Comparison, compare
from parity_tests.implementations.protocol import NotOffered
from parity_tests.reference.cases import CASES, Case, bounded_trace, keras_trace
from scratch import gradient_check
from scratch.gradients import numerical_gradient

NUMERICAL = 1e-7  # relative error of a numerical gradient in float64, see scratch.gradients
NOT_DIFFERENTIABLE = ("kink", "dead", "large", "extreme", "saturated")  # inputs at a kink, or gradients near 0
MOST_INPUTS = 1000  # each entry costs four forward passes


def can_be_differentiated(case: Case) -> bool:
    """Whether central differences exist for the case, and are affordable."""
    return case.inputs not in NOT_DIFFERENTIABLE and case.batch * case.features <= MOST_INPUTS


def gradient_errors(network: Any, case: Case) -> dict[str, float]:
    """Return the relative error of each gradient of a network: that of a model of scratch includes dx."""
    if isinstance(network, ScratchCase):
        return gradient_check(network.model, case.x, case.y)

    def loss(weights: list[np.ndarray]) -> float:
        network.set_weights(weights)
        return float(network.loss(case.x.copy(), case.y.copy()))

    return gradient_check(loss, network.get_weights(), network.gradients(case.x.copy(), case.y.copy()))


def check_gradients(networks: Networks) -> Iterator[Comparison]:
    """Central differences ↔ backward (in float64) and backward ↔ automatic differentiation (in float64 if possible)."""
    for case in filter(can_be_differentiated, CASES):
        precise = replace(case, dtype="float64")
        with suppress(NotOffered):
            for name, error in gradient_errors(networks.build(precise), precise).items():
                label = f"{precise}: {name}, central differences ↔ backward"
                yield compare(label, np.float64(error), np.float64(0), NUMERICAL)
        compared = precise if precise.comparable else case
        with suppress(NotOffered):
            backward = tensors(networks.build(compared), compared)
            automatic, reference = keras_trace(compared), bounded_trace(compared)
            for name in [name for name in automatic if "/d" in name and name in backward]:
                label = f"{compared}: {name}, backward ↔ automatic differentiation"
                yield compare(label, backward[name], automatic[name], 2 * reference[name].bound)


def check_numerical_gradient() -> list[Comparison]:
    """The numerical gradient itself: that of Σ x³ is 3x²."""
    x = np.linspace(-2, 2, 9)
    return [compare("numerical gradient of x³", numerical_gradient(lambda: float((x**3).sum()), x), 3 * x**2, 1e-9)]

"""Mistakes of learners that were written without knowledge of the dictionary are named."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import pytest

from parity_tests.checking import check_implementation
from parity_tests.conftest import slow_except
from parity_tests.parity.foreign_faults import Fault, module_of
from parity_tests.parity.networks.learner_mistakes import MISTAKES, MOMENTUM, SIGMOID

CASES = [(network, mistake) for network, mistakes in MISTAKES.items() for mistake in mistakes]


@pytest.mark.parametrize("case", slow_except(CASES, "gradients_clipped", "dW_of_z", name=lambda case: case[1].name))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # some mistakes overflow
def test_mistake_of_a_learner(case: tuple[str, Fault]) -> None:
    network, mistake = case
    report = check_implementation(module_of(network, mistake.edits).Net, **mistake.settings)
    assert report.findings
    assert report.findings[0].name in mistake.mistakes
    assert "unexplained" not in {finding.name for finding in report.findings}


@pytest.mark.slow
def test_the_networks_are_right_without_mistakes() -> None:
    slope = ("dz1 = dh * (self.z1 > 0)", "dz1 = dh * self.h * (1 - self.h)")
    for edits, settings in (((), {}), ((SIGMOID, slope), {}), ((MOMENTUM,), {"momentum": 0.9})):
        check_implementation(module_of("learner_two_layers", edits).Net, on_fail="raise", **settings)
    check_implementation(module_of("learner_three_layers", ()).Net, on_fail="raise")

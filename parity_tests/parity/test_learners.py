"""Mistakes of learners that were written without knowledge of the dictionary are named."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import pytest

from parity_tests.checking import check_implementation
from parity_tests.parity.foreign_faults import Fault, module_of
from parity_tests.parity.networks.learner_mistakes import MISTAKES, MOMENTUM, SIGMOID

QUICK = ("gradients_clipped", "dW_of_z")


@pytest.mark.parametrize(
    ("network", "mistake"),
    [
        pytest.param(network, mistake, id=mistake.name, marks=[] if mistake.name in QUICK else pytest.mark.slow)
        for network, mistakes in MISTAKES.items()
        for mistake in mistakes
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # some mistakes overflow
def test_mistake_of_a_learner(network: str, mistake: Fault) -> None:
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

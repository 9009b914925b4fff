"""Full runs of the article's network beside Keras's; the slow ones need all 70,000 digits."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import pytest

from parity_tests.checks import full_runs
from parity_tests.comparison import assert_all
from scratch.datasets import mnist
from scratch.ops import BACKENDS

backends = pytest.mark.parametrize("backend", BACKENDS)


@pytest.mark.slow
@backends
def test_two_epochs_of_available_digits(backend: str, digits: mnist.Dataset) -> None:
    few = mnist.Dataset(
        (digits.train[0][:4000], digits.train[1][:4000]), (digits.test[0][:1000], digits.test[1][:1000]), "a few"
    )
    assert_all(full_runs.check_epochs(backend, few, epochs=2)[0])


@pytest.mark.slow
def test_digits_of_the_same_source_have_histories_of_their_own(digits: mnist.Dataset) -> None:
    (x, labels), first = digits.train, slice(200)
    few, others = (
        mnist.Dataset((x[rows], labels[rows]), (x[first], labels[first]), "a few") for rows in (first, slice(200, 400))
    )
    history = full_runs.keras_history(few, epochs=1)
    assert full_runs.keras_history(others, epochs=1) != history
    assert full_runs.keras_history(few, epochs=1) is history


@pytest.mark.slow
@backends
def test_every_step_of_an_epoch(backend: str, all_digits: mnist.Dataset) -> None:
    rows = list(full_runs.check_every_step(backend, all_digits))
    assert len(rows) == 600 * 8  # loss, correct predictions and six weight arrays a step
    assert_all(rows)


@pytest.mark.slow
@backends
def test_ten_epochs(backend: str, all_digits: mnist.Dataset) -> None:
    assert_all(full_runs.check_epochs(backend, all_digits)[0])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_accuracies_come_from_one_distribution(all_digits: mnist.Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    rows, p_values, accuracies = full_runs.check_accuracies(all_digits)
    with capsys.disabled():
        print()
        for program, values in accuracies.items():
            print(f"{program:8s}", *(f"{value:.4f}" for value in sorted(values)))
        print(*(f"{name}: p = {value:.3f}" for name, value in p_values.items()), sep=", ")
    assert_all(rows)

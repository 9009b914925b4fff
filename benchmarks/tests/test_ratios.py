"""Test the statistics of paired rounds and the order of the measurements."""

import numpy as np
import pytest

from benchmarks.measurement.ratios import Ratio, interleave, paired_ratio


def test_ratio_is_the_median_of_paired_ratios() -> None:
    """A round in which the whole machine was ten times slower changes nothing."""
    scratch = np.array([1.0, 10.0, 1.0, 1.0, 1.0])
    ratio = paired_ratio(5 * scratch, scratch)
    assert ratio == Ratio(peer=5.0, scratch=1.0, value=5.0, low=5.0, high=5.0, rounds=5)


@pytest.mark.slow
def test_interval_covers_the_true_ratio() -> None:
    """In 200 series of 15 noisy rounds, the interval misses the true ratio about 10 times."""
    rng = np.random.default_rng(0)
    misses = 0
    for _ in range(200):
        ratio = paired_ratio(4 * rng.lognormal(0, 0.1, 15), rng.lognormal(0, 0.1, 15))
        assert ratio.low <= ratio.value <= ratio.high
        misses += not ratio.low <= 4 <= ratio.high
    assert 1 <= misses <= 25


def test_same_rounds_give_the_same_interval() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random(9) + 1, rng.random(9) + 1
    assert paired_ratio(a, b) == paired_ratio(a, b)


def test_single_round_has_no_interval() -> None:
    ratio = paired_ratio([2.0], [1.0])
    assert ratio.value == 2
    assert np.isnan([ratio.low, ratio.high]).all()


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0, 2.0]), ([], []), ([0.0], [1.0]), ([1.0], [float("nan")])])
def test_unpaired_or_invalid_measurements_are_rejected(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="pairs of positive measurements"):
        paired_ratio(a, b)


def test_interleave_rotates_the_first_side() -> None:
    order: list[str] = []
    sides = {name: lambda name=name: float(order.append(name) or len(order)) for name in "abc"}
    times = interleave(sides, 3, pause=0)
    assert "".join(order) == "abcbcacab"
    assert times == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_interleave_reports_every_measurement() -> None:
    reported: list[tuple[str, float]] = []
    interleave({"a": lambda: 1.0, "b": lambda: 2.0}, 2, pause=0, on_measurement=lambda *pair: reported.append(pair))
    assert reported == [("a", 1.0), ("b", 2.0), ("b", 2.0), ("a", 1.0)]

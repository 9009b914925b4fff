"""Paired rounds and what they say: the median of the ratios, with a 95 % confidence interval.

A busy or throttled machine slows both sides down, so they take turns: a round is one measurement of each, and only
measurements of one round are divided by each other.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Seconds between two measurements.  NumPy's BLAS keeps its threads spinning for 0.1 s after a product (measured: 100 ms
# of processor time, JAX 20 ms, PyTorch 1 ms), which would slow down whoever comes next.
SETTLE = 0.15
RESAMPLES = 10_000


@dataclass(frozen=True)
class Ratio:
    """How many times longer one side takes than the other.

    Attributes:
        theirs: their median.
        ours: our median.
        value: median of the ratios theirs ÷ ours, round by round; it need not be theirs ÷ ours.
        low: lower end of its 95 % confidence interval; NaN if there was one round only.
        high: upper end.
        rounds: how many there were.
    """

    theirs: float
    ours: float
    value: float
    low: float
    high: float
    rounds: int


def ratio(theirs: Sequence[float], ours: Sequence[float], seed: int = 0) -> Ratio:
    """Summarise paired measurements; the interval is the bootstrap's (percentiles of resampled medians).

    Raises:
        ValueError: if they are not pairs of positive numbers.
    """
    a, b = np.asarray(theirs, float), np.asarray(ours, float)
    if a.shape != b.shape or a.ndim != 1 or not a.size or not ((a > 0) & (b > 0)).all():
        raise ValueError(f"A ratio needs pairs of positive measurements; got {theirs!r} and {ours!r}.")
    ratios = a / b
    low = high = float("nan")
    if len(ratios) > 1:
        picks = np.random.default_rng(seed).integers(len(ratios), size=(RESAMPLES, len(ratios)))
        low, high = np.percentile(np.median(ratios[picks], axis=1), [2.5, 97.5])
    return Ratio(float(np.median(a)), float(np.median(b)), float(np.median(ratios)), float(low), float(high), len(a))


def interleave(
    sides: Mapping[str, Callable[[], float]], rounds: int, settle: float = SETTLE, after: Callable[[], object] = int
) -> dict[str, list[float]]:
    """Measure everybody once a round; who goes first moves on by one from round to round.

    Args:
        sides: what to measure, each of which returns its measurement.
        rounds: how often.
        settle: seconds to wait before each.
        after: called after each, for progress.

    Returns:
        The measurements of each, in order of the rounds.
    """
    names = list(sides)
    found: dict[str, list[float]] = {name: [] for name in names}
    for i in range(rounds):
        first = i % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(settle)
            found[name].append(sides[name]())
            after()
    return found

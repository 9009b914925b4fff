"""Compare paired measurements: the median of their ratios, with a 95 % confidence interval.

A busy or throttled machine slows both sides down. The sides are therefore measured in turns: a round is one measurement
of each side, and only measurements of the same round are divided by each other.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Seconds to wait before each measurement. The threads of NumPy's BLAS spin-wait for 0.1 s after a product (processor
# time measured after a product: NumPy 100 ms, JAX 20 ms, PyTorch 1 ms), which would slow down the next measurement.
PAUSE_SECONDS = 0.15
RESAMPLES = 10_000
WIDE = 0.2  # relative width of an interval above which the report warns

Times = dict[str, list[float]]  # the measurements of each side, in the order of the rounds


@dataclass(frozen=True)
class Ratio:
    """A peer's time or memory divided by that of scratch.

    Attributes:
        peer: median of the peer's measurements.
        scratch: median of scratch's measurements.
        value: median of the ratios peer ÷ scratch of the rounds, which may differ from the ratio of the two medians.
        low: lower end of the 95 % confidence interval of ``value``; NaN after a single round.
        high: upper end.
        rounds: number of rounds.
    """

    peer: float
    scratch: float
    value: float
    low: float
    high: float
    rounds: int

    @property
    def relative_width(self) -> float:
        """Width of the interval divided by the ratio; NaN after a single round."""
        return (self.high - self.low) / self.value

    @property
    def is_wide(self) -> bool:
        """Whether the interval is so wide that the measurement should be repeated."""
        return self.relative_width > WIDE


def paired_ratio(peer: Sequence[float], scratch: Sequence[float]) -> Ratio:
    """Return the ratio of paired measurements, with a bootstrap interval (percentiles of resampled medians).

    Args:
        peer: positive measurements of the peer, one per round.
        scratch: positive measurements of scratch, from the same rounds.

    Raises:
        ValueError: if the arguments are not pairs of positive numbers.
    """
    a, b = np.asarray(peer, float), np.asarray(scratch, float)
    if a.shape != b.shape or a.ndim != 1 or not a.size or not ((a > 0) & (b > 0)).all():
        raise ValueError(f"A ratio needs pairs of positive measurements; got {peer!r} and {scratch!r}.")
    ratios = a / b
    low = high = float("nan")
    if len(ratios) > 1:
        picks = np.random.default_rng(0).integers(len(ratios), size=(RESAMPLES, len(ratios)))
        low, high = np.percentile(np.median(ratios[picks], axis=1), [2.5, 97.5])
    return Ratio(float(np.median(a)), float(np.median(b)), float(np.median(ratios)), float(low), float(high), len(a))


def interleave(
    sides: Mapping[str, Callable[[], float]],
    rounds: int,
    pause: float = PAUSE_SECONDS,
    on_measurement: Callable[[str, float], None] | None = None,
) -> Times:
    """Measure every side once per round; each round starts with the next side.

    Args:
        sides: for each name, a function that takes one measurement and returns it.
        rounds: number of rounds.
        pause: seconds to wait before each measurement.
        on_measurement: called with name and value after each measurement.

    Returns:
        The measurements of each side, in the order of the rounds.
    """
    names = list(sides)
    times: Times = {name: [] for name in names}
    for i in range(rounds):
        first = i % max(1, len(names))
        for name in names[first:] + names[:first]:
            time.sleep(pause)
            times[name].append(sides[name]())
            if on_measurement:
                on_measurement(name, times[name][-1])
    return times

"""Fit the parameter of a mistake to a scene: one of its usual values, or Newton's method from the best of them."""

from collections.abc import Callable, Sequence

import numpy as np

from parity_tests.diagnosis.evidence import Scene, reproduces
from parity_tests.diagnosis.formulas import Array, Tensors

NEWTON_STEPS = 8
CONVERGED = 1e-9  # relative to the parameter: a smaller change of it is lost among rounding errors
USUAL = 1e3  # how far a parameter may be from the usual values


def fit(
    probe: Scene, values: Sequence[float], predict: Callable[[float], Tensors], names: Sequence[str]
) -> list[float]:
    """Return the usual values that fit, best first: other scenes tell them apart.

    If there are none, return the best usual value, improved by Newton's method for least squares.

    Args:
        probe: the scene that a mistake is fitted to.
        values: the usual values of the parameter.
        predict: parameter → the tensors of the scene.
        names: the tensors that are fitted.
    """

    def residual(parameter: float) -> Array:
        predicted = predict(parameter)
        parts = [(predicted[name] - probe.observed[name]).ravel() for name in names]
        return np.nan_to_num(np.concatenate([np.zeros(1), *parts]), nan=1e300, posinf=1e300, neginf=-1e300)

    def error(parameter: float) -> float:
        return float(np.abs(residual(parameter)).max())

    def fits(parameter: float) -> bool:
        return all(reproduces(probe, name, predict(parameter)[name]) for name in names)

    values = sorted(values, key=error)
    best = p = values[0]
    if fitting := [value for value in values if fits(value)]:
        return fitting
    if not error(best) < 1e300:
        return [best]
    for _ in range(NEWTON_STEPS):
        r, h = residual(p), 1e-4 * abs(p)
        slope = (residual(p + h) - residual(p - h)) / (2 * h)
        if not np.isfinite(slope).all() or not slope.any():
            break
        change = float(slope @ r / (slope @ slope))
        p -= change
        if abs(change) <= CONVERGED * abs(p):
            break
    rounded = float(f"{p:.3g}")
    if not min(values) / USUAL <= p <= max(values) * USUAL:  # far from usual values
        return [best]
    return [rounded if fits(rounded) or error(rounded) <= 1.01 * error(p) else p]

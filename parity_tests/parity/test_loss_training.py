"""The check ``losses in training``: it passes for a new loss that is complete, and fails if a piece is forgotten."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import numpy as np
import pytest

from parity_tests.checks.loss_training import check_loss_training
from parity_tests.comparison import first_failure
from parity_tests.reference import losses as reference
from parity_tests.reference.error_model import Array, Bounded, Rounding
from parity_tests.reference.losses import LossModel, LossRule
from scratch import losses, ops
from scratch.losses import Loss, SoftmaxCrossEntropy
from scratch.ops import BACKENDS


class MeanSquaredError(Loss):
    """Keras's ``MeanSquaredError``: the mean of (y − t)² over the units."""

    op = "mean_squared_error"


class FusedError(MeanSquaredError):
    """A mean squared error that states the fused rule of another loss."""

    fused_rule = SoftmaxCrossEntropy.op  # type: ignore[assignment]


FusedError.__name__ = "MeanSquaredError"


def mean_squared_error_forward(y: Array, t: Array) -> Array:
    return np.square(y - t).mean(axis=1)


def mean_squared_error_backward(y: Array, t: Array) -> Array:
    return 2 * (y - t) / y.shape[1]


def bounded_error(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return the mean of e², with e = y − t: the errors of e (1, 4), of the square and of the mean (1, 2)."""
    e = y.value - t
    terms = 2 * np.abs(e) * (y.bound + rounding.u * np.abs(e)) + (3 * rounding.u + rounding.gamma(t.shape[1])) * e**2
    return Bounded((e**2).mean(axis=1), terms.mean(axis=1))


def bounded_error_backward(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return 2 e / C: the error of e (1, 4) and two roundings (1)."""
    e, factor = y.value - t, 2 / t.shape[1]
    return Bounded(factor * e, factor * (y.bound + 3 * rounding.u * np.abs(e)))


@pytest.fixture
def _new_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the loss to both backends, to the losses of scratch, and to those of the error model."""
    for backend in BACKENDS:
        for function in (mean_squared_error_forward, mean_squared_error_backward):
            monkeypatch.setattr(ops.get(backend), function.__name__, function, raising=False)
    monkeypatch.setitem(losses.LOSSES, "mean_squared_error", MeanSquaredError)
    monkeypatch.setattr(losses, "MeanSquaredError", MeanSquaredError, raising=False)
    monkeypatch.setitem(
        reference.LOSSES, "MeanSquaredError", LossModel(LossRule(bounded_error, bounded_error_backward))
    )


@pytest.mark.usefixtures("_new_loss")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_complete_loss_passes(backend: str) -> None:
    rows = list(check_loss_training(backend))
    assert first_failure(rows) is None
    assert sum(row.name.count("MeanSquaredError") for row in rows) == 8  # four arrays of two networks


@pytest.mark.usefixtures("_new_loss")
def test_a_loss_without_an_error_model_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(reference.LOSSES, "MeanSquaredError")
    failure = first_failure(check_loss_training("numpy"))
    assert failure == "MeanSquaredError: is in reference.losses.LOSSES: got False, expected True"


@pytest.mark.usefixtures("_new_loss")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_loss_without_an_operation_fails(backend: str, direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ops.get(backend), f"mean_squared_error_{direction}")
    with pytest.raises(ValueError, match=f"there is no mean_squared_error_{direction}"):
        list(check_loss_training(backend))


@pytest.mark.usefixtures("_new_loss")
def test_a_loss_that_trains_as_cross_entropy_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the compiled core, and only there, the fused rule of another loss replaces the operations."""
    monkeypatch.setitem(losses.LOSSES, "mean_squared_error", FusedError)
    monkeypatch.setattr(losses, "MeanSquaredError", FusedError)
    assert first_failure(check_loss_training("numpy")) is None
    failure = first_failure(check_loss_training("numba"))
    assert failure is not None
    assert "MeanSquaredError" in failure
    assert "array 0 after fit" in failure


@pytest.mark.usefixtures("_new_loss")
def test_a_wrong_gradient_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops.get("numpy"), "mean_squared_error_backward", lambda y, t: 2 * (y - t))
    assert "MeanSquaredError" in str(first_failure(check_loss_training("numpy")))

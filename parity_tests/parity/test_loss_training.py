"""The check ``losses in training``: it passes for a new loss that is complete, and fails if a piece is forgotten."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import numpy as np
import pytest

from parity_tests.checks.loss_training import check_loss_training
from parity_tests.comparison import first_failure
from parity_tests.reference import losses as reference
from parity_tests.reference.error_model import ELEMENTARY, Array, Bounded, Rounding
from parity_tests.reference.losses import LossModel, LossRule
from scratch import losses, ops
from scratch.losses import Loss, SoftmaxCrossEntropy
from scratch.ops import BACKENDS


class LogCosh(Loss):
    """Keras's ``LogCosh``: the mean of log cosh (y − t) over the units."""

    op = "log_cosh"

    def __init__(self, reduction: str | None = "sum_over_batch_size") -> None:
        super().__init__(reduction)


class FusedError(LogCosh):
    """A loss that states the fused rule of another one."""

    fused_rule = SoftmaxCrossEntropy.op  # type: ignore[assignment]


FusedError.__name__ = "LogCosh"


def log_cosh_forward(y: Array, t: Array) -> Array:
    return (np.logaddexp(y - t, t - y) - np.log(2).astype(y.dtype)).mean(axis=1)


def log_cosh_backward(y: Array, t: Array) -> Array:
    return np.tanh(y - t) / y.shape[1]


def bounded_error(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return the mean of |e| + log(1 + exp(−2|e|)) − log 2, with e = y − t: slope 1 (4), elementary functions (3)."""
    e = np.abs(y.value - t)
    terms = y.bound + (2 * ELEMENTARY + rounding.gamma(t.shape[1]) / rounding.u) * rounding.u * (e + 1)
    return Bounded((np.logaddexp(e, -e) - np.log(2)).mean(axis=1), terms.mean(axis=1))


def bounded_error_backward(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return tanh(e) / C: the error of e (1, 4) and of the hyperbolic tangent (3)."""
    e = y.value - t
    return Bounded(np.tanh(e) / t.shape[1], (y.bound + (ELEMENTARY + 3) * rounding.u * np.abs(e)) / t.shape[1])


@pytest.fixture
def _new_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the loss to both backends and to the error model; let it be the only loss of scratch that is checked."""
    for backend in BACKENDS:
        for function in (log_cosh_forward, log_cosh_backward):
            monkeypatch.setattr(ops.get(backend), function.__name__, function, raising=False)
    monkeypatch.setattr(losses, "LOSSES", {"log_cosh": LogCosh})
    monkeypatch.setattr(losses, "LogCosh", LogCosh, raising=False)
    monkeypatch.setitem(reference.LOSSES, "LogCosh", LossModel(LossRule(bounded_error, bounded_error_backward)))


@pytest.mark.usefixtures("_new_loss")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_complete_loss_passes(backend: str) -> None:
    rows = list(check_loss_training(backend))
    assert first_failure(rows) is None
    assert sum(row.name.count("LogCosh") for row in rows) == 8  # four arrays of two networks


@pytest.mark.usefixtures("_new_loss")
def test_a_loss_without_an_error_model_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(reference.LOSSES, "LogCosh")
    failure = first_failure(check_loss_training("numpy"))
    assert failure == "LogCosh: is in reference.losses.LOSSES: got False, expected True"


@pytest.mark.usefixtures("_new_loss")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_loss_without_an_operation_fails(backend: str, direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ops.get(backend), f"log_cosh_{direction}")
    with pytest.raises(ValueError, match=f"there is no log_cosh_{direction}"):
        list(check_loss_training(backend))


@pytest.mark.usefixtures("_new_loss")
def test_a_loss_that_trains_as_cross_entropy_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the compiled core, and only there, the fused rule of another loss replaces the operations."""
    monkeypatch.setitem(losses.LOSSES, "log_cosh", FusedError)
    monkeypatch.setattr(losses, "LogCosh", FusedError)
    assert first_failure(check_loss_training("numpy")) is None
    failure = first_failure(check_loss_training("numba"))
    assert failure is not None
    assert "LogCosh" in failure
    assert "after fit: array 0" in failure


@pytest.mark.usefixtures("_new_loss")
def test_a_wrong_gradient_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops.get("numpy"), "log_cosh_backward", lambda y, t: np.tanh(y - t))
    assert "LogCosh" in str(first_failure(check_loss_training("numpy")))

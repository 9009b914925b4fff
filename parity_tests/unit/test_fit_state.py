"""``FitState``: what a resumed ``fit`` accepts and restores of a saved state."""

from typing import Any

import numpy as np
import pytest

from parity_tests.unit.trainings import classifier
from scratch.callbacks import EarlyStopping
from scratch.fit_state import FitState
from scratch.models import Sequential
from scratch.optimizers.schedules import ExponentialDecay


@pytest.fixture
def state() -> FitState:
    """Return the state of a ``fit`` of a model with momentum and four velocities, with a stateful callback."""
    model = classifier(momentum=0.9)
    model.train_on_batch(np.ones((6, 4)), np.eye(3)[[0, 1, 2, 0, 1, 2]])
    return fit_state(model)


def fit_state(model: Sequential) -> FitState:
    callback = EarlyStopping()
    callback.set_model(model)
    callback.on_train_begin({})
    return FitState(model, {}, batch_size=6, shuffle=True, callbacks=[callback], epoch=0)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epoch", -1, "epoch must be an integer, 0 or more; got -1"),
        ("step", 0.5, "step must be an integer, 0 or more; got 0.5"),
        ("offset", -2, "offset must be an integer, 0 or more; got -2"),
        ("means", [[1.5, -6]], "count must be a finite number, 0 or more; got -6"),
        ("iterations", -1, "iterations must be an integer, 0 or more; got -1"),
        ("learning_rate", -0.1, "learning_rate must be a finite number, 0 or more; got -0.1"),
    ],
)
def test_number_out_of_range_is_rejected(state: FitState, name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        state.set_state(state.get_state() | {name: value}, epochs=3)


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("velocities", lambda saved: saved[:-1]),
        ("velocities", lambda saved: [*saved, saved[0]]),
        ("velocities", lambda saved: [saved[1], *saved[1:]]),  # (8,) for a parameter (4, 8)
        ("callbacks", lambda saved: []),
        ("callbacks", lambda saved: saved * 2),
        ("weights", lambda saved: saved[:-1]),
    ],
    ids=["too few velocities", "too many velocities", "velocity of another shape", "no callback", "two callbacks", "W"],
)
def test_state_of_another_model_or_other_callbacks_is_rejected(state: FitState, name: str, entries: Any) -> None:
    saved = state.get_state()
    with pytest.raises(ValueError, match=r"."):
        state.set_state(saved | {name: entries(saved[name])}, epochs=3)


def test_restored_state_is_the_saved_one(state: FitState) -> None:
    model = state.model
    model.stop_training = False
    saved = state.get_state() | {"epoch": 2, "step": 5, "logs": {"loss": 0.5}, "iterations": 7, "learning_rate": 0.25}
    velocities = [np.array(v) for v in saved["velocities"]]
    other = classifier(momentum=0.9)
    restored = fit_state(other)
    restored.set_state(saved, epochs=9)
    assert (restored.epoch, restored.step, restored.logs) == (2, 5, {"loss": 0.5})
    assert (other.optimizer.iterations, other.optimizer.learning_rate) == (7, 0.25)
    np.testing.assert_equal(list(other.optimizer.v.values()), velocities)
    np.testing.assert_equal(other.get_weights(), model.get_weights())
    assert other.rng.bit_generator.state == saved["generator"]


def test_a_schedule_is_saved_as_the_number_of_steps_alone(state: FitState) -> None:
    assert state.get_state()["learning_rate"] == state.model.optimizer.learning_rate
    state.model.optimizer.learning_rate = ExponentialDecay(0.1, 5, 0.5)
    saved = state.get_state()
    assert saved["learning_rate"] is None
    state.set_state(saved | {"iterations": 5}, epochs=3)
    assert state.model.optimizer.learning_rate == pytest.approx(0.05)


def test_a_state_of_version_0_1_has_no_offset(state: FitState) -> None:
    saved = state.get_state()
    del saved["offset"]
    state.offset = 3
    state.set_state(saved, epochs=3)
    assert state.offset == 0


def test_the_generator_is_recorded_where_a_pass_begins(state: FitState) -> None:
    model, before = state.model, state.generator
    model.rng.random()
    state.offset = 1  # in the middle of a pass, whose order was drawn before
    state.begin_epoch()
    assert state.generator == before
    state.offset = 0
    state.begin_epoch()
    assert state.generator == model.rng.bit_generator.state


@pytest.mark.parametrize(("loss", "reported"), [(0.5, False), (float("nan"), True), (float("inf"), True)])
def test_resumed_run_does_not_repeat_the_warning_of_a_loss_that_is_not_finite(
    state: FitState, loss: float, reported: bool
) -> None:
    state.set_state(state.get_state() | {"logs": {"accuracy": 0.5, "loss": loss}}, epochs=3)
    assert state.nonfinite_loss_reported is reported


@pytest.mark.parametrize(
    ("epoch", "step", "validating", "place"),
    [(0, 0, False, "epoch 1, batch 1"), (2, 4, False, "epoch 3, batch 5"), (2, 4, True, "validation after epoch 3")],
)
def test_place_counts_from_one(state: FitState, epoch: int, step: int, validating: bool, place: str) -> None:
    state.epoch, state.step, state.validating = epoch, step, validating
    assert state.place == place

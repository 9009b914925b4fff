"""Schedules of the learning rate, and optimizers that follow one."""

import copy
import pickle
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from parity_tests.unit.trainings import Training, results
from scratch.callbacks import LambdaCallback, LearningRateScheduler
from scratch.models import Sequential
from scratch.optimizers import SGD, Adam, schedules
from scratch.optimizers.schedules import ExponentialDecay, LearningRateSchedule, PiecewiseConstantDecay


class InverseTime(LearningRateSchedule):
    """A schedule of the user."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, step: int) -> float:
        return self.rate / (1 + step)


def test_exponential_decay() -> None:
    schedule = ExponentialDecay(0.5, 2, 0.25)
    assert [schedule(step) for step in range(5)] == [0.5, 0.25, 0.125, 0.0625, 0.03125]
    stairs = ExponentialDecay(0.5, 2, 0.25, staircase=True)
    assert [stairs(step) for step in range(5)] == [0.5, 0.5, 0.125, 0.125, 0.03125]
    assert ExponentialDecay(0.1, 10, 0.9)(0) == np.float32(0.1)  # computed in float32, as in Keras


def test_piecewise_constant_decay() -> None:
    schedule = PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.25])
    assert [schedule(step) for step in range(7)] == [1, 1, 1, 0.5, 0.5, 0.25, 0.25]
    assert PiecewiseConstantDecay([], [0.5])(3) == 0.5


def test_each_step_has_the_learning_rate_of_the_steps_before_it() -> None:
    optimizer, W = SGD(PiecewiseConstantDecay([0, 1], [1.0, 2.0, 4.0])), np.zeros(1)
    for expected in (-1, -3, -7):
        optimizer.update({"W": W}, {"W": np.ones(1)})
        assert W[0] == expected
    assert optimizer.learning_rate == 4
    assert [int(v) for v in optimizer.variables] == [3]  # Keras has no variable of the learning rate either


def test_weight_decay_follows_the_schedule() -> None:
    optimizer, W = SGD(PiecewiseConstantDecay([0], [0.5, 0.25]), weight_decay=0.5), np.ones(1)
    for expected in (0.75, 0.75 * 0.875):
        optimizer.update({"W": W}, {"W": np.zeros(1)})
        assert W[0] == expected


@pytest.mark.parametrize("schedule", [ExponentialDecay(0.25, 2, 0.5), InverseTime(0.5)], ids=["own", "user's"])
@pytest.mark.parametrize("optimizer", [SGD, partial(SGD, momentum=0.9), Adam])
def test_fit_runs_with_the_bits_of_the_layers(optimizer: Callable[..., SGD], schedule: LearningRateSchedule) -> None:
    """The compiled core takes one step per call, since each step has another learning rate."""
    training = Training(optimizer=lambda: optimizer(schedule))
    assert results(training.run()) == results(training.run(run_eagerly=True))
    assert results(training.run()) != results(Training(optimizer=lambda: optimizer(schedule(0))).run())


def test_schedule_that_a_callback_assigns_within_fit() -> None:
    def assign(model: Sequential, epoch: int, logs: object) -> None:
        if epoch == 1:
            model.optimizer.learning_rate = ExponentialDecay(0.25, 2, 0.5)

    training = Training(callbacks=lambda model: [LambdaCallback(on_epoch_begin=partial(assign, model))])
    assert results(training.run()) == results(training.run(run_eagerly=True))
    assert results(training.run()) != results(Training().run())


def test_a_number_cannot_replace_a_schedule() -> None:
    """As in Keras: a callback that sets the learning rate does not go together with a schedule."""
    message = r"^The learning rate of this SGD follows its ExponentialDecay and cannot be set; create the optimizer"
    schedule = ExponentialDecay(0.25, 2, 0.5)
    optimizer = SGD(schedule)
    with pytest.raises(TypeError, match=message):
        optimizer.learning_rate = 0.1
    assert optimizer.learning_rate == 0.25
    training = Training(
        optimizer=lambda: SGD(schedule), callbacks=lambda model: [LearningRateScheduler(lambda epoch, rate: rate)]
    )
    with pytest.raises(TypeError, match=message):
        training.run()


@pytest.mark.parametrize("rate", [-0.1, np.nan, "0.1", None])
def test_assigned_number_is_checked(rate: float) -> None:
    optimizer = SGD(0.5)
    with pytest.raises(ValueError, match=r"^learning_rate must be a finite number, 0 or more; got "):
        optimizer.learning_rate = rate
    assert optimizer.learning_rate == 0.5


@pytest.mark.parametrize(
    "schedule", [ExponentialDecay(0.25, 2, 0.5, staircase=True), PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.25])]
)
def test_config(schedule: LearningRateSchedule) -> None:
    again = type(schedule).from_config(schedule.get_config())
    config = Adam(schedule, clipnorm=1.0).get_config()
    assert config["learning_rate"] == schedules.serialize(schedule)
    optimizer = Adam.from_config(config)
    for copied in (again, optimizer.schedule, copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert copied.get_config() == schedule.get_config()
        assert [copied(step) for step in range(6)] == [schedule(step) for step in range(6)]
    assert optimizer.clipnorm == 1
    assert InverseTime(0.5).get_config() == {"rate": 0.5}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ExponentialDecay(0.1, 0, 0.5), "Argument `decay_steps` must be > 0. Received: decay_steps=0"),
        (lambda: ExponentialDecay(0.1, -1, 0.5), "decay_steps must be a finite number, 0 or more; got -1"),
        (lambda: ExponentialDecay(-0.1, 2, 0.5), "initial_learning_rate must be"),
        (lambda: ExponentialDecay(0.1, 2, np.inf), "decay_rate must be"),
        (lambda: PiecewiseConstantDecay([1], [0.1]), "The length of boundaries should be 1 less than the length of"),
        (lambda: PiecewiseConstantDecay([2, 1], [1, 2, 3]), r"boundaries must increase .*; got \[2, 1\]"),
        (lambda: PiecewiseConstantDecay([1, 1], [1, 2, 3]), "boundaries must increase"),
        (lambda: PiecewiseConstantDecay([-1], [1, 2]), "each entry of boundaries must be a finite number, 0 or more"),
        (lambda: PiecewiseConstantDecay([1], [1, -2]), "each entry of values must be a finite number, 0 or more"),
        (lambda: PiecewiseConstantDecay(1, [1, 2]), "boundaries must be a list; got int"),
        (
            lambda: schedules.deserialize({"class_name": "CosineDecay"}),
            "Unknown learning rate schedule 'CosineDecay'",
        ),
    ],
)
def test_invalid_argument(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


def test_dropped_argument_names_the_schedule() -> None:
    with pytest.raises(TypeError, match=r"^SGD has no argument 'decay'; pass a schedule of scratch\.optimizers\.sched"):
        SGD(decay=1e-6)  # type: ignore[call-arg]


def test_a_base_class_has_no_values() -> None:
    with pytest.raises(NotImplementedError, match=r"^LearningRateSchedule must override __call__\.$"):
        SGD(LearningRateSchedule()).update({"W": np.ones(2)}, {"W": np.ones(2)})


def test_arguments_of_piecewise_constant_decay_are_named() -> None:
    with pytest.raises(ValueError, match=r"^boundaries must be"):
        PiecewiseConstantDecay(1, [0.1, 0.2])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^values must be"):
        PiecewiseConstantDecay([1], 0.1)  # type: ignore[arg-type]


def test_a_config_of_keras_has_a_name() -> None:
    config = {"boundaries": [1], "values": [0.1, 0.2], "name": "steps"}
    schedule = schedules.deserialize({"class_name": "PiecewiseConstantDecay", "config": config})
    assert schedule(0) == pytest.approx(0.1)

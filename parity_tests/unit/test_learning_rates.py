"""Callbacks that set the learning rate, and ``TerminateOnNaN``."""

from collections.abc import Callable

import numpy as np
import pytest

from scratch.callbacks import Callback, LearningRateScheduler, ReduceLROnPlateau, TerminateOnNaN
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.optimizers import SGD

Data = tuple[np.ndarray, np.ndarray]


def new_model(rate: float = 0.5, backend: str = "numba") -> Sequential:
    model = Sequential([Dense(3, "softmax", input_shape=(4,))], backend=backend)
    model.compile(SGD(rate), "categorical_crossentropy", metrics=["accuracy"])
    return model


def rates(callback: Callback, blobs: Data, epochs: int) -> list[float]:
    """Return the learning rate of each epoch, as the callback adds it to the logs."""
    history = new_model().fit(*blobs, epochs=epochs, callbacks=[callback], verbose=0).history
    return history["learning_rate"]


def test_scheduler_is_given_the_epoch_and_the_learning_rate(blobs: Data) -> None:
    assert rates(LearningRateScheduler(lambda epoch, rate: rate / (epoch + 1)), blobs, 3) == [0.5, 0.25, 0.25 / 3]
    assert rates(LearningRateScheduler(lambda epoch: 0.25 * epoch), blobs, 3) == [0, 0.25, 0.5]


def test_scheduler_in_a_second_fit(blobs: Data) -> None:
    """The schedule is asked again for an epoch of an earlier fit."""
    model, scheduler = new_model(), LearningRateScheduler(lambda epoch, rate: rate / 2)
    for expected in ([0.25], [0.125]):
        history = model.fit(*blobs, epochs=1, callbacks=[scheduler], verbose=0).history
        assert history["learning_rate"] == expected


def test_scheduler_prints_a_line(blobs: Data, capsys: pytest.CaptureFixture[str]) -> None:
    rates(LearningRateScheduler(lambda epoch, rate: 0.125, verbose=1), blobs, 1)
    assert capsys.readouterr().out == "\nEpoch 1: LearningRateScheduler setting learning rate to 0.125.\n"


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (1, "The output of the `schedule` function should be a float. Got: 1"),
        (None, "The output of the `schedule` function should be a float. Got: None"),
        (-0.5, "The output of the `schedule` function must be a finite number, 0 or more; got -0.5"),
        (np.nan, "The output of the `schedule` function must be a finite number, 0 or more; got nan"),
    ],
)
def test_schedule_that_returns_no_learning_rate(rate: float, message: str, blobs: Data) -> None:
    model = new_model()
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"^{message}"):
        model.fit(*blobs, callbacks=[LearningRateScheduler(lambda epoch, lr: rate)], verbose=0)
    assert model.optimizer.learning_rate == 0.5
    np.testing.assert_equal(model.get_weights(), before)


def reduced(plateau: ReduceLROnPlateau, values: list[float]) -> list[float]:
    """Return the learning rate after each epoch of a run in which the monitored value takes the given values."""
    model, found = new_model(1.0), []
    plateau.set_model(model)
    plateau.on_train_begin()
    for epoch, value in enumerate(values):
        plateau.on_epoch_end(epoch, {plateau.monitor: value})
        found.append(float(model.optimizer.learning_rate))
    return found


def test_plateau() -> None:
    def plateau(monitor: str = "val_loss", **options: float) -> ReduceLROnPlateau:
        return ReduceLROnPlateau(monitor, **{"factor": 0.5, "patience": 1, **options})

    assert reduced(plateau(), [3, 2, 2, 1, 1, 1]) == [1, 1, 0.5, 0.5, 0.25, 0.125]
    assert reduced(plateau(patience=2), [3, 3, 3, 3, 3]) == [1, 1, 0.5, 0.5, 0.25]
    assert reduced(plateau(patience=2), [3, 4, 2, 4, 4]) == [1, 1, 1, 1, 0.5]
    assert reduced(plateau(cooldown=2), [3, 3, 3, 3, 3]) == [1, 0.5, 0.5, 0.25, 0.25]
    assert reduced(plateau(min_lr=0.4), [3, 3, 3, 3]) == [1, 0.5, 0.4, 0.4]
    assert reduced(plateau(min_delta=0.5), [3, 2.6, 2]) == [1, 0.5, 0.5]
    assert reduced(plateau("val_accuracy"), [0.5, 0.6, 0.6]) == [1, 1, 0.5]
    assert reduced(plateau(mode="max"), [3, 2]) == [1, 0.5]
    used = plateau()
    assert reduced(used, [1, 1]) == reduced(used, [1, 1]) == [1, 0.5]  # fit starts it anew


def test_plateau_prints_a_line_and_warns_of_a_missing_value(blobs: Data, capsys: pytest.CaptureFixture[str]) -> None:
    reduced(ReduceLROnPlateau(factor=0.5, patience=1, verbose=1), [1, 1])
    assert capsys.readouterr().out == "\nEpoch 2: ReduceLROnPlateau reducing learning rate to 0.5.\n"
    message = (
        "^Learning rate reduction is conditioned on metric `val_loss` which is not available. "
        "Available metrics are: accuracy,loss,learning_rate.$"
    )
    with pytest.warns(UserWarning, match=message):
        assert rates(ReduceLROnPlateau(), blobs, 1) == [0.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ReduceLROnPlateau(factor=1.0),
            "ReduceLROnPlateau does not support a factor >= 1.0. Received factor=1",
        ),
        (lambda: ReduceLROnPlateau(factor=-0.1), "factor must be a finite number, 0 or more"),
        (lambda: ReduceLROnPlateau(patience=-1), "patience must be an integer, 0 or more"),
        (lambda: ReduceLROnPlateau(cooldown=0.5), "cooldown must be an integer"),
        (lambda: ReduceLROnPlateau(min_lr=-1.0), "min_lr must be a finite number"),
    ],
)
def test_invalid_argument(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


@pytest.mark.filterwarnings("ignore:The loss is not finite")
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_terminate_on_nan(backend: str, blobs: Data, capsys: pytest.CaptureFixture[str]) -> None:
    """The first step makes the weights infinite, so that the loss of the second is not a number."""
    model = new_model(1e38, backend)
    history = model.fit(*blobs, batch_size=10, epochs=3, callbacks=[TerminateOnNaN()], verbose=0)
    assert capsys.readouterr().out == "Batch 1: Invalid loss, terminating training\n"
    assert (history.epoch, model.optimizer.iterations) == ([0], 2)


@pytest.mark.filterwarnings("ignore:The loss is not finite")
def test_terminate_with_an_error(blobs: Data) -> None:
    model = new_model(1e38)
    with pytest.raises(RuntimeError, match=r"^NaN or Inf loss encountered at batch 1\. Loss value: (nan|inf)\. Termin"):
        model.fit(*blobs, batch_size=10, callbacks=[TerminateOnNaN(raise_error=True)], verbose=0)


def test_a_finite_loss_ends_nothing(blobs: Data) -> None:
    assert new_model().fit(*blobs, epochs=2, callbacks=[TerminateOnNaN()], verbose=0).epoch == [0, 1]

"""Callbacks: when their methods are called and with which arguments; History, EarlyStopping and CSVLogger."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scratch.callbacks import (
    EVENTS,
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    ModelCheckpoint,
    ProgbarLogger,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from scratch.callbacks.callback import BATCH_EVENTS
from scratch.layers import Dense, Softmax
from scratch.metrics import CategoricalAccuracy, MeanMetricWrapper, Metric
from scratch.models import Sequential

Data = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def model() -> Sequential:
    model = Sequential([Dense(3, "softmax", input_shape=(4,))])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def test_order_of_events(model: Sequential, blobs: Data) -> None:
    called: list[str] = []
    spy = LambdaCallback(**{event: lambda *args, event=event: called.append(event[3:]) for event in EVENTS})
    model.fit(*blobs, batch_size=60, epochs=2, validation_data=blobs, callbacks=spy, verbose=0)
    epoch = ["epoch_begin", "train_batch_begin", "train_batch_end", "test_begin", "test_batch_begin", "test_batch_end"]
    epoch += ["test_end", "epoch_end"]
    assert called == ["train_begin", *epoch, *epoch, "train_end"]
    called.clear()
    model.evaluate(*blobs, batch_size=60, callbacks=[spy], verbose=0)
    model.predict(blobs[0], batch_size=60, callbacks=[spy], verbose=0)
    assert called == [
        *("test_begin", "test_batch_begin", "test_batch_end", "test_end"),
        *("predict_begin", "predict_batch_begin", "predict_batch_end", "predict_end"),
    ]


def test_arguments_of_each_event(model: Sequential, blobs: Data) -> None:
    """The number of the epoch or batch, and logs, which are never None: the values so far or an empty dict."""
    calls: list[tuple[object, ...]] = []

    def note(event: str) -> Callable[..., None]:
        return lambda *args: calls.append((event[3:], *args))

    spy = LambdaCallback(**{event: note(event) for event in EVENTS})
    history = model.fit(*blobs, batch_size=30, validation_data=blobs, callbacks=spy, verbose=0).history
    logs = {name: values[0] for name, values in history.items()}
    validation = {name: logs[f"val_{name}"] for name in ("accuracy", "loss")}
    batch_logs = [args[2] for args in calls if args[0] in ("train_batch_end", "test_batch_end")]
    assert calls == [
        *(("train_begin", {}), ("epoch_begin", 0, {})),
        *(("train_batch_begin", 0, {}), ("train_batch_end", 0, batch_logs[0])),
        *(("train_batch_begin", 1, {}), ("train_batch_end", 1, batch_logs[1])),
        ("test_begin", {}),
        *(("test_batch_begin", 0, {}), ("test_batch_end", 0, batch_logs[2])),
        *(("test_batch_begin", 1, {}), ("test_batch_end", 1, validation)),
        *(("test_end", validation), ("epoch_end", 0, logs), ("train_end", logs)),
    ]
    assert all(list(batch) == ["accuracy", "loss"] for batch in (batch_logs[0], batch_logs[2]))
    calls.clear()
    outputs = model.predict(blobs[0], batch_size=30, callbacks=spy, verbose=0)
    np.testing.assert_equal(
        calls,
        [
            ("predict_begin", {}),
            *(("predict_batch_begin", 0, {}), ("predict_batch_end", 0, {"outputs": outputs[:30]})),
            *(("predict_batch_begin", 1, {}), ("predict_batch_end", 1, {"outputs": outputs[30:]})),
            ("predict_end", {}),
        ],
    )
    calls.clear()
    assert model.evaluate(*blobs, batch_size=30, callbacks=spy, verbose=0) == [
        validation["loss"],
        validation["accuracy"],
    ]
    assert (calls[0], calls[-1]) == (("test_begin", {}), ("test_end", validation))


def test_params_and_default_batch_size(model: Sequential, blobs: Data) -> None:
    """The default batch size is 32, as in Keras, so that 33 samples are two steps."""
    x, y = blobs[0][:33], blobs[1][:33]
    for method, data in ((model.fit, (x, y)), (model.evaluate, (x, y)), (model.predict, (x,))):
        spy = Callback()
        method(*data, callbacks=[spy], verbose=0)
        assert spy.params == {"verbose": 0, "epochs": 1, "steps": 2}


def test_a_history_passed_as_callback_is_filled_once(model: Sequential, blobs: Data) -> None:
    mine = History()
    assert model.history.history == {}  # created by compile
    assert model.fit(*blobs, epochs=2, callbacks=[mine], verbose=0) is mine
    assert mine.epoch == [0, 1]
    assert [len(values) for values in mine.history.values()] == [2, 2]


def test_logs_model_and_params(model: Sequential, blobs: Data) -> None:
    class Spy(Callback):
        batch_logs: list[dict[str, float]] = []  # noqa: RUF012

        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            self.batch_logs.append(dict(logs or {}))

    spy = Spy()
    history = model.fit(*blobs, batch_size=20, callbacks=[spy], verbose=0)
    assert spy.model is model
    assert spy.params == {"verbose": 0, "epochs": 1, "steps": 3}
    assert [list(logs) for logs in spy.batch_logs] == [["accuracy", "loss"]] * 3
    assert spy.batch_logs[-1] == {name: values[0] for name, values in history.history.items()}


def test_older_event_names_and_values_added_to_the_logs(model: Sequential, blobs: Data) -> None:
    class Rates(Callback):
        seen = 0

        def on_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            self.seen += 1

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            assert logs is not None
            logs["lr"] = 0.5

    rates = Rates()
    history = model.fit(*blobs, batch_size=20, callbacks=[rates], verbose=0)
    assert rates.seen == 3
    assert history.history["lr"] == [0.5]


def test_a_history_passed_as_callback_is_returned_by_fit(model: Sequential, blobs: Data) -> None:
    mine = History()
    for _ in range(2):
        assert model.fit(*blobs, callbacks=[mine], verbose=0) is mine
    assert mine.epoch == [0]
    assert len(mine.history["loss"]) == 2


def test_history_with_initial_epoch(model: Sequential, blobs: Data) -> None:
    history = model.fit(*blobs, epochs=5, initial_epoch=3, verbose=0)
    assert history.epoch == [3, 4]
    assert len(history.history["loss"]) == 2
    assert model.history is history


def test_stop_training_at_the_beginning_of_an_epoch_ends_it_after_one_step(model: Sequential, blobs: Data) -> None:
    def stop(epoch: int, logs: dict[str, float]) -> None:
        model.stop_training = True

    callbacks = [LambdaCallback(on_epoch_begin=stop)]
    x, y = blobs
    for samples in (x, x.astype("float32")):  # float32 samples could be trained in one call
        assert len(model.fit(samples, y, batch_size=20, epochs=3, verbose=0, callbacks=callbacks).epoch) == 1
    assert model.optimizer.iterations == 2


def test_a_model_without_weights_can_be_fitted(blobs: Data) -> None:
    x = np.abs(blobs[0][:, :3])
    for backend in ("numpy", "numba"):
        model = Sequential([Softmax(input_shape=(3,))], backend=backend)
        model.compile("sgd", "categorical_crossentropy")
        assert len(model.fit(x, blobs[1], epochs=2, verbose=0).epoch) == 2


def test_stop_training_ends_after_the_step(model: Sequential, blobs: Data) -> None:
    def stop(batch: int, logs: dict[str, float]) -> None:
        model.stop_training = batch == 1

    history = model.fit(*blobs, batch_size=10, epochs=5, callbacks=LambdaCallback(on_train_batch_end=stop), verbose=0)
    assert history.epoch == [0]
    assert model.optimizer.iterations == 2
    assert len(model.fit(*blobs, epochs=2, verbose=0).epoch) == 2  # fit resets stop_training


def run(stopper: EarlyStopping, values: list[float], model: Sequential) -> int:
    """Return the number of epochs of a run in which the monitored value takes the given values."""
    stopper.model, model.stop_training = model, False
    stopper.on_train_begin()
    for epoch, value in enumerate(values):
        model.params["dense/b"][...] = epoch
        stopper.on_epoch_end(epoch, {stopper.monitor: value})
        if model.stop_training:
            break
    stopper.on_train_end()
    return epoch + 1


def test_early_stopping(model: Sequential, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(EarlyStopping("val_loss"), [3, 2, 2.5, 1], model) == 3
    assert run(EarlyStopping("val_loss", patience=2), [3, 2, 2.5, 2.2, 1], model) == 4
    assert run(EarlyStopping("val_loss", patience=2), [3, 2, 2.5, 1.9, 2.0, 2.1, 0], model) == 6
    assert run(EarlyStopping("val_accuracy"), [0.5, 0.6, 0.55, 0.9], model) == 3
    assert run(EarlyStopping("val_loss", mode="max"), [3, 2, 1], model) == 2
    assert run(EarlyStopping("val_loss", min_delta=0.5), [3, 2.6, 1], model) == 2
    assert run(EarlyStopping("val_loss", start_from_epoch=2), [1, 2, 3, 2, 4, 0], model) == 5
    # Values that improve, but not on the baseline, do not reset the patience.
    assert run(EarlyStopping("val_loss", baseline=1.0, patience=2), [3, 2.9, 2.8, 2.85, 2.6], model) == 4
    assert run(EarlyStopping("val_loss", baseline=4.0, patience=2), [3, 2.9, 2.8, 2.85, 2.6], model) == 5
    capsys.readouterr()
    stopper = EarlyStopping("val_loss", patience=1, restore_best_weights=True, verbose=1)
    assert run(stopper, [3, 1, 2, 0], model) == 3
    assert (model.params["dense/b"] == 1).all()
    assert stopper.stopped_epoch == 2
    assert capsys.readouterr().out == (
        "Epoch 3: early stopping\nRestoring model weights from the end of the best epoch: 2.\n"
    )


def test_early_stopping_without_the_monitored_value(model: Sequential, blobs: Data) -> None:
    message = "Early stopping conditioned on metric `val_loss` which is not available. Available metrics are: accuracy,"
    with pytest.warns(UserWarning, match=f"^{message}loss$"):
        history = model.fit(*blobs, epochs=2, callbacks=[EarlyStopping()], verbose=0)
    assert history.epoch == [0, 1]


@pytest.mark.parametrize("callback", [EarlyStopping(monitor="mape"), ModelCheckpoint("model.keras", monitor="mape")])
def test_the_direction_of_an_unknown_monitor_must_be_given(callback: Callback, model: Sequential, blobs: Data) -> None:
    before = model.get_weights()
    with pytest.raises(
        ValueError, match=r"received monitor=mape, but scratch isn't able .* Pass `mode='max'` in order"
    ):
        model.fit(*blobs, callbacks=[callback], verbose=0)
    assert all(map(np.array_equal, model.get_weights(), before))  # raised before the first step


def test_the_direction_of_a_metric(model: Sequential) -> None:
    """A metric says whether larger values are better; the name of the metric does not matter."""

    class Error(CategoricalAccuracy):
        direction = "down"

    for metric, epochs in ((CategoricalAccuracy("right"), 2), (Error("right"), 3)):
        model.compile("sgd", "categorical_crossentropy", metrics=[metric])
        assert run(EarlyStopping("val_right"), [0.5, 0.4, 0.45], model) == epochs
    for unknown in (MeanMetricWrapper(np.equal, "right"), Metric("right")):  # as in Keras
        model.compile("sgd", "categorical_crossentropy", metrics=[unknown])
        with pytest.raises(ValueError, match="received monitor=val_right, but scratch isn't able"):
            run(EarlyStopping("val_right"), [0.5], model)


def test_an_unknown_mode_gives_a_warning(model: Sequential) -> None:
    with pytest.warns(UserWarning, match="^EarlyStopping mode 'up' is unknown, fallback to auto mode.$") as warned:
        stopper = EarlyStopping("val_loss", mode="up")
    assert warned[0].filename == __file__
    assert run(stopper, [1, 2, 3], model) == 2  # as with mode="auto"


@pytest.mark.parametrize("event", BATCH_EVENTS)
def test_callbacks_that_need_batch_level_events(event: str) -> None:
    """Those that define a batch method, in a class or as a function, or save after a number of batches."""

    def method(self: Callback, batch: int, logs: dict[str, float] | None = None) -> None:
        pass

    for kind, arguments in (
        (Callback, ()),
        (History, ()),
        (ProgbarLogger, ()),
        (TerminateOnNaN, ()),
        (ModelCheckpoint, ("model.keras",)),
        (BackupAndRestore, ("folder",)),
    ):
        assert not kind(*arguments).needs_batch_events
        assert type("Subclass", (kind,), {event: method})(*arguments).needs_batch_events
        patched = kind(*arguments)
        setattr(patched, event, print)
        assert patched.needs_batch_events
    assert LambdaCallback(**{event: print}).needs_batch_events
    assert not LambdaCallback(on_epoch_end=print).needs_batch_events
    assert ModelCheckpoint("model.keras", save_freq=2).needs_batch_events
    assert BackupAndRestore("folder", save_freq=2).needs_batch_events
    assert not BackupAndRestore("folder", save_freq="auto").needs_batch_events


def test_csv_logger(model: Sequential, blobs: Data, tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    history = model.fit(*blobs, epochs=2, validation_data=blobs, callbacks=[CSVLogger(file)], verbose=0).history
    model.fit(*blobs, epochs=1, validation_data=blobs, callbacks=[CSVLogger(file, append=True)], verbose=0)
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [row["epoch"] for row in rows] == ["0", "1", "0"]
    assert [float(row["val_loss"]) for row in rows[:2]] == history["val_loss"]


def test_a_callback_that_is_called_last_may_stand_first(model: Sequential, blobs: Data) -> None:
    found: list[str] = []

    class Last(Callback):
        called_last = True

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            found.append("last")

    others = [LambdaCallback(on_epoch_end=lambda epoch, logs, name=name: found.append(name)) for name in "ab"]
    model.fit(*blobs, verbose=0, callbacks=[Last(), *others])
    assert found == ["a", "b", "last"]


@pytest.mark.parametrize("callback_class", [EarlyStopping, ReduceLROnPlateau])
def test_a_warning_names_the_line_that_calls_fit(callback_class: Any, model: Sequential, blobs: Data) -> None:
    with pytest.warns(UserWarning, match="which is not available") as warned:
        model.fit(*blobs, verbose=0, callbacks=[callback_class("val_loss")])
    assert warned[0].filename == __file__

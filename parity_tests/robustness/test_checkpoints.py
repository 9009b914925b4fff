"""``ModelCheckpoint`` and Keras's: called alike, both save the same files and print the same lines."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import errno
import os
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import scratch
from scratch.callbacks import LambdaCallback, ModelCheckpoint
from scratch.datasets import mnist
from scratch.files import FileError
from scratch.layers import Dense
from scratch.metrics import CategoricalAccuracy
from scratch.models import Sequential, load_model

Data = tuple[np.ndarray, np.ndarray]
METRICS = [CategoricalAccuracy("accuracy")]
BATCHES = 5
NAN = float("nan")
LOSSES = [0.9, 0.7, 0.8, 0.7, NAN, 0.65, 0.66, 0.1]
EPOCHS = [
    {"accuracy": 1 - loss / 2, "loss": loss, "val_accuracy": 0.9 - loss / 2, "val_loss": loss + 0.1} for loss in LOSSES
]


class Recorder(Sequential):
    """A model that records which files it is asked to write."""

    def __init__(self, metrics: Sequence[Any]) -> None:
        super().__init__()
        self.files: list[tuple[str, str]] = []
        self.metrics = metrics

    def save(self, filepath: object, overwrite: bool = True) -> None:
        self.files.append(("model", str(filepath)))

    def save_weights(self, filepath: object, overwrite: bool = True) -> None:
        self.files.append(("weights", str(filepath)))


def call_events(callback: Any) -> None:
    """Call the methods of the callback as ``fit`` does."""
    callback.on_train_begin({})
    for epoch, logs in enumerate(EPOCHS):
        callback.on_epoch_begin(epoch, {})
        for batch in range(BATCHES):
            callback.on_train_batch_begin(batch, {})
            callback.on_train_batch_end(batch, {"accuracy": logs["accuracy"], "loss": logs["loss"] + 0.01 * batch})
        callback.on_epoch_end(epoch, dict(logs))
    callback.on_train_end(dict(EPOCHS[-1]))


@pytest.fixture(scope="module")
def keras_metrics() -> list[keras.metrics.Metric]:
    """The metrics of a trained Keras model, which know whether larger values are better."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(np.ones((2, 2)), np.eye(2), verbose=0)
    return model.metrics


ARGUMENTS: list[dict[str, Any]] = [
    {},
    {"filepath": "{epoch:02d}-{val_loss:.2f}.keras"},
    {"filepath": "{epoch}.weights.h5", "save_weights_only": True},
    {"filepath": "{epoch}-{batch:03d}-{loss:.3f}.keras", "save_freq": 1},
    {"filepath": "{epoch}-{batch}.keras", "save_freq": 3},
    {"filepath": "{epoch}-{batch}.keras", "save_freq": 7},
    {"filepath": "{epoch}.keras", "save_best_only": True},
    {"filepath": "{epoch}.keras", "save_best_only": True, "monitor": "loss", "mode": "min"},
    {"filepath": "{epoch}.keras", "save_best_only": True, "monitor": "val_accuracy"},
    {"filepath": "{epoch}.keras", "save_best_only": True, "monitor": "accuracy", "mode": "max"},
    {"filepath": "{epoch}.keras", "save_best_only": True, "monitor": "accuracy", "mode": "min"},
    {"filepath": "{epoch}.keras", "save_best_only": True, "initial_value_threshold": 0.85},
    {"filepath": "{epoch}.keras", "save_best_only": True, "initial_value_threshold": 0.05},
    {"filepath": "{epoch}-{batch}.keras", "save_best_only": True, "save_freq": 7, "monitor": "loss"},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
@pytest.mark.parametrize("verbose", [0, 1])
def test_same_files_and_output(
    arguments: dict[str, Any],
    verbose: int,
    keras_metrics: list[keras.metrics.Metric],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    results = []
    for kind in (ModelCheckpoint, keras.callbacks.ModelCheckpoint):
        callback = kind(**{"filepath": "model.keras", "verbose": verbose, **arguments})
        model = Recorder(METRICS if kind is ModelCheckpoint else keras_metrics)
        callback.set_model(model)
        call_events(callback)
        results.append((model.files, capsys.readouterr().out))
    ours, theirs = results
    assert ours == theirs
    assert ours[0] or arguments.get("initial_value_threshold") == 0.05
    assert bool(ours[1]) is bool(verbose)


def test_the_monitored_value_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """Both give the same warning, save the model all the same and print the same line."""
    results = []
    for kind in (ModelCheckpoint, keras.callbacks.ModelCheckpoint):
        callback, model = kind("{epoch}.keras", save_best_only=True, verbose=1), Recorder([])
        callback.set_model(model)
        with pytest.warns(UserWarning, match=r"^Can save best model only with val_loss available\.$"):
            callback.on_epoch_end(0, {"loss": 1.0})
        results.append((model.files, capsys.readouterr().out))
    assert results == [([("model", "1.keras")], "\nEpoch 1: finished saving model to 1.keras\n")] * 2


@pytest.mark.parametrize("name", ["EarlyStopping", "ModelCheckpoint"])
@pytest.mark.parametrize("arguments", [{"monitor": "mape"}, {"monitor": "mape", "mode": "min"}, {"mode": "largest"}])
def test_unknown_monitor_or_mode(
    name: str, arguments: dict[str, str], keras_metrics: list[keras.metrics.Metric]
) -> None:
    """Both give the same warnings or raise the same error."""
    files = {"filepath": "model.keras", "save_best_only": True} if name == "ModelCheckpoint" else {}
    results = []
    for package in (scratch, keras):
        messages = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                callback = getattr(package.callbacks, name)(**files, **arguments)
                callback.set_model(Recorder(METRICS if package is scratch else keras_metrics))
                call_events(callback)
            except ValueError as error:
                messages.append(f"ValueError: {error}")
        messages += [f"{warning.category.__name__}: {warning.message}" for warning in caught]
        results.append(messages)
    ours, theirs = results
    assert ours == [message.replace("Keras isn't", "scratch isn't") for message in theirs]
    assert ours


@pytest.fixture
def model() -> Sequential:
    model = Sequential([Dense(3, "softmax", input_shape=(4,))])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def test_the_best_model_is_the_one_in_the_file(model: Sequential, blobs: Data, tmp_path: Path) -> None:
    weights: list[np.ndarray] = []

    def worsen(epoch: int, logs: dict[str, float]) -> None:
        weights.append(model.get_weights()[0])
        if epoch == 2:
            model.set_weights([-9 * np.eye(4, 3), np.zeros(3)])

    file = tmp_path / "new" / "folder" / "best.keras"
    best = ModelCheckpoint(file, "loss", save_best_only=True)
    history = model.fit(*blobs, epochs=5, verbose=0, callbacks=[best, LambdaCallback(on_epoch_end=worsen)]).history
    assert np.argmin(history["loss"]) == 2
    np.testing.assert_array_equal(load_model(file).get_weights()[0], weights[2])
    np.testing.assert_array_equal(keras.models.load_model(file).get_weights()[0], weights[2])
    assert os.listdir(file.parent) == ["best.keras"]


def test_weights_only(model: Sequential, blobs: Data, tmp_path: Path) -> None:
    pattern = tmp_path / "{epoch}-{batch}.weights.h5"
    model.fit(
        *blobs,
        batch_size=20,
        epochs=2,
        verbose=0,
        callbacks=ModelCheckpoint(pattern, save_weights_only=True, save_freq=2),
    )
    assert sorted(os.listdir(tmp_path)) == ["1-2.weights.h5", "2-1.weights.h5", "2-3.weights.h5"]
    last = model.get_weights()
    model.fit(*blobs, verbose=0)
    model.load_weights(tmp_path / "2-3.weights.h5")
    assert all(map(np.array_equal, model.get_weights(), last))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("model.h5",),
            r"The filepath provided must end in `\.keras` \(Keras model format\)\. Received: filepath=model\.h5$",
        ),
        (
            ("model.keras", "loss", 0, False, True),
            r"`save_weights_only=True` .* must end in `\.weights\.h5` .* Received: filepath=model\.keras$",
        ),
        (("m.keras", "loss", 0, False, False, "min", "batch"), "Unrecognized save_freq: batch"),
        (("m.keras", "loss", 0, False, False, "min", 0), "save_freq must be an integer, 1 or more; got 0"),
        (("m.keras", "loss", 0, True, False, "min", 1, "low"), "initial_value_threshold must be a finite number"),
    ],
)
def test_wrong_arguments(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelCheckpoint(*arguments)


def test_a_filepath_with_a_name_that_is_not_in_the_logs(model: Sequential, blobs: Data, tmp_path: Path) -> None:
    message = r"Failed to format this callback filepath: \".*{mape}\.keras\"\. Reason: KeyError\('mape'\)\. "
    with pytest.raises(ValueError, match=message + r"Available names are: epoch, accuracy, loss\."):
        model.fit(*blobs, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "{mape}.keras")])


def test_full_disk_or_deleted_folder(
    model: Sequential, blobs: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = tmp_path / "models" / "last.keras"
    keep = ModelCheckpoint(file)
    model.fit(*blobs, verbose=0, callbacks=[keep])
    good = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(
            FileError, match=r"last\.keras can't be written: No space left on device; the previous file"
        ):
            model.fit(*blobs, verbose=0, callbacks=[keep])
    assert file.read_bytes() == good
    assert os.listdir(file.parent) == ["last.keras"]
    shutil.rmtree(file.parent)
    with pytest.raises(FileError, match=r"last\.keras can't be written: No such file or directory"):
        model.fit(*blobs, verbose=0, callbacks=[keep])


def test_scratch_loads_what_the_keras_command_saves(digits: mnist.Dataset, tmp_path: Path) -> None:
    from keras_impl.__main__ import main

    (x_train, y_train), (x_test, y_test), _ = digits
    np.savez(tmp_path / "few.npz", x_train=x_train[:300], y_train=y_train[:300], x_test=x_test[:99], y_test=y_test[:99])
    options = ["--data", str(tmp_path / "few.npz"), "--epochs", "1", "--hidden", "", "--quiet"]
    framework = ["--backend", keras.backend.backend()]
    (tmp_path / "target").touch(0o600)
    (tmp_path / "model.keras").symlink_to("target")
    assert main([*options, *framework, "--save", str(tmp_path / "model.keras")]) == 0
    assert sorted(os.listdir(tmp_path)) == ["few.npz", "model.keras", "target"]
    assert os.readlink(tmp_path / "model.keras") == "target"
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o600
    ours, theirs = load_model(tmp_path / "model.keras"), keras.models.load_model(tmp_path / "model.keras")
    assert ours.optimizer is not None
    assert ours.optimizer.iterations == 3
    assert all(map(np.array_equal, ours.get_weights(), theirs.get_weights()))

"""Compatibility: models, weights and backups that version 0.1.0 wrote can still be loaded and resumed.

The files in ``data/`` were written on the numpy backend, with the samples in ``samples.npz``:

- ``model.keras``, ``model.weights.h5`` and ``weights.npz``: one model after three epochs; ``predictions.npy``: its
  outputs for all samples.
- ``backup-momentum/``, ``backup-plain/``: the backups of two runs of ``fit`` that were interrupted after 18 batches.
- ``momentum-uninterrupted.npz``, ``momentum.csv`` and so on: weights, losses and log of the same runs without an
  interruption.

What is read from a file is compared bit for bit.  What is computed from it afterwards is compared within a tolerance,
because matrix products round differently on another machine, with another BLAS.
"""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scratch.callbacks import BackupAndRestore, Callback, CSVLogger, EarlyStopping
from scratch.layers import Activation, Dense, Flatten, Softmax
from scratch.losses import CategoricalCrossentropy
from scratch.models import Sequential, load_model
from scratch.optimizers import SGD
from scratch.utils import set_random_seed

FILES = Path(__file__).parent / "data"
SGD_OPTIONS: dict[str, dict[str, Any]] = {
    "momentum": {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3, "clipnorm": 2.0},
    "plain": {},
}
# 54 steps in float32 (unit roundoff 6e-8) with weights of about 1.  The numba backend rounds differently; its result
# differs by a fifteenth of this tolerance.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(scope="module")
def samples() -> tuple[np.ndarray, np.ndarray]:
    with np.load(FILES / "samples.npz") as arrays:
        return arrays["x"], arrays["y"]


def new_model(**sgd: Any) -> Sequential:
    layers = [Flatten(input_shape=(4,)), Dense(8, activation="tanh"), Activation("relu"), Dense(3), Softmax()]
    model = Sequential(layers, backend="numpy")
    model.compile(SGD(0.05, **sgd), "categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5", "weights.npz"])
def test_weights_are_loaded_bit_for_bit(name: str, samples: tuple[np.ndarray, np.ndarray]) -> None:
    if name == "model.keras":
        model = load_model(FILES / name, backend="numpy")
    else:
        model = new_model(**SGD_OPTIONS["momentum"])
        model.load_weights(FILES / name)
    with np.load(FILES / "weights.npz") as arrays:
        saved = [arrays[key] for key in ("dense/W", "dense/b", "dense_1/W", "dense_1/b")]
    loaded = model.get_weights()
    assert [W.dtype for W in loaded] == [W.dtype for W in saved]
    assert all(map(np.array_equal, loaded, saved))
    outputs = model.predict(samples[0], verbose=0)
    np.testing.assert_allclose(outputs, np.load(FILES / "predictions.npy"), rtol=1e-5)


def test_a_loaded_model_has_its_layers_loss_and_optimizer() -> None:
    model = load_model(FILES / "model.keras", backend="numpy")
    assert [type(layer).__name__ for layer in model.layers] == ["Flatten", "Dense", "Activation", "Dense", "Softmax"]
    assert [layer.activation for layer in model.layers] == ["linear", "tanh", "relu", "linear", "softmax"]
    assert type(model.loss) is CategoricalCrossentropy
    assert [metric.name for metric in model.metrics] == ["accuracy"]
    optimizer, options = model.optimizer, SGD_OPTIONS["momentum"]
    assert optimizer is not None
    assert (optimizer.iterations, optimizer.learning_rate) == (3 * 9, pytest.approx(0.05))
    assert {name: getattr(optimizer, name) for name in options} == options
    assert [v.shape for v in optimizer.v.values()] == [(4, 8), (8,), (8, 3), (3,)]
    assert all(np.any(v) for v in optimizer.v.values())


def test_a_weights_file_holds_the_optimizer_variables() -> None:
    loaded, model = load_model(FILES / "model.keras", backend="numpy"), new_model(**SGD_OPTIONS["momentum"])
    model.load_weights(FILES / "model.weights.h5")
    assert loaded.optimizer is not None
    assert model.optimizer is not None
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables) == 2 + 4
    assert all(map(np.array_equal, loaded.optimizer.variables, model.optimizer.variables))


class CompareRestored(Callback):
    """Before the first step, compares everything that is restored with the content of the backup, bit for bit.

    Attributes:
        steps: the numbers of all steps of the resumed run.
    """

    def __init__(self, folder: Path, table: Path) -> None:
        self.table, self.steps = table, list[int]()
        with np.load(folder / "latest.npz") as arrays:
            self.state: dict[str, Any] = json.loads(arrays["state"].tobytes())
            self.arrays = [arrays[name] for name in arrays.files if name != "state"]  # weights, then velocities

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if not self.steps:
            self.compare()
        self.steps.append(batch)

    def compare(self) -> None:
        model, optimizer, state = self.model, self.model.optimizer, self.state
        assert optimizer is not None
        restored = [*model.get_weights(), *optimizer.v.values()]
        assert len(restored) == len(self.arrays)
        assert all(map(np.array_equal, restored, self.arrays))
        assert (optimizer.iterations, optimizer.learning_rate) == (state["iterations"], state["learning_rate"])
        assert [[mean.total, mean.count] for mean in model.running_means()] == state["means"]
        order = np.random.default_rng()
        order.bit_generator.state = state["generator"]
        order.permutation(60)  # the order of the samples in the interrupted epoch
        assert model.rng.bit_generator.state == order.bit_generator.state
        assert self.table.read_bytes() == state["callbacks"][0]["lines"].encode()


@pytest.mark.parametrize("name", ["momentum", "plain"])
def test_an_interrupted_fit_is_resumed(
    name: str, samples: tuple[np.ndarray, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, table = tmp_path / "backup", tmp_path / "log.csv"
    shutil.copytree(FILES / f"backup-{name}", folder)
    set_random_seed(1)
    model, (x, y) = new_model(**SGD_OPTIONS[name]), samples
    stopper, restored = EarlyStopping("loss", patience=3), CompareRestored(folder, table)
    callbacks = [CSVLogger(table), stopper, BackupAndRestore(folder), restored]
    history = model.fit(x, y, batch_size=7, epochs=6, verbose=2, callbacks=callbacks, validation_data=(x[:9], y[:9]))
    assert restored.steps == [*range(6, 9), *range(9), *range(9), *range(9), *range(9)]  # nine batches an epoch
    assert f"Resumed at epoch 2, batch 7, from {folder}.\n" in capsys.readouterr().out
    assert model.optimizer is not None
    assert (model.optimizer.iterations, history.epoch) == (6 * 9, [0, 1, 2, 3, 4, 5])
    assert (stopper.best, stopper.best_epoch, stopper.wait) == (history.history["loss"][5], 5, 0)
    with np.load(FILES / f"{name}-uninterrupted.npz") as expected:
        np.testing.assert_allclose(history.history["loss"], expected["loss"], **TOLERANCE)
        for i, W in enumerate(model.get_weights()):
            np.testing.assert_allclose(W, expected[f"arr_{i}"], **TOLERANCE)
    assert_same_table(table, FILES / f"{name}.csv")


def assert_same_table(table: Path, expected: Path) -> None:
    with table.open(newline="") as ours, expected.open(newline="") as theirs:
        (header, *rows), (expected_header, *expected_rows) = list(csv.reader(ours)), list(csv.reader(theirs))
    assert header == expected_header
    np.testing.assert_allclose(np.array(rows, float), np.array(expected_rows, float), **TOLERANCE)

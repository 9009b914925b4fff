"""Programs: the MNIST loader and the training programs of scratch and Keras, side by side."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from pathlib import Path

import keras
import numpy as np
import pytest

from parity_tests.checks import full_runs
from parity_tests.conftest import save_some
from scratch.datasets import mnist


@pytest.mark.slow
def test_loader_returns_what_keras_returns(
    digits: mnist.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras's loader reads the same file; its download, which checks the hash of the full file, is replaced."""
    (x_train, y_train), (x_test, y_test), _ = digits
    path = tmp_path / "digits.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    monkeypatch.setattr("keras.src.datasets.mnist.get_file", lambda *args, **kwargs: str(path))
    for ours, theirs in zip(mnist.load_data(path), keras.datasets.mnist.load_data(), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--momentum", "0.5", "--hidden", "12", "--batch-size", "64"]])
def test_both_programs_print_the_same_training(
    options: list[str], digits: mnist.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from keras_impl.__main__ import main as keras_main
    from scratch.cli import main as scratch_main

    path = save_some(digits, tmp_path / "small.npz", train=500, test=100)
    tables = []
    for name, main in (("a", scratch_main), ("b", keras_main)):
        table = tmp_path / f"{name}.csv"
        assert main(["--data", path, "--epochs", "3", "--history", str(table), *options]) == 0
        tables.append(np.genfromtxt(table, delimiter=",", names=True))
        out = capsys.readouterr().out
        assert "Epoch 3/3" in out
        assert "Test loss" in out
    assert tables[0].dtype.names == tables[1].dtype.names
    for column in tables[0].dtype.names:
        np.testing.assert_allclose(tables[0][column], tables[1][column], rtol=0, atol=full_runs.LOSS_BOUND)

"""``python -m keras_impl experiments``: the same networks on the same batches in both, one table and one picture."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_impl.cli
import scratch
from scratch.datasets import mnist
from scratch.experiments import overfitting
from scratch.experiments.bench import Bench

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def benches(digits: mnist.Dataset) -> list[Bench]:
    (x, y), test, _ = digits
    return [Bench(api, (x[:600], y[:600]), test) for api in (scratch, keras)]


@pytest.mark.parametrize("options", [{}, {"activation": "tanh"}, {"normalize": True}, {"dropout": 0.5}], ids=str)
def test_the_networks_start_equal(benches: list[Bench], options: dict[str, object]) -> None:
    ours, theirs = (bench.network(2, **options).get_weights() for bench in benches)
    assert len(ours) == len(theirs)
    for W, V in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(W, V)


def test_the_curves_agree(benches: list[Bench]) -> None:
    losses = []
    for bench in benches:
        x, y, *_ = bench.digits(600, 0)
        _, loss = bench.loss_curve("", bench.network(2), bench.api.optimizers.Adagrad(0.01), x, y, points=2)
        losses.append(loss)
    # Twelve steps in float32: a sum of 784 terms in two orders differs by at most 784 · 6e-8 = 5e-5.
    np.testing.assert_allclose(*losses, rtol=12 * 5e-5)
    assert losses[0][1] < losses[0][0] - 0.1  # far more than the tolerance is learned in between


@pytest.mark.slow
def test_one_table_and_one_picture_for_both(
    small: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overfitting, "REMEDIES", {"Dropout": (None, 0.1)})
    words = ["experiments", "overfitting", "--quick", "--data", small, "--folder", str(tmp_path)]
    assert keras_impl.cli.main(words) == 0
    out = capsys.readouterr().out
    rows = [line.split()[1:4:2] for line in out.splitlines() if "Dropout" in line]
    assert [package for package, _ in rows] == ["scratch", "Keras"]
    with Image.open(tmp_path / "overfitting.png") as picture:
        assert picture.size == (990, 90 * 2 * overfitting.HEIGHT)


def test_help_and_errors(capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="0"):
        keras_impl.cli.main(["experiments", "--help"])
    assert "KERAS_BACKEND" in capsys.readouterr().out
    assert keras_impl.cli.main(["experiments", "adam"]) == 2
    assert capsys.readouterr().err.startswith("python -m keras_impl experiments: Unknown experiment 'adam'")

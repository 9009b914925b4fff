"""``python -m scratch experiments``: tables and pictures, the effects that they show, and wrong arguments."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import scratch
from parity_tests.robustness.test_commands import Terminal
from scratch.cli import main
from scratch.datasets import mnist
from scratch.experiments import EXPERIMENTS, batch_normalization, initial_values
from scratch.experiments.bench import Bench, Scale, constant, he, xavier

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def bench(digits: mnist.Dataset) -> Bench:
    (x, y), (x_test, y_test), _ = digits
    return Bench(scratch, (x[:1000], y[:1000]), (x_test[:200], y_test[:200]))


@pytest.mark.slow
def test_every_experiment_prints_a_table_and_draws_a_picture(small: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["experiments", "--quick", "--data", small, "--folder", str(tmp_path / "new" / "folder")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Data: 600 + 300 images from {small} (not MNIST: checksums differ).\n")
    for name, experiment in EXPERIMENTS.items():
        file = tmp_path / "new" / "folder" / f"{name}.png"
        assert f"\nFigure: {file}\n" in out
        assert f"\n{experiment.TITLE} (" in out
        with Image.open(file) as picture:
            assert picture.size == (990, 90 * experiment.HEIGHT)
            assert len(picture.convert("RGB").resize((300, 150)).getcolors(45_000) or []) > 20  # not a blank page
    for row in ("Momentum", "std 0.01", "0.001", "Dropout 0.1", "validation accuracy"):
        assert row in out
    assert "trial 1 of" not in out  # progress is for terminals
    assert err == ""


def test_the_same_seed_gives_the_same_table(bench: Bench) -> None:
    tables = []
    for seed in (1, 1, 2):
        again = Bench(scratch, bench.train_digits, bench.test_digits, seed, quick=True)
        tables.append(EXPERIMENTS["hyperparameters"].run(again).rows)
    assert tables[0] == tables[1] != tables[2]


@pytest.mark.parametrize("scale", [constant(0.01), xavier, he])
def test_networks_start_from_multiples_of_the_same_weights(bench: Bench, scale: Scale) -> None:
    W, b, W2, *_ = bench.network(2, scale=scale).get_weights()
    expected = {xavier: 784**-0.5, he: (2 / 784) ** 0.5}.get(scale, 0.01)
    assert np.std(W) == pytest.approx(expected, rel=4 / np.sqrt(2 * W.size))  # four standard errors
    assert not b.any()
    unit = bench.network(2, scale=constant(1.0)).get_weights()
    np.testing.assert_allclose(W, unit[0] * expected, rtol=1e-6)
    np.testing.assert_allclose(W2, unit[2] * scale(100), rtol=1e-6)


def test_digits_are_drawn_without_repetition_and_scaled(bench: Bench) -> None:
    x, y, x_test, y_test = bench.digits(900, 500)
    images, labels = bench.train_digits
    assert (x.shape, x.dtype, x_test.shape) == ((900, 784), np.float32, (200, 784))
    rows = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    drawn = [rows[np.rint(row * 255).astype(np.uint8).tobytes()] for row in x]
    assert drawn == y.tolist()
    assert len(np.unique(x, axis=0)) == min(900, len(rows))
    assert sorted(y_test) == sorted(bench.test_digits[1])


def test_a_point_of_a_curve_is_the_mean_loss_of_its_steps(bench: Bench) -> None:
    x, y, *_ = bench.digits(1000, 0)
    steps, loss = bench.loss_curve("", bench.network(1), scratch.optimizers.SGD(0.1), x, y, points=3)
    epochs = bench.fit("", bench.network(1), scratch.optimizers.SGD(0.1), x, y, epochs=3)  # a point is a pass here
    assert steps.tolist() == [10, 20, 30]
    np.testing.assert_array_equal(loss, epochs["loss"])


@pytest.mark.slow
def test_small_weights_give_small_outputs_except_with_he(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initial_values, "LIMITS", {"relu": (0.0, 1.0)})
    rows = {row[:2]: [float(number) for number in row[2:]] for row in initial_values.run(bench).rows}
    assert rows["relu", "std 0.01"][1] < 0.001 < 0.1 < rows["relu", "He"][1]
    assert rows["relu", "std 0.01"][2] > 2.2 > rows["relu", "He"][2]  # log 10 = 2.30: nothing is learned


@pytest.mark.slow
def test_normalization_trains_from_small_and_large_weights(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_normalization, "STDDEVS", (1.0, 0.001))
    large, small = batch_normalization.run(bench).rows
    assert float(small[1]) > 0.6 > 0.3 > float(small[2])
    assert float(large[2]) < 0.3  # diverges, without a warning


def test_progress_in_a_terminal(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal("utf-8", tty=True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert main(["experiments", "hyperparameters", "--quick", "--data", small, "--folder", str(tmp_path)]) == 0
    assert "hyperparameters, scratch" in terminal.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["adam"], f"Unknown experiment 'adam': choose one of {', '.join(EXPERIMENTS)}."),
        (["optimizers", "--seed", "-1"], "--seed must be an integer, 0 or more; got -1."),
        (["--folder", "a file"], "The folder a file can't be created: File exists."),
        (["overfitting", "--folder", "taken"], "taken/overfitting.png can't be written: it is a folder"),
    ],
)
def test_wrong_arguments_are_one_sentence_before_anything_is_trained(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a file").touch()
    Path("taken/overfitting.png").mkdir(parents=True)
    monkeypatch.setattr(Bench, "fit", lambda *_, **__: pytest.fail("trained"))
    assert main(["experiments", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"python -m scratch experiments: {message}")
    assert err.count("\n") == 1

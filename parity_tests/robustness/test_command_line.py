"""``python -m scratch`` as a person uses it, wrong words included."""

import csv
import re
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from scratch.cli import main

COMPILING = r"(?:, \d+\.\d s of them compiling)?"
RESULT = rf"Test loss (\d\.\d{{4}}), test accuracy (\d\.\d{{4}}), \d+\.\d s for (\d+) epochs{COMPILING}\.\n"


def test_it_trains_and_shows_it(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", small, "--epochs", "2", "--hidden", "20"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f'Data: 600 + 300 images, not MNIST\'s (MD5), from {small}.\nModel: "sequential"\n')
    assert "Total params: 15,910" in out
    assert re.search(r"Epoch 2/2\n6/6 - .* - val_loss: \d\.\d{4}\n" + RESULT + "$", out)


def test_options_matter_and_quiet_is_quiet(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*options: str) -> str:
        assert main(["--data", small, "--quiet", "--epochs", "2", "--hidden", "20", *options]) == 0
        out = capsys.readouterr().out
        assert re.fullmatch(RESULT, out)
        return out.split(" s for")[0].rsplit(",", 1)[0]

    plain = run()
    assert plain == run() == run("--backend", "numpy")
    results = {plain, run("--seed", "1"), run("--momentum", "0.9"), run("--learning-rate", "0.1")}
    results |= {run("--batch-size", "50"), run("--hidden", "20,10"), run("--epochs", "3"), run("--hidden", "")}
    assert len(results) == 8


def test_history_and_plot(small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, table = tmp_path / "result.png", tmp_path / "history.csv"
    assert main(["--data", small, "--epochs", "2", "--plot", str(picture), "--history", str(table)]) == 0
    assert f"Figure: {picture}" in capsys.readouterr().out
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    pixels = matplotlib.image.imread(picture)
    assert pixels.shape[:2] == (1100, 1540)
    assert np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0).shape[0] > 500  # curves, digits, weights: not blank


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "nowhere.npz"], "nowhere.npz does not exist; expected mnist.npz or a folder with the IDX files."),
        (["--epochs", "0"], "epochs must be an integer, 1 or more; got 0."),
        (["--batch-size", "-1"], "batch_size must be an integer, 1 or more; got -1."),
        (["--learning-rate", "nan"], "learning_rate must be a finite number, 0 or more; got nan."),
        (["--momentum", "1.5"], "momentum must be a finite number, between 0 and 1; got 1.5."),
        (["--hidden", "0"], "units must be an integer, 1 or more; got 0."),
        (["--seed", "-1"], "seed must be an integer, 0 or more; got -1."),
        (["--plot", "no/such/folder.png"], "no/such/folder.png can't be written; name a file in a folder that exists"),
        (["--history", "."], ". can't be written"),
        (["--plot", "figure.txt"], "--plot draws .png, .pdf, .svg, .jpg; got 'figure.txt'."),
        (["--save", "model.h5"], "--save writes .keras files; got 'model.h5'."),
        (["--save", "no/model.keras"], "no/model.keras can't be written; name a file in a folder that exists and"),
        (["--resume", "small.npz"], "The folder small.npz can't be created: File exists."),
    ],
)
def test_wrong_values(
    options: list[str],
    message: str,
    small: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--data", small, "--quiet", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"python -m scratch: {message}")
    assert said.count("\n") == 1


@pytest.mark.parametrize("options", [["--epochs", "two"], ["--hidden", "a,b"], ["--backend", "cuda"], ["--epoch-s"]])
def test_words_that_are_not_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(options)
    assert "usage: python -m scratch" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c(small: str, tmp_path: Path) -> None:
    table = tmp_path / "history.csv"
    command = [sys.executable, "-m", "scratch", "--data", small, "--epochs", "1000000", "--history", str(table)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        for line in program.stdout:
            if line.startswith("Epoch 3/"):
                break
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=30)
    assert program.returncode == 130
    assert re.search(r"\nInterrupted after \d+ whole epochs; test loss \d\.\d{4}, test accuracy \d\.\d{4}\.\n$", out)
    assert err == ""
    assert len(table.read_text().splitlines()) >= 3

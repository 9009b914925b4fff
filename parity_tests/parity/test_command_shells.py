"""The commands of the other packages in unusual shells; see ``robustness/test_shells.py`` for that of scratch."""

import parity_tests.needs_keras  # noqa: I001  (before anything that imports Keras)

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import keras_impl.cli
import parity_tests.cli
from parity_tests.robustness.test_shells import pipe_without_reader
from parity_tests.robustness.tiny_mnist import replace_mnist, write_npz
from scratch import __version__

Capture = pytest.CaptureFixture[str]
commands = pytest.mark.parametrize(
    "main", [keras_impl.cli.main, parity_tests.cli.main], ids=lambda main: main.__module__
)
Main = Callable[[list[str]], int]


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the options of a short training, in an empty folder with a tiny data set."""
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "tiny.npz", replace_mnist(monkeypatch))
    return ["--data", "tiny.npz", "--epochs", "1", "--hidden", ""]


@commands
def test_version(main: Main, capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"scratch-keras {__version__}\n"


@commands
def test_help_is_ascii(main: Main, capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert capsys.readouterr().out.isascii()


@commands
def test_help_for_a_program_that_has_ended(main: Main, capsys: Capture) -> None:
    with pipe_without_reader(), pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert capsys.readouterr().err == ""


@commands
def test_an_empty_name_is_an_error(main: Main, capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--data", ""])
    assert "the name of a file or folder is expected; got an empty text" in capsys.readouterr().err


@commands
def test_control_characters_are_escaped(main: Main, capsys: Capture, training: list[str]) -> None:
    assert main(["--data", "\x1b[31m.npz"]) == 2
    err = capsys.readouterr().err
    assert r"\x1b[31m.npz does not exist" in err
    assert err[:-1].isprintable()


def test_keras_with_closed_standard_streams(training: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert keras_impl.cli.main(training) == 0
    for stream in (sys.stdout, sys.stderr):
        stream.close()


def test_keras_without_a_reader(training: list[str], capsys: Capture) -> None:
    with pipe_without_reader():
        assert keras_impl.cli.main(training) == 141
    assert capsys.readouterr().err == ""


def test_parity_without_a_reader(training: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """The checks are left out: only the output matters."""
    monkeypatch.setattr("parity_tests.report.results.plan", lambda *_: [])
    monkeypatch.setattr(parity_tests.cli, "print_report", lambda report, console, digits: console.print(digits.source))
    with pipe_without_reader():
        assert parity_tests.cli.main(training[:2]) == 141
    assert capsys.readouterr().err == ""


def test_parity_in_ascii(training: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parity_tests.report.results.plan", lambda *_: [])
    monkeypatch.setattr(parity_tests.cli, "print_report", lambda report, console, digits: console.print("1 ×"))
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert parity_tests.cli.main(training[:2]) == 0
    output.seek(0)
    assert output.read() == "1 \\xd7\n"

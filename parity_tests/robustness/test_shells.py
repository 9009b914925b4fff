"""Commands in unusual shells: closed, broken and full outputs, encodings, narrow terminals, hostile names."""

import io
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from parity_tests.robustness.tiny_mnist import Arrays, replace_mnist, write_npz
from scratch import ops
from scratch.cli import main
from scratch.cli.terminal import run_command
from scratch.layers import Dense
from scratch.models import Sequential, load_model

Capture = pytest.CaptureFixture[str]
QUICK = ["--data", "tiny.npz", "--epochs", "1", "--hidden", "", "--backend", "numpy"]
HOSTILE = "\x1b[31m\n\u202e\udcff"  # red, a line break, right to left, a byte of a file name that is not UTF-8


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Return a tiny data set."""
    return replace_mnist(monkeypatch)


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in a folder with ``tiny.npz`` and ``model.keras``."""
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "tiny.npz", arrays)
    Sequential([Dense(10, "softmax", input_shape=(784,))], backend="numpy").save("model.keras")


@contextmanager
def pipe_without_reader() -> Iterator[None]:
    """Use a pipe that nothing reads from as standard output."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as output, redirect_stdout(output):
        yield


@pytest.mark.parametrize(
    "command", [QUICK, [*QUICK, "--quiet"], ["evaluate", "model.keras", "--data", "tiny.npz"]], ids=" ".join
)
def test_closed_standard_streams(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert main(command) == 0
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()


def test_an_error_with_closed_standard_error_is_not_printed_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["evaluate", "none.keras"]) == 2
    sys.stderr.close()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "command",
    [
        QUICK,  # rich, which prints the summary, exits by itself
        [*QUICK, "--quiet"],
        ["evaluate", "model.keras", "--data", "tiny.npz"],  # shorter than the buffer of a pipe
    ],
    ids=" ".join,
)
def test_the_program_that_reads_the_output_has_ended(command: list[str], capsys: Capture) -> None:
    with pipe_without_reader():
        assert main(command) == 141
        sys.stdout.flush()  # as Python does at exit
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's device that is always full")
def test_an_output_that_cannot_be_written_is_one_sentence(capsys: Capture) -> None:
    with open("/dev/full", "w", encoding="utf-8") as output, redirect_stdout(output):
        assert main(["evaluate", "model.keras", "--data", "tiny.npz"]) == 2
    reason = "standard output cannot be written ([Errno 28] No space left on device)."
    assert capsys.readouterr().err == f"python -m scratch evaluate: {reason}\n"


class WriteOnly:
    """A stream with the method ``write`` alone."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


def test_a_stream_with_little_but_write(monkeypatch: pytest.MonkeyPatch) -> None:
    output = WriteOnly()
    monkeypatch.setattr(sys, "stdout", output)
    assert main([*QUICK, "--quiet"]) == 0
    assert output.text.startswith("Test loss ")


@pytest.mark.parametrize("columns", ["10", "1", "0", "-5", "wide"])
def test_narrow_terminals(columns: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(QUICK) == 0
    out, err = capsys.readouterr()
    assert "Test loss" in out
    assert err == ""


def test_characters_that_the_encoding_lacks_are_escaped(capsys: Capture) -> None:
    os.rename("tiny.npz", "数字.npz")
    with redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding="ascii")) as output:
        assert main(["evaluate", "model.keras", "--data", "数字.npz"]) == 0
        assert run_command("parity_tests", lambda: Console(width=80).print("− ↔ ×") or 0) == 0
        output.seek(0)
        lines = output.read().splitlines()
    assert lines[0] == "Data: MNIST, 60,000 + 10,000 digits, from \\u6570\\u5b57.npz."
    assert lines[-1].rstrip() == "\\u2212 \\u2194 \\xd7"
    assert capsys.readouterr().err == ""


def hostile_zip(folder: Path) -> str:
    with zipfile.ZipFile(folder / "hostile.keras", "w") as archive:
        archive.writestr(f"../{HOSTILE[:-1]}", b"")
    return "hostile.keras"


def test_control_characters_never_reach_the_terminal(tmp_path: Path, capsys: Capture) -> None:
    os.rename("tiny.npz", f"{HOSTILE}.npz")
    os.rename("model.keras", f"{HOSTILE}.keras")
    model, data, picture = (f"{HOSTILE}.{suffix}" for suffix in ("keras", "npz", "png"))
    ink = np.full((28, 28), 255, np.uint8)
    ink[6:22, 12:16] = 0
    Image.fromarray(ink).save(tmp_path / picture)
    escaped = r"\x1b[31m\n\u202e\udcff"
    for command, status in (
        (["--data", data, *QUICK[2:], "--save", model], 0),
        (["evaluate", model, "--data", data], 0),
        (["predict", model, picture], 0),
        (["predict", model, picture, "--show"], 0),
        (["predict", model, model], 2),
        (["evaluate", f"none{model}"], 2),
        (["--data", f"none{data}"], 2),
        (["evaluate", hostile_zip(tmp_path)], 2),
    ):
        assert main(command) == status
        out, err = capsys.readouterr()
        assert escaped[:-6] in (err if status else out)
        for line in (out + err).splitlines():
            assert line.isprintable()


def test_hostile_names_within_an_archive_are_refused(capsys: Capture) -> None:
    with zipfile.ZipFile("model.keras") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["config.json"] = entries["config.json"].replace(b'"dense"', rb'"\u001b[31m"')
    with zipfile.ZipFile("hostile.keras", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match="control characters are not allowed") as error:
        load_model("hostile.keras")
    assert str(error.value).isprintable()
    assert main(["evaluate", "hostile.keras"]) == 2
    assert capsys.readouterr().err[:-1].isprintable()


@pytest.mark.parametrize("value", ["0", "-1", "1025", "100000", "x", "1.5", ""])
def test_invalid_numbers_of_threads(value: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    ops.get.cache_clear()
    monkeypatch.setenv("NUMBA_NUM_THREADS", value)
    assert main([*QUICK[:-2], "--quiet"]) == 2
    reason = f"must be an integer from 1 to 1024; got {value!r}. Change or unset it."
    assert capsys.readouterr().err == f"python -m scratch: The environment variable NUMBA_NUM_THREADS {reason}\n"
    assert main([*QUICK, "--quiet"]) == 0  # which does not use Numba


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "there is not enough memory; close other programs, or use a smaller model or data."),
        (MemoryError("9 TiB"), "there is not enough memory (9 TiB); close other programs, or use a smaller"),
    ],
)
def test_memory_error_is_one_sentence(error: MemoryError, message: str, capsys: Capture) -> None:
    def fail() -> int:
        raise error

    assert run_command("scratch", fail) == 2
    assert capsys.readouterr().err.startswith(f"python -m scratch: {message}")


def test_a_model_larger_than_the_memory_is_one_sentence(capsys: Capture) -> None:
    assert main([*QUICK[:4], "--hidden", "1000000000000", "--backend", "numpy", "--quiet"]) == 2
    err = capsys.readouterr().err
    assert "there is not enough memory (Unable to allocate " in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [["evaluate", ""], ["predict", ""], ["predict", "model.keras", ""], ["evaluate", "model.keras", "--data", ""]],
)
def test_an_empty_name_is_an_error(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "the name of a file or folder is expected; got an empty text" in capsys.readouterr().err

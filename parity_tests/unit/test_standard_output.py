"""What ``fit`` prints on a standard output that is closed, minimal, narrow, or has no colours."""

import io
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest

from parity_tests.robustness.test_shells import WriteOnly
from scratch.callbacks import EarlyStopping
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.utils import printable

Data = tuple[np.ndarray, np.ndarray]


class Terminal(io.StringIO):
    """A terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal with colours, and draw the bar after every batch."""
    monkeypatch.setattr("scratch.callbacks.progress.INTERVAL", 0.0)
    for name in ("NO_COLOR", "TERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()


def train(data: Data, output: Any, **options: Any) -> None:
    """Train, evaluate and predict with another standard output."""
    model = Sequential([Dense(3, "softmax", input_shape=(4,))], backend="numpy")
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    with redirect_stdout(output):
        model.fit(*data, batch_size=7, **options)
        model.evaluate(*data)
        model.predict(data[0])


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
@pytest.mark.parametrize("is_none", [True, False])
def test_closed_standard_output(verbose: Any, is_none: bool, blobs: Data) -> None:
    closed = Terminal()
    closed.close()
    stop = EarlyStopping("loss", patience=0, baseline=0.0, restore_best_weights=True, verbose=1)
    train(blobs, None if is_none else closed, verbose=verbose, epochs=2, callbacks=[stop])


def test_standard_output_with_little_but_write(blobs: Data) -> None:
    output = WriteOnly()
    train(blobs, output)
    assert output.text.startswith("9/9 - ")


def test_no_color(terminal: Terminal, blobs: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    train(blobs, terminal)
    assert terminal.getvalue().startswith("\r1/9 ━━")
    assert "\x1b" not in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "")  # by https://no-color.org, an empty value counts as unset
    train(blobs, terminal)
    assert "\x1b[32m" in terminal.getvalue()


def test_dumb_terminal(terminal: Terminal, blobs: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    train(blobs, terminal)
    lines = terminal.getvalue().splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["9/9", "2/2", "2/2"]
    assert "".join(lines).isprintable()


@pytest.mark.parametrize("columns", [1, 10, 28])
def test_a_terminal_that_is_narrower_than_the_bar_gets_the_final_lines_only(
    columns: int, terminal: Terminal, blobs: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    train(blobs, terminal)
    assert terminal.getvalue().count("\r") == terminal.getvalue().count("\n") == 3


def test_printable() -> None:
    assert printable("Datei 数字 é.png") == "Datei 数字 é.png"
    assert printable("\x1b[2J\r\x9b\u202e\udc80\u2028") == r"\x1b[2J\r\x9b\u202e\udc80\u2028"

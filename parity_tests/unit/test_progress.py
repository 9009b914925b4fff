"""The lines that ``fit``, ``evaluate`` and ``predict`` print: Keras's texts, in a terminal and in a file."""

import io
import re
import sys
import time
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from scratch.callbacks import LambdaCallback, ProgbarLogger
from scratch.callbacks.progress import format_remaining, format_value, interactive
from scratch.layers import Dense
from scratch.models import Sequential

Data = tuple[np.ndarray, np.ndarray]
ANSI = re.compile(r"\x1b\[\d+m")
VALUES = r"accuracy: \d\.\d{4} - loss: \d\.\d{4}"
TIMES = r"\d+s \d+(us|ms|s)/step"


@pytest.fixture
def model() -> Sequential:
    model = Sequential([Dense(3, "softmax", input_shape=(4,))])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def test_one_line_per_epoch_in_a_file(model: Sequential, blobs: Data, capsys: pytest.CaptureFixture[str]) -> None:
    model.fit(*blobs, batch_size=7, epochs=2, validation_data=blobs)
    lines = capsys.readouterr().out.splitlines()
    assert lines[::2] == ["Epoch 1/2", "Epoch 2/2"]
    validation = r"val_accuracy: \d\.\d{4} - val_loss: \d\.\d{4}"
    for line in lines[1::2]:
        assert re.fullmatch(rf"9/9 - \d+s - \d+(us|ms|s)/step - {VALUES} - {validation}", line)
    model.fit(*blobs, batch_size=7)
    assert re.fullmatch(rf"9/9 - \d+s - \d+(us|ms|s)/step - {VALUES}\n", capsys.readouterr().out)
    model.fit(*blobs, batch_size=7, verbose=1)  # a bar, but not in a terminal
    assert re.fullmatch(rf"9/9 ━{{20}} {TIMES} - {VALUES}\n", capsys.readouterr().out)
    model.evaluate(*blobs, batch_size=7)
    assert re.fullmatch(rf"9/9 - \d+s - \d+(us|ms|s)/step - {VALUES}\n", capsys.readouterr().out)
    model.predict(blobs[0], batch_size=7)
    assert re.fullmatch(r"9/9 - \d+s - \d+(us|ms|s)/step\n", capsys.readouterr().out)
    model.fit(*blobs, verbose=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("ends", "per_step"), [([60], 5), ([47, 60], 5), ([1, 60], 4), ([21, 61], 5)])
def test_time_per_step(ends: list[int], per_step: int, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Keras: the mean over all steps, without the first step if it was reported alone."""
    clock, first = [0.0], 1 if ends[-1] == 61 else 0
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    bar = ProgbarLogger()
    bar.set_params({"verbose": 2, "epochs": 1, "steps": ends[-1]})
    bar.on_epoch_begin(0)
    for begin, end in zip([first, *ends], ends, strict=False):
        bar.on_train_batch_begin(begin)
        clock[0] = 0.005 * (end - first) if end > 1 else 0.064
        bar.on_train_batch_end(end - 1, {})
    bar.on_epoch_end(0, {})
    assert capsys.readouterr().out == f"{ends[-1]}/{ends[-1]} - 0s - {per_step}ms/step\n"


def test_live_bar_in_a_terminal(
    model: Sequential, blobs: Data, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("scratch.callbacks.progress.INTERVAL", 0.0)
    each_batch = LambdaCallback(on_train_batch_end=lambda batch, logs: None)  # else one call takes all steps
    model.fit(*blobs, batch_size=7, epochs=1, callbacks=[each_batch])
    raw = capsys.readouterr().out
    assert raw.startswith("\r\x1b[1m1/9\x1b[0m \x1b[32m━━\x1b[0m\x1b[37m")
    drawn = ANSI.sub("", raw).lstrip("\r").rstrip("\n").split("\r")
    assert len(drawn) == 10  # nine steps and the final line
    for step, line in enumerate(drawn[:9], 1):
        assert re.fullmatch(rf"{step}/9 ━{{20}} {TIMES} - {VALUES} *", line)
    assert raw.count("\n") == 1


def test_lines_are_shorter_than_the_terminal_is_wide(
    model: Sequential, blobs: Data, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("scratch.callbacks.progress.INTERVAL", 0.0)
    monkeypatch.setenv("COLUMNS", "50")
    model.fit(*blobs, batch_size=7)
    *drawn, final = ANSI.sub("", capsys.readouterr().out).lstrip("\r").rstrip("\n").split("\r")
    assert max(map(len, drawn)) == 49
    assert "loss" in final  # the final line may wrap: it is not overwritten


def test_bar_of_hyphens_if_the_encoding_lacks_its_character(
    model: Sequential, blobs: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    model.fit(*blobs, batch_size=60, verbose=1)
    out.seek(0)
    assert out.read().startswith("1/1 -------------------- 0s ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59.9, "59s"), (60, "1:00"), (3599.9, "59:59"), (3659.7, "1:00:59"), (7199.9, "1:59:59")],
)
def test_remaining_time(seconds: float, text: str) -> None:
    assert format_remaining(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.94412, "0.9441"), (0.001, "1.0000e-03"), (0.00123, "0.0012"), (0.0, "0.0000e+00"), (12.5, "12.5000")],
)
def test_values_have_four_decimals(value: float, text: str) -> None:
    assert format_value(value) == text


def test_a_notebook_is_interactive_and_its_client_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.delitem(sys.modules, "ipykernel.zmqshell", raising=False)
    assert not interactive()
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", ModuleType("ipykernel.zmqshell"))
    assert interactive()

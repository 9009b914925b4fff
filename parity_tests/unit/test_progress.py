"""The text that a person sees: Keras's, in a terminal and in a file."""

import io
import re
import sys
import time
from typing import Any

import numpy as np
import pytest

from scratch.callbacks.progress import ProgbarLogger, _remaining, format_value
from scratch.layers import Dense, Flatten, Input, ReLU, Softmax
from scratch.models import Sequential
from scratch.optimizers import SGD

Data = tuple[np.ndarray, np.ndarray]
ANSI = re.compile(r"\x1b\[\d+m")
VALUES = r"accuracy: \d\.\d{4} - loss: \d\.\d{4}"
TIMES = r"\d+s \d+(us|ms|s)/step"

# What Keras 3.15.1 prints for the model below, after one fit, without a terminal.
KERAS_SUMMARY = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ flatten (Flatten)               │ (None, 784)            │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ a_very_long_name_that_must_wra… │ (None, 4)              │         3,136 │
│ (Dense)                         │                        │               │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 3,136 (12.25 KB)
 Trainable params: 3,136 (12.25 KB)
 Non-trainable params: 0 (0.00 B)
"""

# … and for one that is not built.
KERAS_UNBUILT = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┓
┃ Layer (type)             ┃ Output Shape      ┃   Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━┩
│ dense (Dense)            │ ?                 │         0 │
│                          │                   │ (unbuilt) │
├──────────────────────────┼───────────────────┼───────────┤
│ re_lu (ReLU)             │ ?                 │         0 │
├──────────────────────────┼───────────────────┼───────────┤
│ softmax (Softmax)        │ ?                 │         0 │
└──────────────────────────┴───────────────────┴───────────┘
 Total params: 0 (0.00 B)
 Trainable params: 0 (0.00 B)
 Non-trainable params: 0 (0.00 B)
"""


@pytest.fixture
def model() -> Sequential:
    made = Sequential([Dense(3, "softmax", input_shape=(4,))])
    made.compile("sgd", "categorical_crossentropy", ["accuracy"])
    return made


def test_summary_is_keras_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "a_very_long_name_that_must_wrap_somewhere_in_the_table"
    model = Sequential([Input((28, 28)), Flatten(), Dense(4, "relu", use_bias=False, name=name)])
    model.summary()
    assert capsys.readouterr().out == KERAS_SUMMARY
    texts: list[str] = []
    model.summary(print_fn=texts.append)
    assert texts == [KERAS_SUMMARY]


def test_summary_of_an_unbuilt_model(capsys: pytest.CaptureFixture[str]) -> None:
    Sequential([Dense(3), ReLU(), Softmax()]).summary(line_length=60)
    assert capsys.readouterr().out == KERAS_UNBUILT


def test_summary_counts_the_optimizer_once_it_has_worked(model: Sequential, blobs: Data) -> None:
    def totals() -> list[str]:
        texts: list[str] = []
        model.summary(print_fn=texts.append)
        return texts[0].splitlines()[-4:]

    assert totals()[-1] == " Non-trainable params: 0 (0.00 B)"
    model.fit(*blobs, verbose=0)
    assert totals() == [
        " Total params: 17 (72.00 B)",
        " Trainable params: 15 (60.00 B)",
        " Non-trainable params: 0 (0.00 B)",
        " Optimizer params: 2 (12.00 B)",
    ]
    model.compile(SGD(momentum=0.9), "categorical_crossentropy")
    model.fit(*blobs, verbose=0)
    assert totals()[-1] == " Optimizer params: 17 (72.00 B)"


def test_one_line_an_epoch_in_a_log(model: Sequential, blobs: Data, capsys: pytest.CaptureFixture[str]) -> None:
    model.fit(*blobs, batch_size=7, epochs=2, validation_data=blobs)
    lines = capsys.readouterr().out.splitlines()
    assert lines[::2] == ["Epoch 1/2", "Epoch 2/2"]
    validation = r"val_accuracy: \d\.\d{4} - val_loss: \d\.\d{4}"
    for line in lines[1::2]:
        assert re.fullmatch(rf"9/9 - \d+s - \d+(us|ms|s)/step - {VALUES} - {validation}", line)
    model.fit(*blobs, batch_size=7)
    assert re.fullmatch(rf"9/9 - \d+s - \d+(us|ms|s)/step - {VALUES}\n", capsys.readouterr().out)
    model.fit(*blobs, batch_size=7, verbose=1)  # a bar was asked for, but nobody could watch it
    assert re.fullmatch(rf"9/9 ━{{20}} {TIMES} - {VALUES}\n", capsys.readouterr().out)
    model.evaluate(*blobs, batch_size=7)
    assert re.fullmatch(rf"9/9 - \d+s - \d+(us|ms|s)/step - {VALUES}\n", capsys.readouterr().out)
    model.predict(blobs[0], batch_size=7)
    assert re.fullmatch(r"9/9 - \d+s - \d+(us|ms|s)/step\n", capsys.readouterr().out)
    model.fit(*blobs, verbose=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("ends", "per_step"), [([60], 5), ([47, 60], 5), ([1, 60], 4), ([21, 61], 5)])
def test_time_of_a_step(ends: list[int], per_step: int, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Keras tells it: of all that were done, but without the first, if that was told of by itself."""
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


def test_a_live_bar_in_a_terminal(
    model: Sequential, blobs: Data, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("scratch.callbacks.progress.INTERVAL", 0.0)
    model.fit(*blobs, batch_size=7, epochs=1)
    raw = capsys.readouterr().out
    assert raw.startswith("\r\x1b[1m1/9\x1b[0m \x1b[32m━━\x1b[0m\x1b[37m")
    drawn = ANSI.sub("", raw).lstrip("\r").rstrip("\n").split("\r")
    assert len(drawn) == 10  # nine steps and the final line
    for step, line in enumerate(drawn[:9], 1):
        assert re.fullmatch(rf"{step}/9 ━{{20}} {TIMES} - {VALUES} *", line)
    assert raw.count("\n") == 1


def test_a_line_never_reaches_the_edge_of_the_terminal(
    model: Sequential, blobs: Data, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("scratch.callbacks.progress.INTERVAL", 0.0)
    monkeypatch.setenv("COLUMNS", "50")
    model.fit(*blobs, batch_size=7)
    *drawn, final = ANSI.sub("", capsys.readouterr().out).lstrip("\r").rstrip("\n").split("\r")
    assert max(map(len, drawn)) == 49
    assert "loss" in final  # the last line may wrap: nothing is drawn over it


def test_an_output_without_the_bars_character(model: Sequential, blobs: Data, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert _remaining(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.94412, "0.9441"), (0.001, "1.0000e-03"), (0.00123, "0.0012"), (0.0, "0.0000e+00"), (12.5, "12.5000")],
)
def test_values_have_four_decimals(value: float, text: str) -> None:
    assert format_value(value) == text

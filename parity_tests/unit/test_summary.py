"""``model.summary()`` prints Keras's text."""

import numpy as np
import pytest

from scratch.layers import Dense, Flatten, Input, ReLU, Softmax
from scratch.models import Sequential
from scratch.optimizers import SGD

Data = tuple[np.ndarray, np.ndarray]

# The output of Keras 3.15.1, without a terminal, for the model of test_summary_is_keras_text.
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

# The output of Keras 3.15.1 for the model of test_summary_of_an_unbuilt_model.
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
    model = Sequential([Dense(3, "softmax", input_shape=(4,))])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


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


def test_summary_counts_the_optimizer_variables_after_the_first_step(model: Sequential, blobs: Data) -> None:
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

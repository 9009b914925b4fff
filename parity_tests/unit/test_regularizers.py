"""Penalties: values and gradients by hand, in training, evaluation and traces, in backups and files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.robustness.interrupted import Data, everything, fit, interrupt
from scratch import gradient_check, regularizers
from scratch.callbacks import BackupAndRestore
from scratch.execution import LayerByLayer
from scratch.files import FileError
from scratch.layers import Dense, Input
from scratch.models import Sequential, load_model
from scratch.ops import BACKENDS
from scratch.regularizers import L1, L1L2, L2
from scratch.utils import clear_session, set_random_seed

X, Y = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 3


def network(backend: str = "numpy", dtype: str = "float32", kernel: Any = None, bias: Any = None) -> Sequential:
    clear_session()
    set_random_seed(1)
    first = Dense(6, "tanh", kernel_regularizer=kernel, bias_regularizer=bias, bias_initializer="ones")
    model = Sequential([Input((4,)), first, Dense(3, "softmax")], backend=backend, dtype=dtype)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_by_hand() -> None:
    W = np.array([[1.0, -2.0], [0.0, 3.0]], np.float32)
    assert (L1(0.5)(W), L2(0.5)(W), L1L2(0.5, 0.25)(W), L1L2()(W)) == (3.0, 7.0, 6.5, 0.0)
    np.testing.assert_array_equal(L1(0.5).gradient(W), [[0.5, -0.5], [0, 0.5]])
    np.testing.assert_array_equal(L2(0.5).gradient(W), W)
    np.testing.assert_array_equal(L1L2(0.5, 0.25).gradient(W), [[1, -1.5], [0, 2]])
    assert L1L2(0.1, 0.2).gradient(W).dtype == np.float32
    assert (repr(L1L2(0.5, 0.25)), repr(L2())) == ("L1L2(l1=0.5, l2=0.25)", "L2(l2=0.01)")


def test_names() -> None:
    assert [vars(regularizers.get(name)) for name in ("l1", "L2", "l1l2")] == [
        {"l1": 0.01, "l2": 0.0},
        {"l1": 0.0, "l2": 0.01},
        {"l1": 0.0, "l2": 0.0},
    ]
    assert regularizers.get(None) is None
    with pytest.raises(ValueError, match=r"^Unknown regularizer 'l3': choose one of l1, l2"):
        Dense(2, kernel_regularizer="l3")
    with pytest.raises(ValueError, match=r"^l2 must be a finite number, 0 or more; got -1"):
        L2(-1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_loss_trace_and_logs_include_the_penalties(backend: str) -> None:
    plain, model = network(backend), network(backend, kernel=L1L2(0.1, 0.2), bias="l2")
    np.testing.assert_equal(plain.get_weights(), model.get_weights())
    W, b = model.get_weights()[:2]
    penalty = 0.1 * np.abs(W).sum() + 0.2 * (W**2).sum() + 0.01 * (b**2).sum()
    assert model.penalty() == pytest.approx(penalty)
    trace, without = model.trace(X, Y), plain.trace(X, Y)
    assert trace["loss"] == pytest.approx(without["loss"] + penalty)
    np.testing.assert_array_equal(trace["loss/dx"], without["loss/dx"])
    np.testing.assert_allclose(trace["dense/dW"], without["dense/dW"] + 0.1 * np.sign(W) + 0.4 * W, rtol=1e-6)
    np.testing.assert_allclose(trace["dense/db"], without["dense/db"] + 0.02 * b, rtol=1e-6)
    assert model.evaluate(X, Y, verbose=0)[0] == pytest.approx(float(trace["loss"]))
    assert isinstance(model.make_train_function(X, Y, 4), LayerByLayer)
    assert model.fit(X, Y, batch_size=12, verbose=0).history["loss"][0] == pytest.approx(float(trace["loss"]))
    nested = Sequential([model], backend=backend)
    assert nested.penalty() == model.penalty()


def test_gradients() -> None:
    model = network(dtype="float64", kernel=L1L2(0.1, 0.2), bias=L1(0.3))
    assert max(gradient_check(model, X, Y).values()) < 1e-7


def test_no_bias_no_penalty() -> None:
    layer = Dense(2, use_bias=False, bias_regularizer="l2", input_shape=(3,))
    Sequential([layer])
    assert layer.penalty() == 0


def test_files_and_backups(blobs: Data, tmp_path: Path) -> None:
    blobs = blobs[0], blobs[1].argmax(axis=1)
    whole = network(kernel="l2")
    fit(whole, blobs)
    interrupt(network(kernel="l2"), blobs, BackupAndRestore(tmp_path / "b", save_freq=2), at=(1, 2))
    with pytest.raises(FileError, match=r"kernel_regularizer=L2\(l2=0\.01\), .* kernel_regularizer=L1\(l1=0\.01\)"):
        fit(network(kernel="l1"), blobs, BackupAndRestore(tmp_path / "b", save_freq=2))
    resumed = network(kernel="l2")
    fit(resumed, blobs, BackupAndRestore(tmp_path / "b", save_freq=2))
    assert everything(resumed) == everything(whole)
    whole.save(tmp_path / "m.keras")
    assert load_model(tmp_path / "m.keras").penalty() == pytest.approx(whole.penalty())


def test_penalties_are_summed_in_float64() -> None:
    W = np.full(1 << 20, 0.1, np.float32)
    exact = float(W[0])
    assert L1(1.0)(W) == pytest.approx(W.size * exact, rel=1e-12)
    assert L2(1.0)(W) == pytest.approx(W.size * exact**2, rel=1e-12)


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_a_factor_is_named_in_its_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        L1L2(**{name: -1.0})


def test_a_class_stands_for_its_defaults() -> None:
    layer = Dense(3, kernel_regularizer=regularizers.L2, bias_regularizer=regularizers.L1)
    assert (layer.kernel_regularizer.l2, layer.bias_regularizer.l1) == (0.01, 0.01)

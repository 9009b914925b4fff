"""A model as a layer of another model: shared weights, gradients, summary, files, backups."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.robustness.interrupted import Data, everything, fit, interrupt
from scratch import gradient_check
from scratch.callbacks import BackupAndRestore
from scratch.layers import Dense, Dropout, Flatten, Input, Softmax
from scratch.metrics import BinaryAccuracy, CategoricalAccuracy
from scratch.models import Sequential, load_model
from scratch.ops import BACKENDS
from scratch.utils import clear_session, set_random_seed

X = np.random.default_rng(1).normal(size=(8, 4)).astype("float32")
Y = np.arange(8) % 3


def encoder(dtype: str = "float32", backend: str = "numpy", **options: Any) -> Sequential:
    return Sequential([Input((4,)), Dense(6, "tanh"), Dropout(0.5), Dense(3)], dtype=dtype, backend=backend, **options)


def network(backend: str = "numpy", dtype: str = "float32", momentum: float = 0.0) -> Sequential:
    """Return a model with a model within a model."""
    clear_session()
    set_random_seed(3)
    middle = Sequential([encoder(dtype, backend), Dense(5, "relu")], backend=backend, dtype=dtype)
    model = Sequential([middle, Dense(3), Softmax()], backend=backend, dtype=dtype)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_changes_the_shared_weights(backend: str) -> None:
    inner = encoder(backend=backend)
    inner.compile("sgd", "sparse_categorical_crossentropy")
    inner.fit(X, Y, verbose=0)
    model = Sequential([inner, Softmax()], backend=backend)
    np.testing.assert_array_equal(model(X), model.layers[1](inner(X)))
    assert model.layers[0] is inner
    assert model.params["sequential/dense/W"] is inner.params["dense/W"]
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = inner.get_weights()
    model.fit(X, Y, verbose=0)
    assert all((W != V).any() for W, V in zip(inner.get_weights(), before, strict=True))
    np.testing.assert_equal(inner.get_weights(), model.get_weights())
    inner.fit(X, Y, verbose=0)
    np.testing.assert_equal(inner.get_weights(), model.get_weights())


def test_same_bits_as_the_same_layers_without_models() -> None:
    model = network()
    inner, dense, softmax = model.layers
    flat = Sequential([Input((4,)), *inner.layers[0].layers, inner.layers[1], dense, softmax], backend="numpy")
    flat.compile("adam", "sparse_categorical_crossentropy")
    flat.layers[1].state["masks"][:] = [9, 0]
    weights = model.get_weights()
    flat.fit(X, Y, epochs=3, shuffle=False, verbose=0)
    expected = flat.get_weights()
    model.set_weights(weights)
    flat.layers[1].state["masks"][:] = [9, 0]
    model.fit(X, Y, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_equal(model.get_weights(), expected)


def test_gradients_and_names() -> None:
    model = network(dtype="float64")
    errors = gradient_check(model, X, Y)
    assert max(errors.values()) < 1e-7
    inner = f"{model.layers[0].name}/{model.layers[0].layers[0].name}"
    assert f"{inner}/dense/W" in errors
    trace = model.trace(X, Y)
    np.testing.assert_array_equal(model.gradients(X, Y)[1][0], trace[f"{inner}/dense/dW"])
    assert model.count_params() == sum(W.size for W in model.get_weights())


def test_a_softmax_inside_is_fused_with_the_loss() -> None:
    flat = Sequential([Input((4,)), Dense(3, "softmax")], dtype="float64")
    model = Sequential([flat], dtype="float64")
    for m in (flat, model):
        m.compile("sgd", "sparse_categorical_crossentropy")
    assert model.trace(1e3 * X, Y)["loss"] == flat.trace(1e3 * X, Y)["loss"] > 30
    np.testing.assert_equal(model.gradients(X, Y), flat.gradients(X, Y))


def test_built_when_the_shape_is_known() -> None:
    inner = Sequential([Dense(5), Dense(2)])
    model = Sequential([Flatten(), inner])
    assert not inner.built
    assert model(np.ones((2, 3, 4))).shape == (2, 2)
    assert inner.input_shape == (None, 12)
    assert Sequential([inner, Softmax()]).output_shape == (None, 2)


def test_inference_during_training_waits_for_the_step() -> None:
    inner, other = encoder(), encoder()
    model = Sequential([inner, Dense(4), other], backend="numpy")
    assert model.lock is inner.lock is other.lock


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.add(m), r"^Model 'sequential' cannot be a layer of itself\.$"),
        (lambda m: Sequential([m], backend="numba"), "^Layer 'sequential' belongs to a model with another backend"),
        (lambda m: Sequential([m, Sequential([Dense(2)], name=m.name)], backend="numpy"), "already has a layer named"),
        (
            lambda m: Sequential([Input((5,)), m], backend="numpy"),
            r"expects input of shape \(None, 4\); got \(None, 5\)",
        ),
        (lambda m: Sequential([Input((5,)), Sequential()]), r"Model 'sequential_\d' has no layers; add one"),
    ],
)
def test_invalid_models(call: Callable[[Sequential], Any], message: str) -> None:
    clear_session()
    with pytest.raises(ValueError, match=message):
        call(encoder())


@pytest.mark.parametrize("backend", BACKENDS)
def test_files(backend: str, tmp_path: Path) -> None:
    model = network(backend)
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = load_model(tmp_path / "m.keras", backend=backend)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert [layer.name for layer in loaded.layers[0].layers[0].layers] == ["dense", "dropout", "dense_1"]
    for name in ("m.weights.h5", "m.npz"):
        model.save_weights(tmp_path / name)
        other = network(backend)
        other.set_weights([0 * W for W in other.get_weights()])
        other.load_weights(tmp_path / name)
        np.testing.assert_equal(other.get_weights(), model.get_weights())
    assert next(iter(np.load(tmp_path / "m.npz"))) == "sequential/sequential/dense/W"
    for m in (model, loaded):
        m.layers[0].layers[0].layers[1].state["masks"][:] = [1, 0]
        m.fit(X, Y, shuffle=False, verbose=0)
    np.testing.assert_equal(loaded.get_weights(), model.get_weights())


def test_resumed_is_bit_identical(blobs: Data, tmp_path: Path) -> None:
    blobs = blobs[0], blobs[1].argmax(axis=1)
    whole = network()
    fit(whole, blobs)
    interrupt(network(), blobs, BackupAndRestore(tmp_path, save_freq=2), at=(1, 2))
    resumed = network()
    fit(resumed, blobs, BackupAndRestore(tmp_path, save_freq=2))
    assert everything(resumed) == everything(whole)


def test_copies_do_not_share_weights() -> None:
    model = network()
    twin = copy.deepcopy(model)
    twin.fit(X, Y, verbose=0)
    assert (model.get_weights()[0] != twin.get_weights()[0]).any()


@pytest.mark.parametrize("method", ["predict", "__call__"])
def test_a_layer_that_does_not_fit_after_a_change_of_the_inner_model_is_named(method: str) -> None:
    inner = Sequential([Dense(5), Dense(4)], backend="numpy")
    model = Sequential([inner, Dense(3, "softmax", name="last")], backend="numpy")
    getattr(model, method)(X)
    inner.pop()
    with pytest.raises(ValueError, match=r"^Layer 'last' expects input of shape \(None, 4\); got \(None, 5\)"):
        getattr(model, method)(X)


def test_the_accuracy_of_a_model_that_is_not_built_depends_on_the_units_of_its_layers() -> None:
    for units, expected in ((1, BinaryAccuracy), (3, CategoricalAccuracy)):
        model = Sequential([Sequential([Dense(5), Dense(units, "sigmoid")]), Dropout(0.1)])
        model.compile("sgd", "mean_squared_error", metrics=["accuracy"])
        assert [type(metric) for metric in model.metrics] == [expected]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_the_models_of_a_copy_share_one_lock(duplicate: Callable[[Sequential], Sequential]) -> None:
    inner = Sequential([Sequential([Dense(3)]), Dense(2)])
    model = Sequential([Input((4,)), Sequential([Dense(3)]), inner])
    for outer in (model, duplicate(model)):
        nested = [outer.layers[0], outer.layers[1], outer.layers[1].layers[0]]
        assert all(part.lock is outer.lock for part in nested)
    assert duplicate(model).lock is not model.lock

"""Scratch against Keras: the same numbers, names and texts, on both backends of scratch."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_impl
from keras_impl.frameworks import FRAMEWORK
from parity_tests.checks import full_checks
from parity_tests.reference.cases import INPUTS, Case
from parity_tests.checks.checks import BACKENDS, check_trace
from parity_tests.checks.compare import assert_all
from parity_tests.checks.training_checks import FAST, run
from scratch import layers, losses
from scratch.datasets import mnist
from scratch.layers import ACTIVATIONS
from scratch.models import Sequential
from scratch.optimizers import SGD

backends = pytest.mark.parametrize("backend", BACKENDS)
EXAMPLES = 100 if FRAMEWORK != "jax" else 5  # JAX compiles every operation for every shape


@backends
@pytest.mark.parametrize("check", FAST)
def test_parity(check: str, backend: str) -> None:
    rows = run(check, backend)
    assert rows
    assert_all(rows)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any network that scratch can build."""
    depth = draw(st.integers(1, 5))
    widths = draw(st.lists(st.integers(1, 300), min_size=depth, max_size=depth))
    widths[-1] = max(widths[-1], 2)  # a loss over one class is always 0, and Keras warns of it
    return Case(
        tuple(widths),
        tuple(draw(st.lists(st.sampled_from(ACTIVATIONS), min_size=depth, max_size=depth))),
        features=draw(st.integers(1, 300)),
        batch=draw(st.integers(1, 257)),
        dtype=draw(st.sampled_from(["float32", "float64"] if FRAMEWORK == "tensorflow" else ["float32"])),
        use_bias=draw(st.booleans()),
        separate=draw(st.booleans()),
        inputs=draw(st.sampled_from(INPUTS)),
        sparse=draw(st.booleans()),
        seed=draw(st.integers(0, 1000)),
    )


@pytest.mark.filterwarnings("ignore:(?s).*You are using a softmax over axis -1 of a tensor of shape")  # of width 1
@settings(max_examples=EXAMPLES)
@given(cases().filter(lambda case: case.comparable))
def test_the_trace_of_random_networks(case: Case) -> None:
    for backend in BACKENDS:
        assert_all(check_trace(backend, case))


# --- weights across -----------------------------------------------------------------------------------------------


def every_layer() -> Sequential:
    """A network with each of scratch's layers."""
    return Sequential(
        [
            layers.Input((4, 3)),
            layers.Flatten(),
            layers.Dense(7, "tanh", use_bias=False),
            layers.Activation("sigmoid"),
            layers.Dense(6),
            layers.ReLU(),
            layers.Dense(5, name="mine"),
            layers.Softmax(),
        ]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"] if FRAMEWORK == "tensorflow" else ["float32"])
def test_a_model_goes_to_keras_and_comes_back(dtype: str, rng: np.random.Generator) -> None:
    model = every_layer() if dtype == "float32" else Sequential([layers.Dense(3, input_shape=(4,))], dtype=dtype)
    x = rng.normal(size=(5, *model.input_shape[1:])).astype(dtype)
    twin = keras_impl.to_keras(model)
    back = keras_impl.to_scratch(twin, backend="numpy")
    assert [layer.name for layer in model.layers] == [layer.name for layer in twin.layers]
    assert [layer.name for layer in model.layers] == [layer.name for layer in back.layers]
    assert [type(layer) for layer in model.layers] == [type(layer) for layer in back.layers]
    assert (model.name, model.input_shape) == (twin.name, twin.input_shape) == (back.name, back.input_shape)
    assert back.backend == "numpy"
    for a, b, c in zip(model.get_weights(), twin.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    np.testing.assert_allclose(twin.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(keras_impl.to_scratch(twin).predict(x, verbose=0), model.predict(x, verbose=0))


def test_the_twin_is_compiled_alike(rng: np.random.Generator) -> None:
    model = Sequential([layers.Dense(4, "relu", input_shape=(3,)), layers.Dense(2)])
    optimizer = SGD(0.5, 0.25, nesterov=True, weight_decay=0.125, clipnorm=2.0)
    model.compile(optimizer, losses.CategoricalCrossentropy(True, label_smoothing=0.5), metrics=["accuracy"])
    twin = keras_impl.to_keras(model)
    config = twin.optimizer.get_config()
    assert float(config["learning_rate"]) == 0.5
    for name in ("momentum", "nesterov", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm"):
        assert config[name] == getattr(optimizer, name)
    x, y = rng.normal(size=(6, 3)).astype("float32"), np.eye(2)[[0, 1, 0, 1, 1, 0]]
    for _ in range(3):
        np.testing.assert_allclose(model.train_on_batch(x, y), twin.train_on_batch(x, y), rtol=1e-5)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_gradients_of_both(rng: np.random.Generator) -> None:
    case = Case((6, 4), ("tanh", "softmax"), sparse=True)
    loss, gradients = keras_impl.gradients(case.twin(), case.x, case.y)
    expected = case.scratch().gradients(case.x, case.y)
    assert loss == pytest.approx(expected[0], rel=1e-6)
    assert [g.shape for g in gradients] == [g.shape for g in expected[1]] == [W.shape for W in case.data[2]]


def test_an_unbuilt_model_stays_unbuilt() -> None:
    twin = keras_impl.to_keras(Sequential([layers.Dense(3)]))
    assert not twin.built
    assert not keras_impl.to_scratch(keras.Sequential([keras.layers.Dense(3)])).built


def test_copy_weights_changes_all_or_nothing() -> None:
    source, target = Sequential([layers.Dense(3, input_shape=(4,))]), keras_impl.build_model((5,), 4, 3)
    before = target.get_weights()
    with pytest.raises(ValueError, match=r"has weights of shapes \[\(4, 5\), .* got \[\(4, 3\), \(3,\)\] from"):
        keras_impl.copy_weights(source, target)
    for a, b in zip(before, target.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def normalized() -> keras.Sequential:
    """A compiled model with variables that no gradient belongs to."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization(name="n"), keras.layers.Dense(2)])
    model.compile("sgd", "categorical_crossentropy")
    return model


def test_an_unbuilt_model_keeps_its_initializers() -> None:
    twin = keras_impl.to_keras(Sequential([layers.Dense(3, kernel_initializer="ones", bias_initializer="ones")]))
    back = keras_impl.to_scratch(twin)
    x = np.ones((1, 4), "float32")
    np.testing.assert_array_equal(twin.predict(x, verbose=0), np.full((1, 3), 5.0, "float32"))
    np.testing.assert_array_equal(back(x), np.full((1, 3), 5.0, "float32"))


class Mine(layers.Layer):
    """A layer that Keras does not have."""


@pytest.mark.parametrize(
    ("convert", "model", "message"),
    [
        (
            keras_impl.to_keras,
            lambda: Sequential([Mine(name="own")]),
            "The layer 'own' is a Mine, which has no counterpart in Keras",
        ),
        (
            keras_impl.to_scratch,
            lambda: keras.Sequential([keras.layers.Dropout(0.5, name="drop")]),
            "The layer 'drop' is a 'Dropout'",
        ),
        (
            keras_impl.to_scratch,
            lambda: keras.Sequential([keras.layers.Dense(3, "gelu", name="d")]),
            r"The layer 'd' \(Dense\): Unknown activation 'gelu'",
        ),
        (
            keras_impl.to_scratch,
            lambda: keras.Sequential([keras.layers.Dense(3, kernel_regularizer="l2", name="d")]),
            r"The layer 'd' \(Dense\) has kernel_regularizer='L2'",
        ),
        (
            keras_impl.to_scratch,
            lambda: keras.Sequential([keras.layers.ReLU(max_value=6.0, name="r")]),
            r"The layer 'r' \(ReLU\) has max_value=6.0",
        ),
        (keras_impl.to_scratch, lambda: keras.Sequential([keras.layers.Softmax(axis=1, name="s")]), "has axis=1"),
        (
            keras_impl.to_scratch,
            lambda: keras.Sequential([keras.layers.Dense(3, activity_regularizer="l2", name="d")]),
            r"The layer 'd' \(Dense\) has activity_regularizer='L2'",
        ),
        (
            keras_impl.to_scratch,
            lambda: keras.Sequential([keras.layers.Dense(3, trainable=False, name="d")]),
            r"The layer 'd' \(Dense\) has trainable=False",
        ),
        (
            keras_impl.to_scratch,
            lambda: keras.Sequential([keras.layers.Dense(3, dtype="mixed_float16", name="d")]),
            r"The layer 'd' \(Dense\) has dtype=.*'mixed_float16'",
        ),
        (
            keras_impl.to_scratch,
            lambda: keras.Sequential([keras.layers.Dense(3, lambda x: 2 * x, name="d")]),
            r"The layer 'd' \(Dense\) has activation='<lambda>'",
        ),
        (
            keras_impl.to_scratch,
            lambda: keras.Sequential([keras.layers.Dense(3, kernel_initializer="lecun_normal", name="d")]),
            r"The layer 'd' \(Dense\) has kernel_initializer='LecunNormal'",
        ),
        (
            keras_impl.to_keras,
            lambda: Sequential([layers.Dense(3, bias_initializer=lambda shape, rng: np.ones(shape), name="d")]),
            "The layer 'd': bias_initializer is a function that Keras does not have",
        ),
        (keras_impl.to_keras, lambda: "model", "to_keras expects a scratch Sequential; got str"),
        (lambda m: keras_impl.copy_weights(m, "x"), lambda: keras_impl.build_model((2,), 3, 2), "got str"),
        (lambda m: keras_impl.copy_weights(m, m), lambda: Sequential([layers.Dense(3)]), "has no weights yet"),
        (lambda m: keras_impl.trace(m, 0, 0), lambda: "model", r"trace expects a keras\.Sequential; got str"),
        (lambda m: keras_impl.trace(m, np.ones((2, 3)), 0), normalized, "Layer 'n' can't be traced"),
        (keras_impl.to_scratch, lambda: "model", r"to_scratch expects a keras\.Sequential; got str"),
        (lambda m: keras_impl.trace(m, 0, 0), lambda: keras.Sequential([keras.layers.Dense(3)]), "built and compiled"),
    ],
)
def test_what_has_no_counterpart(convert: Any, model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convert(model())


# --- the pipeline -------------------------------------------------------------------------------------------------


def test_our_loader_gives_what_kerass_gives(
    digits: mnist.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras's own loader, reading the same file: it would check a hash that only the full file has."""
    (x_train, y_train), (x_test, y_test), _ = digits
    path = tmp_path / "digits.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    monkeypatch.setattr("keras.src.datasets.mnist.get_file", lambda *args, **kwargs: str(path))
    for ours, theirs in zip(mnist.load_data(path), keras.datasets.mnist.load_data(), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("options", [[], ["--momentum", "0.5", "--hidden", "12", "--batch-size", "64"]])
def test_both_programs_print_the_same_training(
    options: list[str], digits: mnist.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from keras_impl.__main__ import main as keras_main
    from scratch.cli import main as scratch_main

    (x_train, y_train), (x_test, y_test), _ = digits
    path = tmp_path / "small.npz"
    np.savez(path, x_train=x_train[:500], y_train=y_train[:500], x_test=x_test[:100], y_test=y_test[:100])
    tables = []
    for name, main in (("a", scratch_main), ("b", keras_main)):
        table = tmp_path / f"{name}.csv"
        assert main(["--data", str(path), "--epochs", "3", "--history", str(table), *options]) == 0
        tables.append(np.genfromtxt(table, delimiter=",", names=True))
        out = capsys.readouterr().out
        assert "Epoch 3/3" in out
        assert "Test loss" in out
    assert tables[0].dtype.names == tables[1].dtype.names
    for column in tables[0].dtype.names:
        np.testing.assert_allclose(tables[0][column], tables[1][column], rtol=0, atol=full_checks.LOSS)

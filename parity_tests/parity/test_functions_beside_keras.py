"""Activations, initializers and regularizers by their functions, classes and short names, as Keras takes them."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from typing import Any

import keras
import numpy as np
import pytest

import scratch
from keras_impl.frameworks import FRAMEWORK, to_numpy

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


@pytest.mark.parametrize("name", ["normal", "uniform", "one", "zero"])
def test_short_names_of_initializers(name: str) -> None:
    ours, theirs = (program.initializers.get(name) for program in (scratch, keras))
    assert type(ours).__name__ == type(theirs).__name__
    assert ours.get_config() == theirs.get_config()


@pytest.mark.parametrize(
    "create",
    [
        lambda module: module.he_normal(),
        lambda module: module.he_normal(seed=1),
        lambda module: module.random_normal(stddev=0.5),
        lambda module: module.random_normal(0.25, 0.5),
        lambda module: module.constant(0.5),
        lambda module: module.variance_scaling(2.0, mode="fan_out"),
        *(lambda module, name=name: getattr(module, name) for name in ("zeros", "lecun_uniform", "truncated_normal")),
        *(lambda module, name=name: getattr(module, name)() for name in ("ones", "orthogonal", "glorot_uniform")),
    ],
)
def test_initializers_in_lower_case(create: Any) -> None:
    ours, theirs = (program.initializers.get(create(program.initializers)) for program in (scratch, keras))
    assert type(ours).__name__ == type(theirs).__name__
    assert ours.get_config().items() <= theirs.get_config().items()  # Keras's HeNormal also names what it is made of


@pytest.mark.parametrize("dtype", ["float32", "float64"] if FRAMEWORK == "tensorflow" else ["float32"])
def test_dtypes_of_initial_values(dtype: str) -> None:
    for name in ("HeNormal", "Zeros", "OrthogonalInitializer", "IdentityInitializer"):
        ours, theirs = (getattr(program.initializers, name)()((2, 3), dtype=dtype) for program in (scratch, keras))
        assert ours.dtype == to_numpy(theirs).dtype == dtype
        assert ours.shape == theirs.shape


def test_configs_of_initializers_and_regularizers() -> None:
    for module, name, arguments in (
        ("regularizers", "L1", {"l1": 0.5}),
        ("regularizers", "L2", {"l2": 0.5}),
        ("regularizers", "L1L2", {"l1": 0.5, "l2": 0.25}),
        ("initializers", "HeNormal", {"seed": 3}),
        ("initializers", "Constant", {"value": 0.5}),
    ):
        ours, theirs = (getattr(getattr(program, module), name) for program in (scratch, keras))
        config = ours(**arguments).get_config()
        assert config.items() <= theirs(**arguments).get_config().items()
        assert ours.from_config(config).get_config() == config


@pytest.mark.parametrize("name", ["relu", "softmax", "sigmoid", "tanh", "elu", "leaky_relu", "softplus"])
def test_functions_as_activations(name: str) -> None:
    ours = getattr(scratch.activations, name)(X)
    np.testing.assert_allclose(ours, to_numpy(getattr(keras.activations, name)(X)), rtol=1e-6, atol=1e-7)
    functions = [getattr(keras.activations, name)]
    if FRAMEWORK == "tensorflow":
        import tensorflow as tf

        functions.append(getattr(tf.nn, name))
    for function in functions:
        np.testing.assert_allclose(function(X), ours, rtol=1e-6, atol=1e-7)
        assert scratch.layers.Dense(3, activation=function).activation == name


@pytest.mark.parametrize(("name", "argument"), [("elu", 0.5), ("leaky_relu", 0.25)])
def test_arguments_of_activations_by_position(name: str, argument: float) -> None:
    ours, theirs = (getattr(program.activations, name)(X, argument) for program in (scratch, keras))
    np.testing.assert_allclose(ours, to_numpy(theirs), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *(("categorical_crossentropy", arguments) for arguments in ((True,), (True, 0.25), (False, 0.25, -1))),
        *(("binary_crossentropy", arguments) for arguments in ((True,), (True, 0.25), (False, 0.25, -1))),
        *(("sparse_categorical_crossentropy", arguments) for arguments in ((True,), (True, None), (False, None, -1))),
        *((name, ()) for name in ("mean_squared_error", "mean_absolute_error")),
    ],
)
def test_arguments_of_losses_by_position(name: str, arguments: tuple[Any, ...]) -> None:
    labels = np.arange(8) % 4
    y_true = labels if name.startswith("sparse") else np.eye(4, dtype="float32")[labels]
    y_pred = X if arguments[:1] == (True,) else scratch.activations.softmax(X)
    ours, theirs = (getattr(program.losses, name)(y_true, y_pred, *arguments) for program in (scratch, keras))
    np.testing.assert_allclose(ours, to_numpy(theirs), rtol=1e-5, atol=1e-6)


def test_arguments_of_losses_that_scratch_lacks() -> None:
    with pytest.raises(TypeError, match=r"^scratch's SparseCategoricalCrossentropy has no argument 'ignore_class'\.$"):
        scratch.losses.sparse_categorical_crossentropy([0], X[:1], False, 1)
    with pytest.raises(TypeError, match=r"^scratch's BinaryCrossentropy has no argument 'axis'\.$"):
        scratch.losses.binary_crossentropy(X[:1], X[:1], axis=0)


def test_initializers_take_a_dtype_by_name() -> None:
    with pytest.raises(
        TypeError, match=r"^HeNormal takes a generator after the shape, and dtype by name; got 'float32'\.$"
    ):
        scratch.initializers.HeNormal()((2, 3), "float32")
    for name in ("OrthogonalInitializer", "IdentityInitializer"):
        assert type(scratch.initializers.get(name)) is getattr(scratch.initializers, name)

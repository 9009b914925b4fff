"""``keras_impl.trace`` after a softmax: the gradient that the loss returns is that of the logits or of the output."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as kl

import keras_impl
from keras_impl.frameworks import FRAMEWORK

X = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
LABELS = np.arange(7) % 3
T = np.eye(3, dtype="float32")[LABELS]
ENDS: dict[str, Callable[[], list[kl.Layer]]] = {
    "Dense": lambda: [kl.Dense(3, "softmax", name="z")],
    "Activation": lambda: [kl.Dense(3, name="z"), kl.Activation("softmax", name="p")],
    "Softmax": lambda: [kl.Dense(3, name="z"), kl.Softmax(name="p")],
}


NESTED_ENDS: dict[str, Callable[[], list[kl.Layer]]] = {
    "model of Dense layers": lambda: [keras.Sequential([kl.Dense(4, "relu"), kl.Dense(3, "softmax")])],
    "Dense and Softmax": lambda: [keras.Sequential([kl.Dense(3), kl.Softmax()])],
    "only Activation": lambda: [kl.Dense(3), keras.Sequential([kl.Activation("softmax")])],
    "nested twice": lambda: [keras.Sequential([kl.Dense(4, "tanh"), keras.Sequential([kl.Dense(3, "softmax")])])],
}


class MyCrossentropy(keras.losses.CategoricalCrossentropy):
    """A loss class of the user, which Keras computes from the logits as well."""


def traced(end: str, loss: Any, t: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the trace of a model and its probabilities."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), kl.Dense(5, "tanh", name="h"), *ENDS[end]()])
    model.compile("sgd", loss)
    trace = keras_impl.trace(model, X, t)
    return trace, trace["z/out" if end == "Dense" else "p/out"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    ("loss", "t"),
    [
        ("categorical_crossentropy", T),
        ("CategoricalCrossentropy", T),
        (["categorical_crossentropy"], T),
        (keras.losses.categorical_crossentropy, T),
        (keras.losses.CategoricalCrossentropy(), T),
        (MyCrossentropy(), T),
        (keras.losses.SparseCategoricalCrossentropy(), LABELS),
    ],
)
def test_a_cross_entropy_takes_the_logits(end: str, loss: Any, t: np.ndarray) -> None:
    trace, p = traced(end, loss, t)
    dz = (p - T) / len(X)
    np.testing.assert_allclose(trace["loss/dx"], dz, atol=1e-7)
    np.testing.assert_allclose(trace["z/db"], dz.sum(axis=0), atol=1e-6)
    if end != "Dense":
        np.testing.assert_array_equal(trace["p/dx"], trace["loss/dx"])


@pytest.mark.skipif(FRAMEWORK != "tensorflow", reason="Keras on JAX and torch has no float64")
def test_an_error_within_a_trace_restores_the_default_dtype_of_keras() -> None:
    model = keras.Sequential([kl.Input((4,), dtype="float64"), kl.Dense(3, "softmax", dtype="float64")])
    model.compile(loss="categorical_crossentropy")
    with pytest.raises(ValueError, match="Arguments `target` and `output` must have the same shape"):
        keras_impl.trace(model, X, T[:, :2])
    assert keras.config.floatx() == "float32"


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "loss", ["mean_squared_error", keras.losses.MeanSquaredError(), keras.losses.mean_squared_error]
)
def test_another_loss_takes_the_output_of_the_softmax(end: str, loss: Any) -> None:
    trace, p = traced(end, loss, T)
    dp = 2 * (p - T) / p.size
    dz = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(trace["loss/dx"], dp, atol=1e-7)
    np.testing.assert_allclose(trace["z/db"], dz.sum(axis=0), atol=1e-7)
    if end != "Dense":
        np.testing.assert_allclose(trace["p/dx"], dz, atol=1e-7)


@pytest.mark.parametrize("end", NESTED_ENDS)
@pytest.mark.parametrize("loss", ["categorical_crossentropy", "mean_squared_error"])
def test_a_model_that_ends_in_a_model_is_traced_as_in_scratch(end: str, loss: str) -> None:
    model = keras.Sequential([keras.Input((4,)), kl.Dense(5, "tanh"), *NESTED_ENDS[end]()])
    model.compile("sgd", loss)
    twin = keras_impl.to_scratch(model, "numpy")
    twin.compile("sgd", loss)
    found, expected = keras_impl.trace(model, X, T), twin.trace(X, T)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        np.testing.assert_allclose(found[name], tensor, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "hard_sigmoid"])
@pytest.mark.parametrize("loss", ["categorical_crossentropy", "binary_crossentropy", "mean_squared_error"])
def test_a_trace_has_the_loss_and_the_gradients_that_keras_trains_with(activation: str, loss: str) -> None:
    """Also where activation and loss do not fit: on TensorFlow, each cross-entropy takes the logits of both."""
    model = keras.Sequential([keras.Input((4,)), kl.Dense(5, "tanh"), kl.Dense(3, activation)])
    model.compile(keras.optimizers.SGD(1.0), loss)
    value, gradients = keras_impl.gradients(model, X, T)
    weights = model.get_weights()
    assert value == pytest.approx(model.evaluate(X, T, verbose=0), rel=1e-5)
    model.train_on_batch(X, T)
    for before, after, gradient in zip(weights, model.get_weights(), gradients, strict=True):
        np.testing.assert_allclose(gradient, before - after, atol=1e-5)

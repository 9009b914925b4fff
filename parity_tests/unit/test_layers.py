"""Layers: names, shapes, dtypes, initial weights, and the gradients that ``backward`` stores."""

from typing import Any

import numpy as np
import pytest

from scratch import initializers
from scratch.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    Input,
    Layer,
    LeakyReLU,
    ReLU,
    Reshape,
    Softmax,
)
from scratch.models import Sequential
from scratch.ops import numpy_ops


def test_default_names_are_those_of_keras() -> None:
    names = [Dense(1).name, Dense(1).name, ReLU().name, Softmax().name, Flatten().name, Activation("relu").name]
    assert names == ["dense", "dense_1", "re_lu", "softmax", "flatten", "activation"]
    assert (Dense(1, name="mine").name, Dense(1).name) == ("mine", "dense_2")
    assert (Sequential().name, Sequential().name) == ("sequential", "sequential_1")


def test_dense_computes_the_activation_of_xw_plus_b(rng: np.random.Generator) -> None:
    layer = Dense(3, "tanh", bias_initializer="ones")
    x = rng.normal(size=(5, 4)).astype("float32")
    out = layer(x)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, np.tanh(x @ layer.params["W"] + 1), rtol=1e-6)
    assert {key: W.shape for key, W in layer.params.items()} == {"W": (4, 3), "b": (3,)}
    assert layer.count_params() == 15
    without_bias = Dense(3, use_bias=False)
    without_bias(x)
    without_bias.backward(out)
    assert list(without_bias.params) == list(without_bias.grads) == ["W"]


def test_dense_backward_by_hand() -> None:
    layer = Dense(2, "relu", dtype="float64")
    x, dout = np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])
    layer(x)
    layer.params["W"][...] = [[1.0, -1.0], [1.0, -1.0]]
    layer(x)
    dx = layer.backward(dout)
    np.testing.assert_array_equal(layer.out, [[3, 0]])
    np.testing.assert_array_equal(layer.grads["W"], [[10, 0], [20, 0]])
    np.testing.assert_array_equal(layer.grads["b"], [10, 0])
    np.testing.assert_array_equal(dx, [[10, 10]])
    np.testing.assert_array_equal(dout, [[10, 20]])  # not modified
    assert layer.backward(dout, need_dx=False) is None


@pytest.mark.parametrize(
    "layer",
    [
        BatchNormalization(name="part"),
        Dropout(0.5, name="part"),
        Flatten(name="part"),
        LeakyReLU(name="part"),
        ReLU(name="part"),
        Reshape((2, 3), name="part"),
        Sequential(name="part"),
    ],
)
def test_the_activation_of_a_class_without_this_argument_cannot_be_changed(layer: Layer) -> None:
    """A file would not hold it, and not every ``backward`` would use it."""
    name = type(layer).__name__
    with pytest.raises(AttributeError, match=f"^The activation of the {name} 'part' cannot be changed to 'tanh'; add"):
        layer.activation = "tanh"


def test_the_activation_of_a_class_with_this_argument_can_be_changed() -> None:
    class Named(Dense):
        def __init__(self, **options: Any) -> None:
            super().__init__(2, **options)

    class Plain(Layer):
        def __init__(self) -> None:
            super().__init__()

    for layer in (Dense(2), Activation("relu"), Named(), Plain()):
        layer.activation = "tanh"
        np.testing.assert_array_equal(layer([[1.0, 2.0]]), np.tanh(layer.z))


def test_a_gradient_of_another_shape_is_refused() -> None:
    layer = Activation("tanh", name="mine")
    layer(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"^Layer 'mine' needs a dout of shape \(2, 3\); got \(2, 4\)\.$"):
        layer.backward(np.ones((2, 4)))


def test_backward_uses_the_input_of_the_last_forward(rng: np.random.Generator) -> None:
    layer = Dense(2, dtype="float64")
    first, second = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    layer(first)
    layer(second)
    layer.backward(np.ones((5, 2)))
    np.testing.assert_allclose(layer.grads["W"], second.T @ np.ones((5, 2)))


def test_flatten_backward_restores_the_shape(rng: np.random.Generator) -> None:
    layer = Flatten()
    x = rng.normal(size=(2, 3, 4)).astype("float32")
    out = layer(x)
    np.testing.assert_array_equal(out, x.reshape(2, 12))
    np.testing.assert_array_equal(layer.backward(out), x)


@pytest.mark.parametrize(
    ("name", "low", "high", "std"),
    [
        ("glorot_uniform", -np.sqrt(6 / 500), np.sqrt(6 / 500), np.sqrt(2 / 500)),
        ("glorot_normal", -2 * np.sqrt(2 / 500) / 0.87962566, 2 * np.sqrt(2 / 500) / 0.87962566, np.sqrt(2 / 500)),
        ("he_uniform", -np.sqrt(6 / 300), np.sqrt(6 / 300), np.sqrt(2 / 300)),
        ("he_normal", -2 * np.sqrt(2 / 300) / 0.87962566, 2 * np.sqrt(2 / 300) / 0.87962566, np.sqrt(2 / 300)),
        ("random_uniform", -0.05, 0.05, 0.05 / np.sqrt(3)),
        ("random_normal", -0.3, 0.3, 0.05),
        ("zeros", 0, 0, 0),
        ("ones", 1, 1, 0),
    ],
)
def test_initializers(name: str, low: float, high: float, std: float) -> None:
    W = initializers.get(name)((300, 200), np.random.default_rng(0))
    assert W.shape == (300, 200)
    assert low <= W.min() <= W.max() <= high
    # Of 60,000 values the standard errors of mean and deviation are 0.4 % and 0.3 % of std; five of each are allowed.
    assert W.mean() == pytest.approx((low + high) / 2, abs=0.021 * std)
    assert W.std() == pytest.approx(std, rel=0.015)
    if name.endswith(("_uniform", "_normal")) and name != "random_normal":
        assert W.max() > 0.99 * high  # the values reach the bound, which is not just a loose one


def test_initializer_may_be_a_function() -> None:
    layer = Dense(2, kernel_initializer=lambda shape, rng: np.full(shape, 0.25))
    layer(np.ones((1, 3)))
    np.testing.assert_array_equal(layer.params["W"], np.full((3, 2), 0.25, "float32"))


def test_dtype_of_layers_and_models() -> None:
    model = Sequential([Input((4,)), Dense(3), Dense(2, dtype="float32")], dtype="float64")
    assert [layer.dtype for layer in model.layers] == [np.float64, np.float32]
    assert model(np.ones((1, 4))).dtype == model.forward(np.ones((1, 4))).dtype == np.float32
    assert model.layers[0].out.dtype == np.float64
    model.compile(loss="categorical_crossentropy")
    _, grads = model.gradients(np.ones((1, 4)), [[0, 1]])
    assert [grad.dtype for grad in grads] == [np.float64, np.float64, np.float32, np.float32]


def test_layer_without_a_model_uses_the_numpy_operations() -> None:
    assert Dense(1).ops is numpy_ops
    assert Sequential([Dense(1)], backend="numpy").layers[0].ops is numpy_ops


def test_input_attributes() -> None:
    layer = Input((4,), dtype="float64", name="pixels")
    assert (layer.batch_input_shape, layer.dtype, layer.name) == ((None, 4), np.float64, "pixels")
    assert Input(batch_shape=(None, 4, 3)).batch_input_shape == (None, 4, 3)


def test_batch_of_the_right_dtype_is_not_copied(rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 4)).astype("float32")
    layer, model = Dense(2), Sequential([Dense(2)])
    layer(x)
    assert np.shares_memory(layer.x, x)
    model(x)
    model.forward(model.check_inputs(x))
    assert np.shares_memory(model.layers[0].x, x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("x_dtype", ["uint8", "float32", "float64"])
def test_layer_computes_in_its_own_dtype(x_dtype: str, dtype: str) -> None:
    layer = Dense(2, dtype=dtype)
    assert layer(np.ones((1, 3), x_dtype)).dtype == layer.x.dtype == dtype


def test_layer_belongs_to_one_backend() -> None:
    layer = Dense(1)
    Sequential([layer], backend="numpy")
    Sequential([layer], backend="numpy")
    with pytest.raises(
        ValueError, match=r"^Layer 'dense' belongs to a model with another backend; create a new layer\.$"
    ):
        Sequential([layer], backend="numba")


def test_dense_names_the_expected_shape_for_input_that_is_not_rows() -> None:
    """The message has the shape of the built layer, else the declared one, else a description."""
    built, given, unknown = Dense(2), Dense(2, input_shape=(5,)), Dense(2)
    built(np.ones((1, 4)))
    for layer, shape in ((built, r"\(None, 4\)"), (given, r"\(None, 5\)"), (unknown, r"\(None, features\)")):
        with pytest.raises(ValueError, match=rf" expects input of shape {shape}; got \(None, 2, 2\)\. Put Flatten"):
            layer(np.ones((1, 2, 2)))


@pytest.mark.parametrize("method", ["forward", "backward", "activate", "activate_backward"])
def test_detached_layer_shares_the_parameters_unless_a_method_is_replaced_on_the_object(method: str) -> None:
    layer = Dense(2)
    layer(np.ones((1, 3)))
    copy = layer.detached()
    assert copy is not layer
    assert copy.params["W"] is layer.params["W"]
    copy.forward(np.zeros((1, 3), "float32"))
    np.testing.assert_array_equal(layer.x, np.ones((1, 3)))
    setattr(layer, method, getattr(layer, method))
    assert layer.detached() is layer


def test_a_model_is_built_for_one_shape() -> None:
    model = Sequential([Dense(3), Dense(2)])
    model.build((None, 4))
    with pytest.raises(ValueError, match=r"expects input of shape \(None, 4\); got \(None, 5\)"):
        model.build((None, 5))
    unfit = Sequential([Dense(3), Reshape((5,))])
    with pytest.raises(ValueError, match="reshape"):
        unfit.build((None, 4))
    assert not unfit.layers[0].built


def test_a_model_is_built_with_the_given_generator() -> None:
    models = [Sequential([Dense(3)]) for _ in range(2)]
    for model in models:
        model.build((None, 4), np.random.default_rng(5))
    np.testing.assert_array_equal(*(model.get_weights()[0] for model in models))


def test_config_of_a_layer() -> None:
    layer = Dense.from_config(Dense(3, "relu", use_bias=False, name="d").get_config())
    assert (layer.units, layer.activation, layer.use_bias, layer.name) == (3, "relu", False, "d")

"""Activation functions of arrays, and the functions that layers take as activations."""

import functools
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scratch import activations
from scratch.activations import ACTIVATIONS, relu
from scratch.layers import Activation, Dense, Flatten
from scratch.ops import numpy_ops

X = np.array([[-2.0, -0.5, 0.0, 0.5, 2.0]])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_function_computes_what_a_layer_computes(name: str) -> None:
    function = getattr(activations, name)
    assert function.__name__ == name
    np.testing.assert_array_equal(function(X), getattr(numpy_ops, f"{name}_forward")(X))
    np.testing.assert_allclose(function(X.tolist()), Activation(name)(X), rtol=1e-6)


def test_settings_by_position_and_by_name() -> None:
    np.testing.assert_array_equal(activations.elu(X, 0.5), numpy_ops.elu_forward(X, 0.5))
    np.testing.assert_array_equal(activations.leaky_relu(X, negative_slope=0.5), numpy_ops.leaky_relu_forward(X, 0.5))
    with pytest.raises(TypeError, match=r"takes 1 positional argument but 2 were given$"):
        activations.softmax(X, -1)  # type: ignore[call-arg]


def test_dtypes() -> None:
    assert relu([-1, 2]).dtype == relu(np.float32(X)).dtype == np.float32
    assert relu(X).dtype == np.float64
    np.testing.assert_array_equal(relu([-1, 2]), [0, 2])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_layers_take_the_functions_and_know_their_names(name: str) -> None:
    dense = Dense(3, activation=getattr(activations, name))
    assert dense.activation == Activation(getattr(activations, name)).activation == name
    dense.activation = relu
    assert dense.activation == "relu"
    dense.activation = None
    assert dense.activation == Activation(None).activation == "linear"


def test_functions_of_keras_and_tensorflow_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def gelu(x: np.ndarray) -> np.ndarray:
        return x

    def softmax_v2(x: np.ndarray) -> np.ndarray:
        return x

    @functools.wraps(relu)
    def capped(x: np.ndarray) -> np.ndarray:
        return np.minimum(relu(x), 6)

    for package, module in (("keras", "activations"), ("tensorflow", "nn")):
        part = SimpleNamespace(softmax=softmax_v2, gelu=gelu)
        monkeypatch.setitem(sys.modules, package, SimpleNamespace(**{module: part}))
        assert activations.get(softmax_v2) == Dense(3, softmax_v2).activation == "softmax"
        with pytest.raises(ValueError, match=r"^activation must be a name; got gelu: choose one of linear, "):
            activations.get(gelu)
        monkeypatch.delitem(sys.modules, package)
    with pytest.raises(ValueError, match=r"^activation must be a name; got softmax_v2: "):
        activations.get(softmax_v2)
    with pytest.raises(ValueError, match=r"^activation must be a name; got relu: pass activation='relu'"):
        activations.get(capped)
    with pytest.raises(AttributeError, match="of the Flatten 'flatten' cannot be changed to 'relu'; add an Activation"):
        Flatten().activation = relu


@pytest.mark.parametrize("x", [None, 1j, "a", [[1], [1, 2]]])
def test_other_inputs_are_refused(x: Any) -> None:
    with pytest.raises(ValueError, match=r"^x must "):
        relu(x)


def test_settings() -> None:
    np.testing.assert_array_equal(activations.leaky_relu([-2.0, 2.0], negative_slope=0.5), [-1, 2])
    np.testing.assert_array_equal(activations.elu([-1.0], alpha=2), 2 * activations.elu([-1.0]))

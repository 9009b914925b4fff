"""Activation functions of arrays, and the functions that layers take as activations."""

import numpy as np
import pytest

from scratch import activations
from scratch.activations import ACTIVATIONS, relu
from scratch.layers import Activation, Dense
from scratch.ops import numpy_ops

X = np.array([[-2.0, -0.5, 0.0, 0.5, 2.0]])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_function_computes_what_a_layer_computes(name: str) -> None:
    function = getattr(activations, name)
    assert function.__name__ == function.__qualname__ == name
    assert function.__doc__.startswith(f"Return the activation {name!r} of an array")
    np.testing.assert_array_equal(function(X), getattr(numpy_ops, f"{name}_forward")(X))
    np.testing.assert_allclose(function(X.tolist()), Activation(name)(X), rtol=1e-6)


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


def function(module: str, name: str) -> object:
    """Return a function that looks as if it were one of another package."""

    def made(x: np.ndarray) -> np.ndarray:
        return x

    made.__module__, made.__name__ = module, name
    return made


def test_functions_of_keras_and_tensorflow_are_known_by_name() -> None:
    for module in ("keras.src.activations.activations", "tensorflow.python.ops.nn_ops"):
        assert activations.get(function(module, "elu")) == "elu"
        assert activations.get(function(module, "softmax_v2")) == "softmax"
        with pytest.raises(ValueError, match=r"^activation must be a name; got selu: choose one of linear, "):
            activations.get(function(module, "selu"))
    # jax.nn.leaky_relu has another slope, and a function of the user's may be anything.
    for module in ("jax.nn", "__main__", "kerastuner"):
        with pytest.raises(ValueError, match=r"^activation must be a name; got leaky_relu: pass activation='leaky_re"):
            activations.get(function(module, "leaky_relu"))

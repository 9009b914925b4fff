"""``keras_impl.convert``: everything that a conversion cannot express is rejected, and nothing else is."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as kl

import keras_impl
from keras_impl.convert import compile_arguments
from scratch import layers
from scratch.losses import CategoricalCrossentropy
from scratch.models import Sequential
from scratch.optimizers import SGD


def relu(x: np.ndarray) -> np.ndarray:
    """A function of the user, whose name is that of Keras's."""
    return x


class Dense(kl.Dense):
    """A layer of the user, whose name is that of Keras's."""


class NoConfig(kl.Layer):
    """A layer of the user that Keras cannot describe."""

    def __init__(self, value: object, **common: str) -> None:
        super().__init__(**common)
        self.value = value

    def call(self, x: np.ndarray) -> np.ndarray:
        return x


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            lambda: kl.Dense(2, relu, name="d"),
            r"layer 'd' \(Dense\) has activation='relu', which is not a fun",
        ),
        (lambda: kl.Dense(2, kl.ReLU(name="r"), name="d"), r"layer 'd' \(Dense\) has activation='<ReLU name=r"),
        (lambda: Dense(2, name="d"), "layer 'd' is a 'Dense' of 'parity_tests.parity.test_convert'.*does not support"),
        (lambda: NoConfig(object(), name="n"), r"layer 'n' \(NoConfig\) has no config"),
        (lambda: kl.Dense(2, bias_initializer=keras.initializers.RandomNormal(stddev=-1.0), name="d"), "got -1.0"),
        (lambda: kl.Dense(2, dtype="float16", name="d"), r"layer 'd' \(Dense\) has dtype=.*'float16'"),
        (lambda: kl.Conv2D(2, 3, name="c"), "layer 'c' is a 'Conv2D' of 'keras.layers', which scratch does not"),
    ],
)
def test_unsupported_by_scratch(layer: type[kl.Layer], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        keras_impl.to_scratch(keras.Sequential([layer()]))
    assert "\n" not in str(error.value)


def test_unsupported_by_keras() -> None:
    class MyLoss(CategoricalCrossentropy):
        pass

    class MyOptimizer(SGD):
        pass

    for optimizer, loss, message in (
        (SGD(), MyLoss(), "The loss is a MyLoss, which has no counterpart in Keras"),
        (MyOptimizer(), CategoricalCrossentropy(), "The optimizer is a MyOptimizer, which has no counterpart in Keras"),
    ):
        model = Sequential([layers.Dense(2)])
        model.compile(optimizer, loss)
        with pytest.raises(ValueError, match=message):
            keras_impl.to_keras(model)


def test_dtype_of_input_does_not_matter() -> None:
    theirs = keras.Sequential([keras.Input((3,), dtype="uint8"), kl.Dense(2)])
    ours = keras_impl.to_scratch(theirs)
    assert (ours.input_shape, ours.dtype) == ((None, 3), np.float32)


def own_initializer(shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Return ones: an initializer of the user that scratch does not have."""
    return keras.ops.ones(shape, dtype)


def test_initializer_of_built_model_does_not_matter() -> None:
    theirs = keras.Sequential([keras.Input((3,)), kl.Dense(2, kernel_initializer=own_initializer)])
    ours = keras_impl.to_scratch(theirs)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_more_layers_than_an_archive_holds() -> None:
    model = Sequential([layers.Input((2,)), *(layers.Activation("relu") for _ in range(130))])
    assert len(keras_impl.to_scratch(keras_impl.to_keras(model)).layers) == 130


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_compile_arguments(run_eagerly: bool) -> None:
    model = Sequential([layers.Dense(2, "softmax", dtype="float64")])
    model.compile(SGD(0.1, 0.5), "sparse_categorical_crossentropy", metrics=["acc"], run_eagerly=run_eagerly)
    arguments = compile_arguments(model)
    assert (float(arguments["optimizer"].learning_rate), arguments["optimizer"].momentum) == (np.float32(0.1), 0.5)
    assert (type(arguments["loss"]).__name__, arguments["loss"].dtype) == ("SparseCategoricalCrossentropy", "float64")
    assert [metric.name for metric in arguments["metrics"]] == ["acc"]
    assert arguments["run_eagerly"] is run_eagerly

"""Configs and JSON in both directions, and ``normalize``, beside Keras."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import keras_impl
import scratch
from keras_impl.frameworks import to_numpy
from scratch.models import model_from_json

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
COMPILE_ARGUMENTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "rmsprop": lambda program: {
        "optimizer": program.optimizers.RMSprop(
            program.optimizers.schedules.ExponentialDecay(0.25, 100, 0.5, staircase=True),
            rho=0.75,
            centered=True,
            clipnorm=2.0,
        ),
        "loss": program.losses.CategoricalCrossentropy(label_smoothing=0.25, reduction="sum"),
        "metrics": [program.metrics.CategoricalAccuracy(name="right"), program.metrics.MeanSquaredError(name="brier")],
        "weighted_metrics": [program.metrics.MeanAbsoluteError(name="distance")],
    },
    "adam": lambda program: {
        "optimizer": program.optimizers.Adam(
            program.optimizers.schedules.PiecewiseConstantDecay([5, 10], [0.5, 0.25, 0.125]),
            beta_1=0.75,
            beta_2=0.875,
            epsilon=0.5,
            amsgrad=True,
            weight_decay=0.125,
        ),
        "loss": program.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.5),
        "metrics": [program.metrics.BinaryAccuracy(name="sure", threshold=0.75)],
        "weighted_metrics": [program.metrics.BinaryAccuracy(threshold=0.25)],
    },
    "sgd": lambda program: {
        "optimizer": program.optimizers.SGD(0.25, momentum=0.5, nesterov=True, global_clipnorm=0.75),
        "loss": program.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
        "metrics": [program.metrics.SparseCategoricalAccuracy(name="right")],
        "weighted_metrics": [program.metrics.SparseCategoricalAccuracy(name="weighted")],
    },
}


def every_setting(program: Any) -> Any:
    """Return a model of either program whose settings are not the defaults, with a model in it."""
    layers, initializers, regularizers = program.layers, program.initializers, program.regularizers
    inner = [
        layers.InputLayer(shape=(6,), name="input_layer"),
        layers.Dense(
            5,
            "tanh",
            use_bias=False,
            kernel_initializer=initializers.VarianceScaling(2.0, "fan_avg", "uniform", seed=3),
            kernel_regularizer=regularizers.L1(0.25),
            name="first",
        ),
        layers.BatchNormalization(momentum=0.75, epsilon=0.5, center=False, name="normalized"),
        layers.Dropout(0.25, seed=4, name="dropped"),
    ]
    outer = [
        layers.InputLayer(shape=(2, 3), name="input_layer"),
        layers.Rescaling(0.5, offset=-1.0, name="scaled"),
        layers.Reshape((3, 2), name="reshaped"),
        layers.Flatten(name="flat"),
        program.Sequential(inner, name="inner"),
        layers.ELU(0.5, name="elu"),
        layers.LeakyReLU(negative_slope=0.125, name="leaky"),
        layers.Dense(
            3,
            bias_initializer=initializers.Constant(0.25),
            kernel_regularizer=regularizers.l1_l2(0.25, 0.5),
            bias_regularizer="l2",
            name="last",
        ),
        layers.Activation("softplus", name="positive"),
    ]
    return program.Sequential(outer, name="outer")


def description(model: Any) -> Any:
    """Return what the JSON of a model of either program says, without the automatic name of its optimizer."""
    described = json.loads(model.to_json())
    described["compile_config"]["optimizer"]["config"].pop("name", None)
    return described


@pytest.mark.parametrize("compiled", COMPILE_ARGUMENTS)
def test_json_of_every_setting_in_both_directions(compiled: str) -> None:
    """A model that one program describes and the other creates is described as one that this program was given."""
    ours, theirs = every_setting(scratch), every_setting(keras)
    for program, model in ((scratch, ours), (keras, theirs)):
        model.compile(**COMPILE_ARGUMENTS[compiled](program))
    found, back = model_from_json(theirs.to_json()), keras.models.model_from_json(ours.to_json())
    assert description(found) == description(ours)
    assert description(back) == description(theirs)
    assert found.optimizer.get_config() == ours.optimizer.get_config()
    assert found.loss.get_config() == ours.loss.get_config()
    assert back.loss.get_config() == theirs.loss.get_config()


def test_configs_of_every_setting_in_both_directions() -> None:
    ours, theirs = every_setting(scratch), every_setting(keras)
    found, back = scratch.Sequential.from_config(theirs.get_config()), keras.Sequential.from_config(ours.get_config())
    assert found.get_config() == ours.get_config()
    assert back.get_config() == theirs.get_config()
    x = np.random.default_rng(1).normal(size=(5, 2, 3)).astype("float32")
    for model in (theirs, found, back):
        keras_impl.copy_weights(ours, model)
        np.testing.assert_allclose(to_numpy(model(x)), ours(x), rtol=0, atol=1e-5)


def test_json_in_both_directions() -> None:
    model = scratch.Sequential([scratch.layers.Dense(3, "relu", input_shape=(4,)), scratch.layers.Dense(2, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    theirs = keras.models.model_from_json(model.to_json())
    assert type(theirs.optimizer) is keras.optimizers.Adam
    back = model_from_json(theirs.to_json())
    assert [type(layer) for layer in back.layers] == [type(layer) for layer in model.layers]
    assert type(back.optimizer) is type(model.optimizer)
    keras_impl.copy_weights(theirs, back)
    np.testing.assert_allclose(back(X), keras_impl.frameworks.to_numpy(theirs(X)), rtol=1e-5)


def test_config_in_both_directions() -> None:
    model = scratch.Sequential([scratch.layers.Dense(3, "relu", input_shape=(4,))])
    theirs = keras.Sequential.from_config(model.get_config())
    assert scratch.Sequential.from_config(theirs.get_config()).get_config()["layers"] == model.get_config()["layers"]


@pytest.mark.parametrize("options", [{}, {"axis": 1}, {"axis": -1, "order": 1}])
def test_normalize(options: dict[str, int]) -> None:
    np.testing.assert_array_equal(scratch.utils.normalize(X, **options), keras.utils.normalize(X, **options))

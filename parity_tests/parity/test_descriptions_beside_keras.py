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
from parity_tests.checks.files import model_of_everything
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


def description(model: Any) -> Any:
    """Return what the JSON of a model of either program says, without the automatic name of its optimizer."""
    described = json.loads(model.to_json())
    described["compile_config"]["optimizer"]["config"].pop("name", None)
    return described


@pytest.mark.parametrize("compiled", COMPILE_ARGUMENTS)
def test_json_of_every_setting_in_both_directions(compiled: str) -> None:
    """A model that one program describes and the other creates is described as one that this program was given."""
    ours, theirs = model_of_everything(scratch), model_of_everything(keras)
    for program, model in ((scratch, ours), (keras, theirs)):
        model.compile(**COMPILE_ARGUMENTS[compiled](program))
    found, back = model_from_json(theirs.to_json()), keras.models.model_from_json(ours.to_json())
    assert description(found) == description(ours)
    assert description(back) == description(theirs)
    assert found.optimizer.get_config() == ours.optimizer.get_config()
    assert found.loss.get_config() == ours.loss.get_config()
    assert back.loss.get_config() == theirs.loss.get_config()


def test_configs_of_every_setting_in_both_directions() -> None:
    ours, theirs = model_of_everything(scratch), model_of_everything(keras)
    found, back = scratch.Sequential.from_config(theirs.get_config()), keras.Sequential.from_config(ours.get_config())
    assert found.get_config() == ours.get_config()
    assert back.get_config() == theirs.get_config()
    x = np.random.default_rng(1).normal(size=(5, 4, 6)).astype("float32")
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


@pytest.mark.parametrize("program", [scratch, keras])
def test_arguments_of_descriptions(program: Any) -> None:
    model = program.Sequential([program.layers.Dense(3)], name="m")
    text = model.to_json(indent=2, sort_keys=True)
    assert text.startswith('{\n  "class_name": "Sequential",\n  "compile_config": {},\n  "config": {\n')
    for objects in (None, {}):
        assert program.models.model_from_json(text, objects).name == "m"
        assert program.Sequential.from_config(model.get_config(), objects).name == "m"


def test_custom_objects_are_refused() -> None:
    for function, described in ((model_from_json, "{}"), (scratch.Sequential.from_config, {})):
        message = rf"^scratch's {function.__name__} has no argument 'custom_objects'\.$"
        with pytest.raises(TypeError, match=message):
            function(described, {"Mine": scratch.layers.Dense})
        message = rf"^{function.__name__} takes the backend by name: pass backend='numpy'\.$"
        with pytest.raises(TypeError, match=message):
            function(described, "numpy")  # type: ignore[arg-type]


LAYERS: dict[str, Callable[[Any], Any]] = {  # of either program, by what the config contains
    "Dense": lambda program: program.layers.Dense(3),
    "Dense with arguments": lambda program: program.layers.Dense(
        3,
        "relu",
        False,
        program.initializers.HeNormal(seed=1),
        "ones",
        program.regularizers.L2(),
        name="d",
        dtype="float64",
    ),
    "Activation": lambda program: program.layers.Activation("tanh"),
    "BatchNormalization": lambda program: program.layers.BatchNormalization(
        momentum=0.5,
        scale=False,
        beta_initializer=program.initializers.Constant(0.5),
        moving_variance_initializer="zeros",
    ),
    "Dropout": lambda program: program.layers.Dropout(0.25, seed=3),
    "ELU": lambda program: program.layers.ELU(0.5),
    "Flatten": lambda program: program.layers.Flatten(),
    "InputLayer": lambda program: program.layers.InputLayer((3, 4), dtype="float64"),
    "LeakyReLU": lambda program: program.layers.LeakyReLU(0.125),
    "ReLU": lambda program: program.layers.ReLU(),
    "Rescaling": lambda program: program.layers.Rescaling(0.5, offset=1),
    "Reshape": lambda program: program.layers.Reshape((2, -1)),
    "Softmax": lambda program: program.layers.Softmax(),
}


def without_unused(config: Any) -> Any:
    """Return a config without the settings that only Keras has, none of which has an effect."""
    if not isinstance(config, dict):
        return config
    unused = ("quantization_config", "input_axes", "output_axes", "renorm_clipping", "renorm_momentum")
    return {key: without_unused(value) for key, value in config.items() if key not in unused}


@pytest.mark.parametrize("name", LAYERS)
def test_configs_of_layers_in_both_directions(name: str) -> None:
    for program in (scratch, keras):
        program.backend.clear_session()
    ours, theirs = (LAYERS[name](program) for program in (scratch, keras))
    config = ours.get_config()
    assert config == without_unused(theirs.get_config())
    assert type(ours).from_config(config).get_config() == config
    assert type(ours).from_config(theirs.get_config()).get_config() == config
    assert type(theirs).from_config(config).get_config() == theirs.get_config()


@pytest.mark.parametrize("program", [scratch, keras])
def test_config_of_a_layer_of_the_user(program: Any) -> None:
    class Scaled(program.layers.Dense):
        def __init__(self, units: int, factor: float, **options: Any) -> None:
            super().__init__(units, **options)
            self.factor = factor

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "factor": self.factor}

    layer = Scaled.from_config(Scaled(3, 0.5, activation="relu", name="s").get_config())
    assert (type(layer), layer.units, layer.factor, layer.name) == (Scaled, 3, 0.5, "s")
    assert layer.get_config()["activation"] == "relu"
    own = type("Own", (program.layers.Layer,), {})(name="o")
    expected = {key: layer.get_config()[key] for key in ("trainable", "dtype")} | {"name": "o"}
    assert expected.items() <= own.get_config().items()
    assert type(own).from_config(own.get_config()).name == "o"


def test_a_config_that_scratch_does_not_support() -> None:
    for config, message in (
        ({"units": 3, "kernel_constraint": "NonNeg"}, "^The config of the Dense has kernel_constraint='NonNeg', which"),
        ({"units": 3, "activation": "gelu"}, "^Unknown activation 'gelu'"),
        (
            keras.layers.Dense(3, dtype="float16").get_config(),
            "^The config of the Dense has dtype='DTypePolicy', which",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            scratch.layers.Dense.from_config(config)
    with pytest.raises(TypeError, match=r"^scratch's Dense has no argument 'factor'\.$"):
        scratch.layers.Dense.from_config({"units": 3, "factor": 2})


@pytest.mark.parametrize("options", [{}, {"axis": 1}, {"axis": -1, "order": 1}])
def test_normalize(options: dict[str, int]) -> None:
    np.testing.assert_array_equal(scratch.utils.normalize(X, **options), keras.utils.normalize(X, **options))


def test_names_in_the_config_of_a_layer() -> None:
    config = {"units": 3, "kernel_initializer": "he_normal", "kernel_regularizer": "l2"}
    ours, theirs = (program.layers.Dense.from_config(config) for program in (scratch, keras))
    for name, value in config.items():
        written, expected = (layer.get_config()[name] for layer in (ours, theirs))
        assert written["class_name"] == expected["class_name"] if isinstance(written, dict) else written == value
    with pytest.raises(ValueError, match="has kernel_initializer='henormal', which scratch does not support"):
        scratch.layers.Dense.from_config({"units": 3, "kernel_initializer": "henormal"})


def test_an_argument_of_the_user_that_only_keras_has_in_the_base_class() -> None:
    class Threshold(scratch.layers.ReLU):
        def __init__(self, threshold: float = 0.0, **common: Any) -> None:
            super().__init__(**common)
            self.threshold = threshold

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "threshold": self.threshold}

    assert Threshold.from_config(Threshold(0.5).get_config()).threshold == 0.5


@pytest.mark.parametrize("config", [None, [("units", 3)], "units"])
def test_a_config_is_a_dict(config: Any) -> None:
    with pytest.raises(ValueError, match=r"^config must be a dict as get_config returns it; got "):
        scratch.layers.Dense.from_config(config)

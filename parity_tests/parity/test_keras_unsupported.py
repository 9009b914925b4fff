"""What scratch or Keras does not support is named in one sentence, and nothing is loaded or written."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as kl

import keras_impl
from parity_tests.comparison import assert_all, same
from scratch import losses
from scratch.callbacks import ModelCheckpoint
from scratch.files import FileError
from scratch.layers import Dense
from scratch.models import Sequential, load_model
from scratch.optimizers import SGD


@keras.saving.register_keras_serializable(package="mine")
class Dense2(kl.Dense):
    """A registered layer of the user, which must not be taken for Keras's Dense."""


class Twos(keras.initializers.Ones):
    """An initializer of the user."""


def model_of(*parts: Any) -> Callable[[], keras.Model]:
    """Return a function that builds a model of these layers, each given as a function."""
    return lambda: keras.Sequential([keras.Input((4, 4, 1)), *(part() for part in parts)])


def compiled_with(optimizer: Any = "sgd", loss: Any = "categorical_crossentropy", **options: Any) -> Callable[[], Any]:
    """Return a function that builds a compiled model."""

    def build() -> keras.Model:
        model = keras.Sequential([keras.Input((3,)), kl.Dense(2)])
        model.compile(optimizer() if callable(optimizer) else optimizer, loss, **options)
        return model

    return build


def frozen() -> keras.Model:
    """Return a model with a layer that is not trained."""
    model = keras.Sequential([keras.Input((3,)), kl.Dense(2, name="d")])
    model.layers[0].trainable = False
    return model


def functional(name: str | None = None) -> keras.Model:
    """Return a model that is not a Sequential."""
    inputs = keras.Input((4, 4, 1))
    return keras.Model(inputs, kl.Dense(2)(inputs), name=name)


KerasSGD = keras.optimizers.SGD
Refused = dict[str, tuple[Callable[[], keras.Model], str]]
LAYERS: Refused = {
    "Conv2D": (model_of(lambda: kl.Conv2D(2, 3, name="c")), "layer 'c' is a 'Conv2D' of 'keras.layers'"),
    "noise shape": (
        model_of(lambda: kl.Dropout(0.5, (4, 1, 1), name="d")),
        r"'d' \(Dropout\) has noise_shape=a (list|tuple)",
    ),
    "Lambda": (model_of(lambda: kl.Lambda(lambda x: x)), "layer 'lambda.*' is a 'Lambda'"),
    "registered class": (model_of(lambda: Dense2(2)), "layer 'dense2.*' is a 'Dense2' of"),
    "nested": (
        model_of(lambda: functional("inner")),
        "layer 'inner' is a 'Functional' of 'keras.*it supports InputLayer",
    ),
    "inside": (
        model_of(kl.Flatten, lambda: keras.Sequential([kl.Dense(2, "gelu", name="d")])),
        "layer 'd' .*Unknown activation 'gelu'",
    ),
    "frozen": (frozen, r"layer 'd' \(Dense\) has trainable=False"),
    "gelu": (model_of(lambda: kl.Dense(2, activation="gelu", name="d")), "layer 'd' .*Unknown activation 'gelu'"),
    "regularizer": (
        model_of(lambda: kl.Dense(2, kernel_regularizer=keras.regularizers.OrthogonalRegularizer(), name="d")),
        "'d'.*kernel_regularizer='OrthogonalRegularizer'",
    ),
    "activity": (model_of(lambda: kl.Dense(2, activity_regularizer="l1", name="d")), "'d'.*activity_regularizer='L1'"),
    "constraint": (model_of(lambda: kl.Dense(2, bias_constraint="non_neg", name="d")), "'d'.*bias_constraint='NonNeg'"),
    "mixed": (model_of(lambda: kl.Dense(2, dtype="mixed_float16", name="d")), "'d'.*dtype.*'mixed_float16'"),
    "float16": (model_of(lambda: kl.Flatten(dtype="float16", name="f")), "'f'.*dtype.*'float16'"),
    "max_value": (model_of(lambda: kl.ReLU(max_value=6, name="r")), r"'r' \(ReLU\) has max_value=6"),
    "slope": (model_of(lambda: kl.ReLU(negative_slope=0.5, name="r")), r"'r' \(ReLU\) has negative_slope=0.5"),
    "axis": (model_of(lambda: kl.Softmax(axis=1, name="s")), r"'s' \(Softmax\) has axis=1"),
    "channels": (model_of(lambda: kl.Flatten("channels_first", name="f")), "'f'.*data_format='channels_first'"),
}
MODELS: Refused = {  # of files only: a conversion ignores the arguments of compile, and initializers of built layers
    "functional": (functional, "model 'functional.*' is a 'Functional' of 'keras.*it supports Sequential"),
    "initializer": (
        model_of(lambda: kl.Dense(2, kernel_initializer=Twos(), name="d")),
        "'d'.*kernel_initializer='Twos', which scratch does not support .*it supports GlorotUniform",
    ),
    "stddev": (
        model_of(lambda: kl.Dense(2, bias_initializer=keras.initializers.RandomNormal(stddev=-1.0), name="d")),
        "'d'.*bias_initializer='RandomNormal'.*stddev must be a finite number, 0 or more; got -1.0",
    ),
    "Nadam": (compiled_with("nadam"), "optimizer 'nadam.*' is a 'Nadam'"),
    "schedule": (
        compiled_with(lambda: KerasSGD(keras.optimizers.schedules.CosineDecay(0.1, 10))),
        r"optimizer 'sgd.*' \(SGD\) has learning_rate='CosineDecay'.*it supports ExponentialDecay, Piecewise",
    ),
    "ema": (compiled_with(lambda: KerasSGD(use_ema=True)), r"\(SGD\) has use_ema=True"),
    "accumulation": (
        compiled_with(lambda: KerasSGD(gradient_accumulation_steps=4)),
        "has gradient_accumulation_steps=4",
    ),
    "loss scale": (compiled_with(lambda: KerasSGD(loss_scale_factor=4.0)), "has loss_scale_factor=4.0"),
    "hinge": (compiled_with(loss="hinge"), "Unknown loss 'hinge'"),
    "focal": (compiled_with(loss=keras.losses.CategoricalFocalCrossentropy()), "is a 'CategoricalFocalCrossentropy'"),
    "ignored class": (
        compiled_with(loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=1)),
        r"\(SparseCategoricalCrossentropy\) has ignore_class=1",
    ),
    "loss axis": (compiled_with(loss=keras.losses.CategoricalCrossentropy(axis=1)), "has axis=1"),
    "mean": (compiled_with(loss=keras.losses.CategoricalCrossentropy(reduction="mean")), "Unknown reduction 'mean'"),
    "AUC": (compiled_with(metrics=["auc"]), "Unknown metric 'auc'"),
    "metric": (compiled_with(metrics=[keras.metrics.Precision(name="p")]), "metric 'p' is a 'Precision'"),
    "loss weights": (compiled_with(loss_weights=[2.0]), "compiled with loss_weights=a list"),
}
UNSUPPORTED = LAYERS | MODELS


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_unsupported_by_scratch(name: str, tmp_path: Path) -> None:
    build, message = UNSUPPORTED[name]
    path = tmp_path / "model.keras"
    build().save(path)
    with pytest.raises(FileError, match=f"(?s){re.escape(str(path))}.*{message}") as error:
        load_model(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_that_a_conversion_does_not_support(name: str) -> None:
    build, message = LAYERS[name]
    with pytest.raises(ValueError, match=message) as error:
        keras_impl.to_scratch(build())
    assert "\n" not in str(error.value)


def test_unsupported_by_keras(tmp_path: Path) -> None:
    class Mine(Dense):
        pass

    path = tmp_path / "model.keras"
    for model, message in (
        (Sequential([Mine(2, name="m")]), "The layer 'm' is a Mine, which has no counterpart in Keras"),
        (Sequential([Dense(2, name="a\nb")]), r"'a\\nb' is not a name in Keras"),
    ):
        with pytest.raises(FileError, match=f"{re.escape(str(path))}: .*{message}"):
            model.save(path)
        assert not list(tmp_path.iterdir())


class Rate(SGD):
    """An optimizer that Keras does not have."""


class Absolute(losses.MeanAbsoluteError):
    """A loss that Keras does not have."""


def mean_output(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    return y_pred.mean(axis=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("adam", "mse", None, [mean_output]),
            "The metric 'mean_output' is a function, which a Keras config .*",
        ),
        (
            ("adam", "mse", None, None, [mean_output]),
            "The metric 'mean_output' is a function, which a Keras config .*",
        ),
        (("adam", Absolute()), "The loss is a Absolute, which has no counterpart in Keras"),
        ((Rate(0.5, momentum=0.9), "mse", None, ["mae"]), "The optimizer is a Rate, which has no counterpart in Keras"),
    ],
)
def test_arguments_of_compile_that_keras_does_not_have(
    arguments: tuple[Any, ...], message: str, tmp_path: Path
) -> None:
    """The model is saved after the training, by a checkpoint too; only ``compile`` must be called again."""
    path, rng = tmp_path / "model.keras", np.random.default_rng(0)
    x, y = rng.random((8, 3)), rng.random((8, 2))
    ours = Sequential([Dense(2, input_shape=(3,))], backend="numpy")
    ours.compile(*copy.deepcopy(arguments))
    expected = f"^{message}. The arguments of compile are left out"
    with pytest.warns(UserWarning, match=expected):
        ours.fit(x, y, epochs=2, verbose=0, callbacks=[ModelCheckpoint(path)])
    loaded, theirs = load_model(path, backend="numpy"), keras.models.load_model(path)
    assert loaded.optimizer is None
    assert not theirs.compiled
    assert_all([same("weights", a, b) for a, b in zip(loaded.get_weights(), ours.get_weights(), strict=True)])
    assert_all([same("weights", a, b) for a, b in zip(theirs.get_weights(), ours.get_weights(), strict=True)])
    loaded.compile(*copy.deepcopy(arguments))
    loaded.load_weights(path)  # with the state of the optimizer
    for model in (ours, loaded):
        model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    assert_all([same("weights", a, b) for a, b in zip(loaded.get_weights(), ours.get_weights(), strict=True)])


def test_unsupported_compile_arguments_with_compile_false(tmp_path: Path) -> None:
    theirs = keras.Sequential([keras.Input((3,)), kl.Dense(2)])
    theirs.compile("nadam", "mse")
    theirs.save(tmp_path / "nadam.keras")
    with pytest.raises(
        FileError, match=r"'nadam.*' is a 'Nadam' of 'keras\.optimizers', which scratch does not support"
    ):
        load_model(tmp_path / "nadam.keras")
    ours = load_model(tmp_path / "nadam.keras", compile=False)
    assert ours.optimizer is None
    assert_all([same("weights", a, b) for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True)])

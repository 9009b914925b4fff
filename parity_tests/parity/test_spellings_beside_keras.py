"""Spellings of public programs that Keras accepts: scratch understands the same by them."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_impl
import scratch
from parity_tests.conftest import slow_except
from scratch.dropped_names import DEFAULTS

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = np.eye(3, dtype="float32")[np.arange(8) % 3]


def compiled(loss: Any, metrics: Any) -> tuple[scratch.Sequential, keras.Sequential]:
    """Return a model of each program, with the same weights."""
    ours = scratch.Sequential([scratch.layers.Dense(3, "softmax", input_shape=(4,))])
    theirs = keras_impl.to_keras(ours)
    for model in (ours, theirs):
        model.compile("sgd", loss, metrics=metrics)
    theirs.run_eagerly = True
    return ours, theirs


@pytest.mark.parametrize(
    ("loss", "metrics"),
    [
        ("mse", ["MSE", "MAE"]),
        ("mse", ["ACC"]),
        ("MSE", ["Accuracy", "mae"]),
        (["mse"], [["accuracy"]]),
        (("mse",), [("accuracy", "mae")]),
    ],
)
def test_names_of_losses_and_metrics(loss: Any, metrics: Any) -> None:
    ours, theirs = (model.fit(X, Y, shuffle=False, verbose=0).history for model in compiled(loss, metrics))
    assert list(ours) == list(theirs)
    for key, values in ours.items():
        np.testing.assert_allclose(values, theirs[key], rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match")
@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("built", [True, False])
def test_lists_of_one_input_and_one_output(kind: type, built: bool) -> None:
    x, y = kind([X]), kind([Y])
    ours, theirs = compiled("mse", ["accuracy"])
    if not built:
        ours = scratch.Sequential([scratch.layers.Dense(3, "softmax")])
        ours.compile("sgd", "mse", metrics=["accuracy"])
        assert ours.predict(x, verbose=0).shape == (8, 3)
        ours.set_weights(theirs.get_weights())
    for call in (
        lambda model: model.predict(x, verbose=0),
        lambda model: model.evaluate(x, y, verbose=0),
        lambda model: model.fit(x, y, shuffle=False, verbose=0, validation_data=(x, y)).history["val_loss"],
        lambda model: model.train_on_batch(x, Y),
        lambda model: model(x),
    ):
        np.testing.assert_allclose(call(ours), call(theirs), rtol=0, atol=1e-6)


@pytest.mark.parametrize("program", [scratch, keras])
def test_defaults_of_arguments_that_scratch_lacks(program: Any, tmp_path: Path) -> None:
    model = program.Sequential([program.Input(batch_shape=(None, 4)), program.layers.Dense(3)])
    functions = {
        "Loss": program.losses.MeanSquaredError,
        "Crossentropy": program.losses.BinaryCrossentropy,
        "SparseCategoricalCrossentropy": program.losses.SparseCategoricalCrossentropy,
        "Metric": program.metrics.BinaryAccuracy,
        "save": partial(model.save, tmp_path / "m.keras"),
        "load_model": partial(program.models.load_model, tmp_path / "m.keras"),
        "LearningRateSchedule": partial(program.optimizers.schedules.ExponentialDecay, 0.1, 10, 0.5),
        # Keras needs pydot to draw.
        "plot_model": partial(scratch.utils.plot_model, model, tmp_path / "m.svg") if program is scratch else dict,
    }
    for owner, arguments in DEFAULTS.items():
        for name, values in arguments.items():
            for value in values:
                if owner == "compile":
                    program.Sequential().compile("sgd", "mse", **{name: value})
                elif owner == "summary":
                    program.Sequential().summary(60, print_fn=str, **{name: value})
                elif owner in functions:
                    functions[owner](**{name: value})
                else:
                    module = program.optimizers if owner == "Optimizer" else program.layers
                    first = {"Dense": [3], "Dropout": [0.5], "Input": [(3,)]}.get(owner, [])
                    getattr(module, owner.replace("Optimizer", "Adam"))(*first, **{name: value})


def test_classes_from_configs_of_keras() -> None:
    for module, names in (
        ("losses", ["MeanSquaredError", "CategoricalCrossentropy", "SparseCategoricalCrossentropy"]),
        ("metrics", ["BinaryAccuracy", "MeanAbsoluteError"]),
    ):
        for name in names:
            ours, theirs = (getattr(getattr(program, module), name) for program in (scratch, keras))
            config = theirs().get_config() | {"dtype": None}
            assert type(ours.from_config(config)) is ours
            assert ours().get_config().items() <= config.items()
            with pytest.raises(TypeError, match=f"^scratch's {name} has no argument 'other'"):
                ours(other=1)


@pytest.mark.parametrize("built", [True, False])
def test_clone_model(built: bool) -> None:
    models = compiled("mse", ["accuracy"])
    if not built:
        models = tuple(program.Sequential([program.layers.Dense(3)], name="m") for program in (scratch, keras))
    for program, model in zip((scratch, keras), models, strict=True):
        clone = program.models.clone_model(model)
        assert clone.name == model.name
        assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
        assert clone.built is built
        assert (getattr(clone, "optimizer", None) is not None) is built
        assert not built or clone.optimizer is not model.optimizer
        for W, V in zip(clone.get_weights()[::2], model.get_weights()[::2], strict=True):
            assert not np.array_equal(W, V)


def test_kernel_and_bias() -> None:
    for layer, theirs in zip(*(model.layers for model in compiled("mse", None)), strict=True):
        np.testing.assert_array_equal(layer.kernel, theirs.kernel)
        np.testing.assert_array_equal(layer.bias, theirs.bias)
        assert layer.kernel is layer.params["W"]
    for program in (scratch, keras):
        with pytest.raises(AttributeError):
            program.layers.Dense(3).kernel  # noqa: B018
        layer = program.layers.Dense(3, use_bias=False)
        layer(X)
        assert layer.bias is None


BATCH_NORMALIZATIONS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "axis": lambda program: {"axis": 1},
    "no beta": lambda program: {"center": False},
    "defaults": lambda program: {
        "gamma_initializer": program.initializers.Ones(),
        "moving_mean_initializer": program.initializers.Zeros(),
    },
    "initializers": lambda program: {
        "beta_initializer": program.initializers.Constant(0.5),
        "gamma_initializer": program.initializers.Constant(0.25),
        "moving_mean_initializer": "ones",
        "moving_variance_initializer": program.initializers.Constant(2.0),
    },
}


@pytest.mark.parametrize("name", BATCH_NORMALIZATIONS)
def test_arguments_and_attributes_of_batch_normalization(name: str) -> None:
    """The weights are those of Keras before and after a step."""
    attributes, found = ("gamma", "beta", "moving_mean", "moving_variance"), []
    for program in (scratch, keras):
        layer = program.layers.BatchNormalization(**BATCH_NORMALIZATIONS[name](program))
        assert [getattr(layer, key) for key in attributes] == [None] * 4
        model = program.Sequential([program.Input((4,)), layer])
        model.compile(program.optimizers.SGD(0.5), "mse", run_eagerly=program is keras)
        before = {f"{key} before": np.array(getattr(layer, key), "float32") for key in attributes}  # NaN for None
        model.fit(X, X**2, verbose=0)
        after = {key: np.array(getattr(layer, key), "float32") for key in attributes}
        found.append(before | after | {"outputs": model.predict(X, verbose=0)})
    for key, values in found[0].items():
        np.testing.assert_allclose(values, found[1][key], rtol=1e-5, atol=1e-6, err_msg=key)
    assert np.isnan(found[0]["beta"]).any() == (name == "no beta")


OPTIMIZERS: dict[str, Callable[[Any, Any], Any]] = {  # by the argument that is a flag
    "nesterov": lambda optimizers, flag: optimizers.SGD(momentum=0.5, nesterov=flag),
    "amsgrad": lambda optimizers, flag: optimizers.Adam(amsgrad=flag),
    "centered": lambda optimizers, flag: optimizers.RMSprop(centered=flag),
    "staircase": lambda optimizers, flag: optimizers.SGD(
        optimizers.schedules.ExponentialDecay(np.float32(0.5), np.int64(2), np.float64(0.5), flag)
    ),
    "boundaries": lambda optimizers, flag: optimizers.SGD(
        optimizers.schedules.PiecewiseConstantDecay([np.int64(flag)], list(np.float32([0.5, 0.25])))
    ),
}


def test_arrays_as_arguments_of_a_schedule() -> None:
    boundaries, values = np.array([2, 4]), np.array([0.5, 0.25, 0.125])
    ours, theirs = (
        program.optimizers.schedules.PiecewiseConstantDecay(boundaries, values) for program in (scratch, keras)
    )
    assert [ours(step) for step in range(7)] == [float(theirs(step)) for step in range(7)]
    assert ours.get_config() == {"boundaries": [2, 4], "values": [0.5, 0.25, 0.125]}
    with pytest.raises(ValueError, match=r"^each entry of values must be a finite number, 0 or more; got \[0.5\]\.$"):
        scratch.optimizers.schedules.PiecewiseConstantDecay([], np.array([[0.5]]))


def layers_with_flags(layers: Any, flag: Any) -> list[Any]:
    """Return layers of either program, whose last outputs are logits if the flag is true."""
    return [
        layers.BatchNormalization(axis=np.int64(-1), center=flag, scale=flag),
        layers.Dense(3, use_bias=flag),
        layers.Activation("linear" if flag else "softmax"),
    ]


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
@pytest.mark.parametrize("flag", [0, 1, np.bool_(True), np.int8(0)])
@pytest.mark.parametrize("name", slow_except(OPTIMIZERS, "nesterov"))
def test_flags_and_numbers_of_numpy_are_saved(name: str, flag: Any, tmp_path: Path) -> None:
    """Both programs train, save and load the model; Keras loads the file of scratch, too."""
    histories, loaded = [], []
    for program in (scratch, keras):
        model = program.Sequential([program.Input((4,)), *layers_with_flags(program.layers, flag)])
        model.set_weights([np.resize([1.0, 0.5, 0.25, 0.75], np.shape(W)) for W in model.get_weights()])
        loss = program.losses.CategoricalCrossentropy(from_logits=flag)
        model.compile(OPTIMIZERS[name](program.optimizers, flag), loss, run_eagerly=program is keras)
        histories.append(model.fit(X, Y, 2, epochs=2, shuffle=False, verbose=0).history["loss"])
        model.save(tmp_path / f"{program.__name__}.keras")
        loaded.append(program.models.load_model(tmp_path / f"{program.__name__}.keras"))
    loaded.append(keras.models.load_model(tmp_path / "scratch.keras"))
    loaded[-1].run_eagerly = True
    np.testing.assert_allclose(*histories, rtol=0, atol=1e-5)
    expected = loaded[0].evaluate(X, Y, verbose=0)
    for model in loaded:
        assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected, abs=1e-5)


def test_keys_of_class_weight_are_integers_of_any_type() -> None:
    losses = []
    for keys in ((0, 1, 2), (0.0, 1.0, 2.0), np.unique([0.0, 1.0, 2.0]), (False, True, 2)):
        weights = dict(zip(keys, (1.0, 3.0, 0.5), strict=True))
        for model in compiled("sparse_categorical_crossentropy", None):
            model.set_weights([np.eye(4, 3), np.zeros(3)])
            labels = np.arange(8, dtype="float32") % 3
            history = model.fit(X, labels, shuffle=False, verbose=0, class_weight=weights).history
            losses.append(history["loss"][0])
    np.testing.assert_allclose(losses, losses[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("program", [scratch, keras])
def test_the_old_argument_of_leaky_relu(program: Any) -> None:
    with pytest.warns(UserWarning, match=r"^Argument `alpha` is deprecated\. Use `negative_slope` instead\.$"):
        layer = program.layers.LeakyReLU(alpha=0.25)
    assert layer.negative_slope == 0.25
    np.testing.assert_array_equal(layer(-X), np.where(X < 0, -X, -X / 4))


def test_a_lambda_callback_without_a_function() -> None:
    for program, model in zip((scratch, keras), compiled("mse", None), strict=True):
        callback = program.callbacks.LambdaCallback(on_epoch_end=None, on_train_end=None)
        assert model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback]).epoch == [0, 1]


def test_a_plateau_cannot_reduce_a_schedule() -> None:
    """Keras raises the same exception at the first plateau, scratch before the first epoch."""
    epochs: list[int] = []
    for program in (scratch, keras):
        schedule = program.optimizers.schedules.ExponentialDecay(0.1, 100, 0.9)
        model = program.Sequential([program.Input((4,)), program.layers.Dense(3)])
        model.compile(program.optimizers.SGD(schedule), "mse", run_eagerly=program is keras)
        plateau = program.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=10.0)
        count = program.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
        with pytest.raises(TypeError, match=r"(ReduceLROnPlateau cannot reduce|created with a `LearningRateSchedule`)"):
            model.fit(X, Y, epochs=5, verbose=0, callbacks=[plateau, count])
    assert epochs == [0, 1]  # of Keras


def metrics_of(program: Any) -> dict[str, dict[str, list[Any]]]:
    """Return arguments of ``compile`` for either program."""

    class MyMetric:
        def __call__(self, y_true: Any, y_pred: Any) -> Any:
            return y_pred[:, 0]

    def farthestOf(y_true: Any, y_pred: Any) -> Any:  # noqa: N802 (a name in camel case)
        return y_pred[:, 1]

    losses = program.losses
    return {
        "functions": {"metrics": [MyMetric(), farthestOf, lambda y_true, y_pred: y_pred[:, 2]]},
        "lambdas": {"metrics": [lambda y_true, y_pred: y_pred[:, 0], lambda y_true, y_pred: y_pred[:, 1]]},
        "losses": {"metrics": [losses.mean_squared_error, losses.MeanSquaredError(), losses.MeanAbsoluteError]},
        "twice": {"metrics": ["accuracy", "accuracy", "acc"]},
        "twice weighted": {"metrics": ["mse"], "weighted_metrics": ["mse", "mse", "accuracy"]},
    }


@pytest.mark.parametrize("name", metrics_of(scratch))
def test_names_of_metrics_in_the_history(name: str) -> None:
    histories = []
    for program, model in zip((scratch, keras), compiled("mse", None), strict=True):
        model.set_weights([np.eye(4, 3), np.zeros(3)])
        model.compile("sgd", "mse", **metrics_of(program)[name], run_eagerly=program is keras)
        histories.append(model.fit(X, Y, shuffle=False, verbose=0).history)
    assert list(histories[0]) == list(histories[1])
    for key, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][key], rtol=0, atol=1e-6)


def test_smaller_values_of_a_loss_are_better() -> None:
    for program, model in zip((scratch, keras), compiled("mse", None), strict=True):
        losses = program.losses
        metrics = [losses.mean_squared_error, losses.MeanAbsoluteError()]
        model.compile("sgd", "mse", metrics=metrics, run_eagerly=program is keras)
        for name in ("mean_squared_error", "mean_absolute_error"):
            stopping = program.callbacks.EarlyStopping(name, patience=1)
            assert len(model.fit(X, Y, epochs=4, verbose=0, callbacks=[stopping]).epoch) == 4


@pytest.mark.parametrize("program", [scratch, keras])
def test_the_seed_is_also_that_of_python_and_numpy(program: Any) -> None:
    draws = []
    for _ in range(2):
        program.utils.set_random_seed(3)
        draws.append((random.random(), np.random.rand()))  # noqa: NPY002
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    assert draws == [(random.random(), np.random.rand())] * 2  # noqa: NPY002


def test_a_model_is_saved_by_the_function_of_either_program(tmp_path: Path) -> None:
    ours, theirs = compiled("mse", None)
    for program, model in ((scratch, ours), (keras, theirs)):
        program.models.save_model(model, tmp_path / "m.keras", overwrite=True)
        for loader in (scratch, keras):
            found = loader.models.load_model(tmp_path / "m.keras", custom_objects={}, safe_mode=True)
            np.testing.assert_allclose(found.predict(X, verbose=0), ours.predict(X, verbose=0), rtol=1e-6)
    for name in ("custom_objects", "safe_mode"):
        with pytest.raises(TypeError, match=f"^scratch's load_model has no argument {name!r}"):
            scratch.models.load_model(tmp_path / "m.keras", **{name: False})
    with pytest.raises(TypeError, match=r"^scratch's save has no argument 'include_optimizer'\.$"):
        scratch.models.save_model(ours, tmp_path / "m.keras", include_optimizer=False)

"""Every setting that scratch and Keras share survives a file from Keras to scratch and back."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as kl

from keras_impl.frameworks import FRAMEWORK, to_numpy
from parity_tests.checks.initial_weights import ARGUMENTS
from parity_tests.checks.losses import ARRAY_LOSSES, ArrayLoss, predictions
from parity_tests.checks.updates import ADAPTIVE_SETTINGS, SETTINGS
from parity_tests.comparison import assert_all, same
from parity_tests.reference.sgd import OptimizerSettings
from scratch import initializers, layers
from scratch.layers import ACTIVATIONS, Dense
from scratch.models import Sequential, load_model
from scratch.saving import entries, settings

pytestmark = pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
OTHER_DTYPE = "float64" if FRAMEWORK == "tensorflow" else "float32"  # Keras on JAX and torch has no float64

NAMES = [name for name in initializers.INITIALIZERS if name != "constant"]  # Keras knows only its class
FOR_KERNELS = ("orthogonal", "identity")


def keras_class(name: str) -> str:
    """Return the class name of a loss, such as CategoricalCrossentropy for categorical_crossentropy."""
    return name.title().replace("_", "")


def comparable(config: Any) -> Any:
    """Return a Keras config without the entries that differ between equal objects."""
    if isinstance(config, dict):
        dropped = {"shared_object_id", "build_config", "seed"}
        return {key: comparable(value) for key, value in config.items() if key not in dropped}
    return [comparable(value) for value in config] if isinstance(config, list | tuple) else config


def round_trip(model: keras.Sequential, folder: Path) -> tuple[Sequential, keras.Sequential]:
    """Save a Keras model and load it in scratch; save that model and load it in Keras."""
    model.save(folder / "theirs.keras")
    ours = load_model(folder / "theirs.keras", backend="numpy")
    ours.save(folder / "ours.keras")
    return ours, keras.models.load_model(folder / "ours.keras")


def all_layers() -> list[kl.Layer]:
    """Return Keras layers with every class, activation and initializer of scratch."""
    return [
        kl.Flatten(name="rows"),
        *(kl.Dense(4, activation=name) for name in ACTIVATIONS),
        *(kl.Dense(3, kernel_initializer=name) for name in NAMES),
        *(kl.Dense(3, bias_initializer=name) for name in NAMES if name not in FOR_KERNELS),
        *(
            kl.Dense(3, kernel_initializer=getattr(keras.initializers, name)(**arguments))
            for name, arguments in ARGUMENTS.values()
        ),
        kl.Dense(5, use_bias=False, kernel_initializer=keras.initializers.HeNormal(seed=3), dtype=OTHER_DTYPE),
        kl.Dense(5, kernel_regularizer="l2", bias_regularizer=keras.regularizers.L1(0.25)),
        kl.Dense(5, kernel_regularizer=keras.regularizers.L1L2(0.5, 0.125)),
        *(kl.Activation(name) for name in ACTIVATIONS),
        kl.ReLU(),
        kl.Softmax(),
        kl.Reshape((5, -1)),
        kl.Flatten(),
        kl.Rescaling(0.25, offset=-2.0),
        kl.BatchNormalization(),
        kl.BatchNormalization(momentum=0.5, epsilon=0.25, center=False, scale=False),
        kl.LeakyReLU(0.125),
        kl.ELU(0.5),
        kl.Dropout(0.25),
        kl.Dropout(0.5, seed=3),
    ]


def test_layers_activations_and_initializers(tmp_path: Path) -> None:
    theirs = keras.Sequential([keras.Input((4, 3), name="input_layer"), *all_layers()], name="all_of_them")
    ours, back = round_trip(theirs, tmp_path)
    assert comparable(back.get_config()) == comparable(theirs.get_config())
    assert [(layer.name, type(layer).__name__) for layer in ours.layers] == [
        (layer.name, type(layer).__name__) for layer in theirs.layers
    ]
    assert (ours.loss, ours.optimizer, back.compiled) == (None, None, False)
    assert_all([same("weights", a, b) for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True)])
    assert_all([same("weights", a, b) for a, b in zip(back.get_weights(), theirs.get_weights(), strict=True)])


CONFIGURED = [
    (name, arguments)
    for name, arguments in (*((class_.__name__, {}) for class_ in initializers.CLASSES), *ARGUMENTS.values())
    if name != "Identity"  # Keras does not write its gain
]


@pytest.mark.parametrize(("class_name", "arguments"), CONFIGURED)
def test_configs_of_initializers(class_name: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    if class_name not in ("Zeros", "Ones", "Constant"):
        arguments = arguments | {"seed": 3}
    theirs = getattr(keras.initializers, class_name)(**arguments)
    config = {key: value for key, value in theirs.get_config().items() if not key.endswith("put_axes")}
    assert getattr(initializers, class_name)(**arguments).get_config() == config
    ours, back = round_trip(keras.Sequential([keras.Input((3,)), kl.Dense(2, kernel_initializer=theirs)]), tmp_path)
    assert ours.layers[0].kernel_initializer.get_config() == config
    assert back.layers[-1].kernel_initializer.get_config() == theirs.get_config()


def test_gain_of_identity_is_read_by_keras(tmp_path: Path) -> None:
    layer = Dense(2, kernel_initializer=initializers.Identity(3.0))
    Sequential([layer]).save(tmp_path / "model.keras")
    back = keras.models.load_model(tmp_path / "model.keras")
    assert back.layers[0].kernel_initializer.gain == 3.0


@pytest.mark.parametrize("settings", SETTINGS + ADAPTIVE_SETTINGS)
def test_optimizer(settings: OptimizerSettings, tmp_path: Path) -> None:
    theirs = keras.Sequential([keras.Input((3,)), kl.Dense(2)])
    theirs.compile(settings.create(keras.optimizers), "categorical_crossentropy")
    theirs.optimizer.iterations.assign(7)
    ours, back = round_trip(theirs, tmp_path)
    assert type(ours.optimizer).__name__ == settings.optimizer
    assert ours.optimizer.get_config() == settings._asdict()
    assert back.optimizer.get_config() | {"name": theirs.optimizer.name} == theirs.optimizer.get_config()
    assert ours.optimizer.iterations == int(back.optimizer.iterations) == 7


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_run_eagerly(run_eagerly: bool, tmp_path: Path) -> None:
    theirs = keras.Sequential([keras.Input((3,)), kl.Dense(2)])
    theirs.compile("sgd", "categorical_crossentropy", run_eagerly=run_eagerly)
    ours, back = round_trip(theirs, tmp_path)
    assert ours.run_eagerly is back.run_eagerly is run_eagerly


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
@pytest.mark.parametrize(
    ("loss", "metrics", "names"),
    [
        (keras.losses.CategoricalCrossentropy(label_smoothing=0.25), ["acc"], ["acc"]),
        (
            keras.losses.CategoricalCrossentropy(True),
            lambda: [keras.metrics.CategoricalAccuracy(name="right")],
            ["right"],
        ),
        (keras.losses.SparseCategoricalCrossentropy(True), ["sparse_categorical_accuracy"], None),
        ("sparse_categorical_crossentropy", None, []),
        ("categorical_crossentropy", ["accuracy", "categorical_accuracy"], None),
        (keras.losses.categorical_crossentropy, [keras.metrics.categorical_accuracy], ["categorical_accuracy"]),
    ],
)
def test_losses_and_metrics(loss: Any, metrics: Any, names: list[str] | None, reduction: str, tmp_path: Path) -> None:
    metrics = metrics() if callable(metrics) else metrics  # a new object: its state must not outlive the test
    last = None if getattr(loss, "from_logits", False) else "softmax"
    theirs = keras.Sequential([keras.Input((3,)), kl.Dense(2, last)])
    if isinstance(loss, keras.losses.Loss):
        loss.reduction = reduction
    theirs.compile("sgd", loss, metrics=metrics)
    ours, back = round_trip(theirs, tmp_path)
    expected = (
        loss if isinstance(loss, keras.losses.Loss) else keras.losses.get(keras_class(getattr(loss, "__name__", loss)))
    )
    assert ours.loss is not None
    assert [metric.name for metric in ours.metrics] == (metrics or [] if names is None else names)
    assert back.loss.get_config() == expected.get_config()
    assert type(ours.loss).__name__ == type(back.loss).__name__ == type(expected).__name__
    for key in ("from_logits", "label_smoothing", "reduction"):
        assert getattr(ours.loss, key) == expected.get_config().get(key, 0.0)
    x, y = np.ones((4, 3), "float32"), np.array([0, 1, 1, 1])
    y = y if "Sparse" in type(expected).__name__ else np.eye(2, dtype="float32")[y]
    theirs.run_eagerly = back.run_eagerly = True  # without the time to compile a graph
    found = [model.test_on_batch(x, y, return_dict=True) for model in (theirs, ours, back)]
    assert list(found[0]) == list(found[1]) == list(found[2])
    for logs in found:
        del logs["loss"]  # equal within a bound only: see test_keras_files
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("case", ARRAY_LOSSES, ids=str)
def test_every_loss_with_its_settings(case: ArrayLoss) -> None:
    """Keras reads every setting that scratch writes, and scratch every setting that Keras writes."""
    ours, theirs = case.scratch_loss("numpy"), getattr(keras.losses, case.loss)(**case.settings)
    back = keras.saving.deserialize_keras_object(entries.write(settings.LOSSES, ours, "The loss"))
    y, t = next(iter(predictions(case).values())), case.targets
    np.testing.assert_array_equal(to_numpy(back(t, y)), to_numpy(theirs(t, y)))
    read = entries.read(settings.LOSSES, keras.saving.serialize_keras_object(theirs), "loss")
    written = theirs.get_config().keys() & settings.LOSSES[case.loss].settings.keys()
    assert {key: getattr(read, key) for key in written} == {key: getattr(ours, key) for key in written}


@pytest.mark.parametrize("compiled", [False, True])
def test_unbuilt_model(compiled: bool, tmp_path: Path) -> None:
    theirs = keras.Sequential([kl.Dense(3, activation="relu"), kl.Dense(2)])
    if compiled:
        theirs.compile("sgd", "categorical_crossentropy")
    ours, back = round_trip(theirs, tmp_path)
    assert (ours.built, back.built) == (False, False)
    assert (ours.optimizer is not None, back.compiled) == (compiled, compiled)
    assert ours(np.ones((2, 5))).shape == (2, 2)


def test_model_built_with_batch_size(tmp_path: Path) -> None:
    theirs = keras.Sequential([kl.Dense(3), kl.Dense(2)])
    theirs.build((5, 4))  # Keras then writes the batch size into the shape
    ours, back = round_trip(theirs, tmp_path)
    assert ours.input_shape == back.input_shape == (None, 4)
    assert_all([same("weights", a, b) for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True)])


@pytest.mark.parametrize("inputs", [[], [keras.Input((3,))]], ids=["empty", "Input"])
def test_model_without_layers(inputs: list[Any], tmp_path: Path) -> None:
    ours, back = round_trip(keras.Sequential(inputs), tmp_path)
    assert (ours.layers, back.layers) == ([], [])
    assert ours.input_shape == ((None, 3) if inputs else None)


def test_custom_initializer_of_built_layer(tmp_path: Path) -> None:
    model = Sequential([Dense(2, kernel_initializer=lambda shape, rng: np.full(shape, 3.0), input_shape=(4,))])
    model.save(tmp_path / "model.keras")
    back = keras.models.load_model(tmp_path / "model.keras")
    assert_all([same("weights", a, b) for a, b in zip(model.get_weights(), back.get_weights(), strict=True)])


def test_layer_with_the_name_of_the_input_layer(tmp_path: Path) -> None:
    model = Sequential([layers.Dense(2, name="input_layer", input_shape=(4,))])
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").layers[0].name == "input_layer"

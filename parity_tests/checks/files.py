"""What describes and saves a model: configs, JSON and archives, written by either program and read by both.

The model has every layer that scratch has, a model within it, and settings that are not the defaults.
"""

import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

import scratch
from keras_impl.frameworks import FRAMEWORK, to_numpy
from parity_tests.comparison import Comparison, equal, same
from parity_tests.reference.error_model import Array

OBJECTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("initializers", "HeNormal", {"seed": 3}),
    ("initializers", "Constant", {"value": 0.5}),
    ("initializers", "RandomUniform", {"minval": -1.0, "maxval": 2.0, "seed": None}),
    ("regularizers", "L1", {"l1": 0.5}),
    ("regularizers", "L2", {"l2": 0.5}),
    ("regularizers", "L1L2", {"l1": 0.5, "l2": 0.25}),
    ("losses", "BinaryCrossentropy", {"label_smoothing": 0.25}),
    ("metrics", "BinaryAccuracy", {"name": "share", "threshold": 0.25}),
    ("optimizers", "RMSprop", {"learning_rate": 0.5, "rho": 0.75, "centered": True}),
)
STEPS = 3


def model_of_everything(module: Any, **options: Any) -> Any:
    """Return the model in scratch or Keras, compiled."""
    layers, initializers, regularizers = module.layers, module.initializers, module.regularizers
    inner = [
        layers.InputLayer(shape=(7,), name="input_layer"),
        layers.Dense(5, "tanh", kernel_initializer=initializers.VarianceScaling(2.0, "fan_out", seed=3), name="first"),
        layers.BatchNormalization(center=False, epsilon=0.25, name="inner_normalization"),
    ]
    penalties = {"kernel_regularizer": regularizers.L1(0.25), "bias_regularizer": regularizers.L1L2(0.5, 0.25)}
    model = module.models.Sequential(
        [
            layers.InputLayer(shape=(4, 6), name="input_layer"),
            layers.Rescaling(0.5, offset=1, name="rescaled"),
            layers.Reshape((3, -1), name="reshaped"),
            layers.Flatten(name="flat"),
            layers.Dense(7, use_bias=False, kernel_regularizer="l2", name="without_bias"),
            layers.BatchNormalization(scale=False, momentum=0.5, name="normalization"),
            layers.LeakyReLU(0.25, name="leaky"),
            layers.Dropout(0.5, seed=3, name="dropout"),
            module.models.Sequential(inner, name="inner", **options),
            layers.ELU(0.5, name="elu"),
            layers.Dense(3, bias_initializer=initializers.Constant(0.5), **penalties, name="last"),
            layers.ReLU(name="relu"),
            layers.Activation("softplus", name="softplus"),
            layers.Softmax(name="softmax"),
        ],
        name="everything",
        **options,
    )
    rate = module.optimizers.schedules.PiecewiseConstantDecay([2, 5], [0.5, 0.25, 0.125])
    loss = module.losses.CategoricalCrossentropy(label_smoothing=0.25)
    model.compile(module.optimizers.Adam(rate, amsgrad=True), loss, metrics=["accuracy", "mse"])
    return model


def trained(module: Any, **options: Any) -> Any:
    """Return the model after some training steps."""
    rng, model = np.random.default_rng(4), model_of_everything(module, **options)
    model.run_eagerly = module is keras and FRAMEWORK == "tensorflow"  # without the time to compile a graph
    model.set_weights([rng.uniform(0.1, 1, np.shape(W)).astype("float32") for W in model.get_weights()])
    x, y = rng.normal(size=(STEPS, 8, 4, 6)).astype("float32"), np.eye(3, dtype="float32")[rng.integers(3, size=8)]
    for batch in x:
        model.train_on_batch(batch, y)
    return model


@lru_cache
def keras_model() -> Any:
    """Return Keras's model after some training steps."""
    return trained(keras)


def arrays(model: Any) -> list[Array]:
    """Return the weights of a model of either program, and the arrays of its optimizer."""
    if isinstance(model, keras.Sequential):
        variables = [to_numpy(variable) for variable in model.optimizer.variables]
        return [*model.get_weights(), *(array for array in variables if array.ndim)]
    return [*model.get_weights(), *model.optimizer.state_arrays(model.params)]


def check_descriptions(ours: Any) -> Iterator[Comparison]:
    """Configs and JSON of one program create the other's model, and those of an object an equal one."""
    theirs = keras_model()
    for name, found in {
        "Keras of scratch's config": keras.Sequential.from_config(ours.get_config()),
        "Keras of scratch's JSON": keras.models.model_from_json(ours.to_json()),
    }.items():
        yield equal(f"{name}: layers", found.get_config(), theirs.get_config())
    yield equal("Keras of scratch's JSON: is compiled", found.compiled, True)
    optimizer = {**found.optimizer.get_config(), "name": theirs.optimizer.name}  # whose name is automatic
    yield equal("optimizer of scratch's JSON", optimizer, theirs.optimizer.get_config())
    yield equal("loss of scratch's JSON", found.loss.get_config(), theirs.loss.get_config())
    for name, model in {
        "scratch of Keras's config": scratch.Sequential.from_config(theirs.get_config()),
        "scratch of Keras's JSON": scratch.models.model_from_json(theirs.to_json()),
        "clone": scratch.models.clone_model(ours),
    }.items():
        yield equal(f"{name}: layers", model.get_config(), ours.get_config())
    yield equal("optimizer of the clone", model.optimizer.get_config(), ours.optimizer.get_config())
    for package, name, settings in OBJECTS:
        modules: tuple[ModuleType, ...] = getattr(scratch, package), getattr(keras, package)
        mine, keras_object = (getattr(module, name)(**settings) for module in modules)
        again = type(mine).from_config(mine.get_config()).get_config()
        for key, value in settings.items():
            yield equal(f"{package}.{name}: {key}", (again[key], keras_object.get_config()[key]), (value, value))


def check_archives(ours: Any, backend: str) -> Iterator[Comparison]:
    """An archive saved in the middle of a training holds, bit for bit, all weights and the optimizer's arrays."""
    with tempfile.TemporaryDirectory() as folder:
        path, other = Path(folder, "ours.keras"), Path(folder, "theirs.keras")
        scratch.models.save_model(ours, path)
        keras_model().save(other)
        loaded = {
            "Keras of scratch's archive": (keras.models.load_model(path), ours),
            "scratch of Keras's archive": (scratch.models.load_model(other, backend=backend), keras_model()),
            "scratch of its own archive": (scratch.models.load_model(path, backend=backend), ours),
        }
    for name, (model, saved) in loaded.items():
        yield equal(f"{name}: steps", int(model.optimizer.iterations), STEPS)
        for i, (found, expected) in enumerate(zip(arrays(model), arrays(saved), strict=True)):
            yield same(f"{name}: array {i}", found, expected)


def check_files(backend: str) -> Iterator[Comparison]:
    """Configs, JSON and archives of a model with every layer, and the configs of objects."""
    ours = trained(scratch, backend=backend)
    yield from check_descriptions(ours)
    yield from check_archives(ours, backend)

"""Structure: names, shapes, dtypes, parameter counts, and the text of ``summary()``."""

from functools import lru_cache
from typing import Any

import keras
import numpy as np

import scratch
from keras_impl.frameworks import FRAMEWORK
from parity_tests.comparison import Comparison, compare, equal
from parity_tests.reference.error_model import ELEMENTARY, Rounding

SUMMARY_WIDTHS = 60, 76, 88
SAMPLES = 7
VARIED_X = np.arange(-24.0, 24, dtype="float32").reshape(2, 4, 6)  # without the last axis, which both programs add


def article_model(module: Any, **options: Any) -> Any:
    """Return the article's network in scratch or Keras, followed by a Flatten layer, with automatic names."""
    module.utils.clear_session()
    model = module.models.Sequential(**options)
    layers = module.layers
    for units, activation in ((256, "relu"), (100, "relu"), (10, "softmax")):
        if module is keras:
            if not model.layers:
                model.add(keras.Input((784,)))
            model.add(layers.Dense(units=units))
        else:
            model.add(layers.Dense(units=units, input_shape=None if model.layers else (784,)))
        model.add(layers.Activation(activation))
    model.add(layers.Flatten())
    model.compile(loss="categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
    return model


def varied_model(module: Any, **options: Any) -> Any:
    """Return a network of the other layers in scratch or Keras, with automatic names."""
    module.utils.clear_session()
    layers = module.layers
    model = module.models.Sequential(
        [
            layers.InputLayer((4, 6, 1)),
            layers.Rescaling(0.5, offset=1),
            layers.Reshape((3, -1)),
            layers.Reshape([8, 3]),
            layers.Flatten(),
            layers.LeakyReLU(),
            layers.ELU(),
            layers.BatchNormalization(scale=False),
            layers.Dropout(0.5),
            layers.BatchNormalization(center=False, momentum=0.5),
        ],
        **options,
    )
    model.compile(loss="categorical_crossentropy", optimizer="sgd")
    return model


def unbuilt_summary(module: Any) -> str:
    """Return the summary of a model whose input is unknown."""
    layers, texts = module.layers, list[str]()
    module.utils.clear_session()
    parts = [layers.Dropout(0.5), layers.Rescaling(2), layers.Reshape((2,)), layers.LeakyReLU(), layers.ELU()]
    inner = module.models.Sequential([layers.Dense(3)])
    model = module.models.Sequential([*parts, layers.BatchNormalization(), inner])
    model.summary(print_fn=texts.append, line_length=60)
    return texts[0]


def structure(model: Any) -> dict[str, object]:
    """Return names, shapes, dtypes and counts, and the summary at several widths."""
    texts: list[str] = []
    for width in SUMMARY_WIDTHS:
        model.summary(print_fn=texts.append, line_length=width)
    return {
        "layer names": [model.name, *(layer.name for layer in model.layers)],
        "layer classes": [type(layer).__name__ for layer in model.layers],
        "parameters of each layer": [layer.count_params() for layer in model.layers],
        "parameters": model.count_params(),
        "weight shapes": [W.shape for W in model.get_weights()],
        "weight dtypes": [str(W.dtype) for W in model.get_weights()],
        "input and output shape": (model.input_shape, model.output_shape),
        "summary": "\n".join(texts),
    }


@lru_cache
def keras_varied_structure() -> tuple[dict[str, object], np.ndarray]:
    """Return the structure of Keras's varied model, and its outputs."""
    model = varied_model(keras)
    return structure(model), model.predict(VARIED_X, verbose=0)


@lru_cache
def keras_structure() -> tuple[dict[str, object], dict[str, object]]:
    """Return the structure of Keras's model before and after a training step."""
    model = article_model(keras)
    before = structure(model)
    model.train_on_batch(np.zeros((SAMPLES, 784), "float32"), np.eye(10, dtype="float32")[:SAMPLES])
    return before, structure(model)


def check_structure(backend: str) -> list[Comparison]:
    """Names, shapes, dtypes, counts and summary are Keras's, before and after a training step."""
    model = article_model(scratch, backend=backend)
    before = structure(model)
    model.train_on_batch(np.zeros((SAMPLES, 784)), np.eye(10)[:SAMPLES])
    after = structure(model)
    if FRAMEWORK != "tensorflow":  # on JAX and torch Keras counts its iterations in 4 bytes instead of 8
        after["summary"] = str(after["summary"]).replace("(12.00 B)", "(8.00 B)").replace("(889.35 KB)", "(889.34 KB)")
    keras_before, keras_after = keras_structure()
    rows = [equal(f"{name} before training", value, keras_before[name]) for name, value in before.items()]
    rows += [equal(f"{name} after training", value, keras_after[name]) for name, value in after.items()]
    varied = varied_model(scratch, backend=backend)
    expected, outputs = keras_varied_structure()
    rows += [equal(f"{name} of the other layers", value, expected[name]) for name, value in structure(varied).items()]
    rows.append(
        equal("summary of other layers before they are built", unbuilt_summary(scratch), unbuilt_summary(keras))
    )
    # Each normalization has at most seven roundings, in both programs together; ELU has an exponential near 1.
    u = Rounding("float32").u
    bound = 14 * u * np.abs(outputs) + 2 * ELEMENTARY * u
    return [*rows, compare("outputs of the other layers", varied.predict(VARIED_X, verbose=0), outputs, bound)]

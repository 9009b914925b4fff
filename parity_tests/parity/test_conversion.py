"""Conversion: models and weights from scratch to Keras and back, and what has no counterpart.

The layers of Keras that neither a conversion nor a file supports are listed in ``test_keras_unsupported``.
"""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as kl

import keras_impl
from keras_impl.convert import compile_arguments
from keras_impl.frameworks import FRAMEWORK
from parity_tests.reference.cases import SPARSE, Case
from scratch import initializers, layers, losses
from scratch.models import Sequential
from scratch.optimizers import SGD


def every_layer() -> Sequential:
    """Return a network with each class of layer."""
    return Sequential(
        [
            layers.Input((4, 3)),
            layers.Flatten(),
            layers.Dense(7, "tanh", use_bias=False),
            layers.Activation("sigmoid"),
            layers.Dense(6),
            layers.ReLU(),
            layers.Dense(5, name="mine"),
            layers.Softmax(),
        ]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"] if FRAMEWORK == "tensorflow" else ["float32"])
def test_round_trip_of_a_model(dtype: str, rng: np.random.Generator) -> None:
    model = every_layer() if dtype == "float32" else Sequential([layers.Dense(3, input_shape=(4,))], dtype=dtype)
    x = rng.normal(size=(5, *model.input_shape[1:])).astype(dtype)
    converted = keras_impl.to_keras(model)
    back = keras_impl.to_scratch(converted, backend="numpy")
    assert [layer.name for layer in model.layers] == [layer.name for layer in converted.layers]
    assert [layer.name for layer in model.layers] == [layer.name for layer in back.layers]
    assert [type(layer) for layer in model.layers] == [type(layer) for layer in back.layers]
    assert (model.name, model.input_shape) == (converted.name, converted.input_shape) == (back.name, back.input_shape)
    assert back.backend == "numpy"
    for a, b, c in zip(model.get_weights(), converted.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    np.testing.assert_allclose(converted.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(keras_impl.to_scratch(converted).predict(x, verbose=0), model.predict(x, verbose=0))


def test_compile_arguments_are_converted(rng: np.random.Generator) -> None:
    model = Sequential([layers.Dense(4, "relu", input_shape=(3,)), layers.Dense(2)])
    optimizer = SGD(0.5, 0.25, nesterov=True, weight_decay=0.125, clipnorm=2.0)
    model.compile(
        optimizer, losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.5), metrics=["accuracy"]
    )
    converted = keras_impl.to_keras(model)
    config = converted.optimizer.get_config()
    assert float(config["learning_rate"]) == 0.5
    for name in ("momentum", "nesterov", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm"):
        assert config[name] == getattr(optimizer, name)
    x, y = rng.normal(size=(6, 3)).astype("float32"), np.eye(2)[[0, 1, 0, 1, 1, 0]]
    for _ in range(3):
        np.testing.assert_allclose(model.train_on_batch(x, y), converted.train_on_batch(x, y), rtol=1e-5)
    for a, b in zip(model.get_weights(), converted.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_gradients_have_the_same_shapes() -> None:
    case = Case((6, 4), ("tanh", "softmax"), loss=SPARSE)
    loss, gradients = keras_impl.gradients(case.keras_model(), case.x, case.y)
    expected = case.scratch_model().gradients(case.x, case.y)
    assert loss == pytest.approx(expected[0], rel=1e-6)
    assert [g.shape for g in gradients] == [g.shape for g in expected[1]] == [W.shape for W in case.data[2]]


def test_unbuilt_model_stays_unbuilt() -> None:
    converted = keras_impl.to_keras(Sequential([layers.Dense(3)]))
    assert not converted.built
    assert not keras_impl.to_scratch(keras.Sequential([keras.layers.Dense(3)])).built


def test_copy_weights_of_other_shapes_changes_nothing() -> None:
    source, target = Sequential([layers.Dense(3, input_shape=(4,))]), keras_impl.build_model((5,), 4, 3)
    before = target.get_weights()
    with pytest.raises(ValueError, match=r"has weights of shapes \[\(4, 5\), .* got \[\(4, 3\), \(3,\)\] from"):
        keras_impl.copy_weights(source, target)
    for a, b in zip(before, target.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def normalized() -> keras.Sequential:
    """Return a compiled model with weights that scratch does not have."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.PReLU(name="n"), keras.layers.Dense(2)])
    model.compile("sgd", "categorical_crossentropy")
    return model


def test_unbuilt_model_keeps_its_initializers() -> None:
    converted = keras_impl.to_keras(Sequential([layers.Dense(3, kernel_initializer="ones", bias_initializer="ones")]))
    back = keras_impl.to_scratch(converted)
    x = np.ones((1, 4), "float32")
    np.testing.assert_array_equal(converted.predict(x, verbose=0), np.full((1, 3), 5.0, "float32"))
    np.testing.assert_array_equal(back(x), np.full((1, 3), 5.0, "float32"))


def test_seeds_and_arguments_of_initializers_are_converted() -> None:
    first = layers.Dense(3, kernel_initializer=initializers.HeNormal(seed=3), bias_initializer="lecun_uniform")
    second = layers.Dense(3, kernel_initializer=initializers.VarianceScaling(2.0, "fan_out", "uniform", 4))
    ours = Sequential([first, second])
    back = keras_impl.to_scratch(keras_impl.to_keras(ours))
    for a, b in zip(ours.layers, back.layers, strict=True):
        assert (repr(a.kernel_initializer), repr(a.bias_initializer)) == (
            repr(b.kernel_initializer),
            repr(b.bias_initializer),
        )
    for model in (ours, back):
        model.build((None, 4))
    np.testing.assert_array_equal(ours.get_weights()[0], back.get_weights()[0])
    negative = keras.initializers.HeNormal(seed=-1)  # valid in Keras only
    generator = keras.initializers.HeNormal(seed=keras.random.SeedGenerator(1))
    for theirs in (negative, generator):
        converted = keras_impl.to_scratch(keras.Sequential([keras.layers.Dense(2, kernel_initializer=theirs)]))
        assert repr(converted.layers[0].kernel_initializer) == "HeNormal(seed=None)"


class Mine(layers.Layer):
    """A layer class that Keras does not have."""


@pytest.mark.parametrize(
    ("convert", "model", "message"),
    [
        (
            keras_impl.to_keras,
            lambda: Sequential([Mine(name="own")]),
            "The layer 'own' is a Mine, which has no counterpart in Keras",
        ),
        (
            keras_impl.to_scratch,
            lambda: keras.Sequential([keras.layers.Dense(3, lambda x: 2 * x, name="d")]),
            r"The layer 'd' \(Dense\) has activation='<lambda>'",
        ),
        (
            keras_impl.to_scratch,
            lambda: keras.Sequential([keras.layers.Dense(3, kernel_initializer=keras.initializers.STFT(), name="d")]),
            r"The layer 'd' \(Dense\) has kernel_initializer='STFT'",
        ),
        (
            keras_impl.to_keras,
            lambda: Sequential([layers.Dense(3, bias_initializer=lambda shape, rng: np.ones(shape), name="d")]),
            "The layer 'd': bias_initializer is a function that Keras does not have",
        ),
        (keras_impl.to_keras, lambda: "model", "to_keras expects a scratch Sequential; got str"),
        (lambda m: keras_impl.copy_weights(m, "x"), lambda: keras_impl.build_model((2,), 3, 2), "got str"),
        (lambda m: keras_impl.copy_weights(m, m), lambda: Sequential([layers.Dense(3)]), "has no weights yet"),
        (lambda m: keras_impl.trace(m, 0, 0), lambda: "model", r"trace expects a keras\.Sequential; got str"),
        (lambda m: keras_impl.trace(m, np.ones((2, 3)), 0), normalized, "Layer 'n' can't be traced"),
        (keras_impl.to_scratch, lambda: "model", r"to_scratch expects a keras\.Sequential; got str"),
        (lambda m: keras_impl.trace(m, 0, 0), lambda: keras.Sequential([keras.layers.Dense(3)]), "built and compiled"),
    ],
)
def test_models_without_a_counterpart(convert: Any, model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convert(model())


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
        (
            lambda: Dense(2, name="d"),
            "layer 'd' is a 'Dense' of 'parity_tests.parity.test_conversion'.*does not support",
        ),
        (lambda: NoConfig(object(), name="n"), r"layer 'n' \(NoConfig\) has no config"),
        (lambda: kl.Dense(2, bias_initializer=keras.initializers.RandomNormal(stddev=-1.0), name="d"), "got -1.0"),
    ],
)
def test_layers_of_the_user_and_initializers_that_scratch_does_not_have(layer: type[kl.Layer], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        keras_impl.to_scratch(keras.Sequential([layer()]))
    assert "\n" not in str(error.value)


def test_losses_and_optimizers_that_keras_does_not_have() -> None:
    class MyLoss(losses.CategoricalCrossentropy):
        pass

    class MyOptimizer(SGD):
        pass

    for optimizer, loss, message in (
        (SGD(), MyLoss(), "The loss is a MyLoss, which has no counterpart in Keras"),
        (
            MyOptimizer(),
            losses.CategoricalCrossentropy(),
            "The optimizer is a MyOptimizer, which has no counterpart in Keras",
        ),
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


@pytest.mark.slow
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

"""Invalid arguments raise one sentence that names the argument, and change nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scratch import initializers, losses, metrics, optimizers
from scratch.callbacks import CSVLogger, EarlyStopping, LambdaCallback
from scratch.layers import ACTIVATIONS, Activation, BatchNormalization, Dense, Flatten, Input, ReLU
from scratch.models import Sequential
from scratch.optimizers import SGD, Adam, RMSprop
from scratch.optimizers.schedules import ExponentialDecay
from scratch.sample_weights import weights_of
from scratch.utils import set_random_seed, to_categorical

X, Y = np.ones((6, 4)), np.eye(3)[[0, 1, 2, 0, 1, 2]]


def relu(z: np.ndarray) -> np.ndarray:
    """Stand for a function of the user's, which layers cannot tell from any other."""
    return np.maximum(z, 0)


def classifier() -> Sequential:
    model = Sequential([Dense(5, "relu", input_shape=(4,)), Dense(3, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


KNOWN_ACTIVATIONS, KNOWN_LOSSES, KNOWN_METRICS = map(", ".join, (ACTIVATIONS, losses.LOSSES, metrics.METRICS))
LAYERS = [
    (lambda: Dense(0), "units must be an integer, 1 or more; got 0"),
    (lambda: Dense(-1), "units must be"),
    (lambda: Dense(2.0), "units must be"),
    (lambda: Dense("8"), "units must be an integer, 1 or more; got '8'"),
    (lambda: Dense(2, "rleu"), f"Unknown activation 'rleu': choose one of {KNOWN_ACTIVATIONS}"),
    (lambda: Activation("gelu"), f"Unknown activation 'gelu': choose one of {KNOWN_ACTIVATIONS}"),
    (lambda: Dense(2, relu), r"^activation must be a name; got relu: pass activation='relu'\.$"),
    (lambda: Activation(relu), r"^activation must be a name; got relu: pass activation='relu'\.$"),
    (lambda: Dense(2, np.sin), f"^activation must be a name; got sin: choose one of {KNOWN_ACTIVATIONS}"),
    (lambda: Dense(2, ReLU()), r"^activation must be a name; got ReLU: list the layer in the model, after this one\.$"),
    (lambda: optimizers.get(SGD), r"^optimizer must be a name; got SGD: pass optimizer='sgd'\.$"),
    (lambda: Dense(2, kernel_initializer="xavier"), "Unknown initializer 'xavier': choose one of glorot_uniform, "),
    (lambda: initializers.get(3), "Unknown initializer 3"),
    (lambda: initializers.get(["zeros"]), r"Unknown initializer \['zeros'\]"),
    (lambda: initializers.HeNormal(seed=-1), "seed must be an integer, 0 or more; got -1"),
    (lambda: initializers.HeNormal(seed=True), "seed must be an integer, 0 or more; got True"),
    (lambda: initializers.RandomNormal(stddev=-1), "stddev must be a finite number, 0 or more; got -1"),
    (lambda: initializers.RandomUniform(1, 0), r"maxval must be minval or more, 1; got 0\."),
    (lambda: initializers.Constant("1"), "value must be a finite number; got '1'"),
    (lambda: initializers.Orthogonal(float("nan")), "gain must be a finite number; got nan"),
    (lambda: initializers.VarianceScaling(0), "scale must be greater than 0; got 0"),
    (lambda: initializers.VarianceScaling(mode="fan"), "Unknown mode 'fan': choose one of fan_in, fan_out, fan_avg"),
    (lambda: initializers.VarianceScaling(distribution=3), "Unknown distribution 3: choose one of truncated_normal, "),
    (lambda: initializers.Identity()((3,)), r"Identity is for kernels, .* got the shape \(3,\): choose another one"),
    (lambda: Dense(2, dtype="int8"), "dtype must be 'float32' or 'float64'; got 'int8'"),
    (lambda: Dense(2, input_shape=784), r"input_shape must be a tuple such as \(784,\)"),
    (lambda: Dense(2, input_shape=(0,)), "each entry of input_shape must be an integer"),
    (lambda: Input(()), r"shape must be a tuple"),
    (lambda: Input(None), r"shape must be a tuple such as \(784,\), the shape of one sample; got None"),
    (lambda: Dense(2, name="a/b"), "The name of a layer or model cannot contain '/'; got 'a/b': choose another"),
    (lambda: setattr(Dense(2), "name", "a/b"), "The name of a layer or model cannot contain '/'; got 'a/b'"),
    (lambda: Dense(2).count_params(), "Layer 'dense' has no weights yet"),
]
MODELS = [
    (lambda: Sequential(backend="cuda"), "Unknown backend 'cuda': choose one of numpy, numba"),
    (lambda: Sequential(name="a/b"), "The name of a layer or model cannot contain '/'; got 'a/b'"),
    (lambda: Sequential(dtype="float16"), "dtype must be 'float32' or 'float64'"),
    (lambda: Sequential(Dense(2)), "layers must be a list; got Dense"),
    (
        lambda: Sequential([Dense(2, name="loss")]),
        "A layer cannot be named 'loss', the name of the loss in a trace; choose",
    ),
    (lambda: Sequential(["relu"]), r"A model is made of layers, such as Dense\(10\); got 'relu'"),
    (lambda: Sequential([Dense(2, name="a"), Dense(2, name="a")]), "The model already has a layer named 'a'"),
    (lambda: Sequential([Dense(2), Input((3,))]), "Input must be the first"),
    (lambda: Sequential([Input((3,)), Input((3,))]), "Input must be the first"),
    (lambda: Sequential([Input((28, 28)), Dense(2)]), r"Layer 'dense' expects .* got \(None, 28, 28\). Put Flatten"),
    (
        lambda: Sequential([Dense(5, input_shape=(4,)), Dense(3, input_shape=(7,))]),
        r"Layer 'dense_1' expects input of shape \(None, 7\); got \(None, 5\)",
    ),
    (
        lambda: Sequential([Input((4,)), Flatten(input_shape=(5,))]),
        r"Layer 'flatten' expects input of shape \(None, 5\)",
    ),
    (
        lambda: Sequential([Dense(2, kernel_initializer=lambda shape, rng: np.ones(3), input_shape=(4,))]),
        r"The initializer of 'W' in layer 'dense' must give \(4, 2\); got \(3,\)",
    ),
    (lambda: Sequential().pop(), "Cannot pop from model 'sequential': there are no layers in the model"),
    (lambda: Sequential()(X), "Model 'sequential' has no layers; add one"),
    (lambda: Sequential([Dense(2)]).count_params(), "Model 'sequential' has no weights yet"),
    (lambda: classifier().set_weights(None), "Model 'sequential' has 4 weight arrays; got 0"),
    (lambda: classifier().set_weights([[[1], [1, 2]], 0, 0, 0]), "the weight 'dense/W' must be a rectangular array"),
    (lambda: classifier().set_weights(X), "weights must be a list; got ndarray"),
    (
        lambda: Sequential([Dense(2, name="d"), Flatten()]).set_weights([X]),
        "Model 'sequential' has 0 weight arrays; got 1. Build",
    ),
    (lambda: classifier().summary(line_length="a"), "line_length must be an integer"),
    (
        lambda: classifier().summary(line_length=8),
        "line_length must leave 4 characters for each of three columns; got 8",
    ),
]
OPTIMIZERS = [
    (lambda: SGD(-0.1), "learning_rate must be a finite number, 0 or more; got -0.1"),
    (lambda: SGD(np.nan), "learning_rate must be"),
    (lambda: SGD(np.inf), "learning_rate must be"),
    (lambda: SGD("0.1"), "learning_rate must be"),
    (lambda: SGD(momentum=2.0), "momentum must be a finite number, between 0 and 1; got 2.0"),
    (lambda: SGD(momentum=-0.5), "momentum must be"),
    (lambda: SGD(clipnorm=-1.0), "clipnorm must be"),
    (lambda: SGD(clipvalue=-1.0), "clipvalue must be"),
    (lambda: SGD(global_clipnorm=-1.0), "global_clipnorm must be"),
    (lambda: SGD(weight_decay=-1.0), "weight_decay must be"),
    (lambda: SGD(clipnorm=1.0, clipvalue=1.0), "Only one of clipnorm, clipvalue and global_clipnorm"),
    (lambda: SGD().update({"a": np.ones(2)}, {}), r"The parameter 'a' needs a gradient of shape \(2,\); got none"),
]
COMPILE = [
    (lambda: classifier().compile("nadam", "categorical_crossentropy"), "Unknown optimizer 'nadam': choose one of sgd"),
    (lambda: classifier().compile("sgd", "hinge"), f"Unknown loss 'hinge': choose one of {KNOWN_LOSSES}"),
    (lambda: classifier().compile("sgd"), "Unknown loss None"),
    (
        lambda: classifier().compile("sgd", "categorical_crossentropy", metrics=["auc"]),
        f"Unknown metric 'auc': choose one of accuracy, acc, {KNOWN_METRICS}",
    ),
    (
        lambda: classifier().compile("sgd", "categorical_crossentropy", metrics=["sparse_categorical_accuracy"]),
        "The metric 'sparse_categorical_accuracy' and the loss take different targets .*: use 'accuracy'",
    ),
    (
        lambda: classifier().compile("sgd", losses.CategoricalCrossentropy(reduction=None)),
        "compile needs a loss that is one number per batch; got one with reduction=None",
    ),
    (lambda: classifier().compile("sgd", "categorical_crossentropy", metrics=3), "metrics must be a list; got int"),
]
LOSSES = [
    (lambda: losses.CategoricalCrossentropy(reduction="max"), "Unknown reduction 'max'"),
    (lambda: losses.CategoricalCrossentropy(label_smoothing=1.5), "label_smoothing must be"),
]
UTILITIES = [
    (lambda: to_categorical([0, -1]), "x must hold class labels of 0 or more; got -1"),
    (lambda: to_categorical([0.5]), "x must hold integer class labels"),
    (
        lambda: to_categorical([3], num_classes=3),
        "to_categorical: num_classes must exceed every label; got num_classes=3 and the label 3",
    ),
    (lambda: to_categorical([]), "x must hold at least one sample"),
    (lambda: set_random_seed(-1), "seed must be an integer, 0 or more"),
    (lambda: set_random_seed("a"), "seed must be"),
    (lambda: EarlyStopping(patience=-1), "patience must be"),
    (lambda: EarlyStopping(min_delta="a"), "min_delta must be"),
    (lambda: EarlyStopping(baseline="a"), "baseline must be"),
]


@pytest.mark.parametrize(("call", "message"), LAYERS + MODELS + OPTIMIZERS + COMPILE + LOSSES + UTILITIES)
def test_invalid_argument_raises_one_sentence(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: classifier().fit(X, Y, workers=2), "workers"),
        (
            lambda: classifier().compile("sgd", "categorical_crossentropy", jit_compile=True),
            r"^scratch's compile has no argument 'jit_compile'\.$",
        ),
        (
            lambda: classifier().compile("sgd", "categorical_crossentropy", steps_per_execution=True),
            r"^scratch's compile has no argument 'steps_per_execution'\.$",
        ),
        (lambda: Dense(3, kernel_constraint="max_norm"), "kernel_constraint"),
        (lambda: Input((3,), batch_size=5), r"^scratch's Input has no argument 'batch_size'\.$"),
        (lambda: classifier().summary(60, [1]), r"^scratch's summary has no argument 'positions'\.$"),
        (lambda: Dense(3, noise_shape=None), "noise_shape"),
        (lambda: Dense(3, trainable=np.True_), "trainable"),
        (lambda: Activation("relu", trainable=False), "trainable"),
        (lambda: Sequential(trainable=False), "trainable"),
        (lambda: SGD(use_ema=True), "use_ema"),
        (lambda: classifier().summary(expand_nested=True), r"^scratch's summary has no argument 'expand_nested'\.$"),
        (lambda: losses.CategoricalCrossentropy(axis=1), "axis"),
        (lambda: Flatten(activation="relu"), "activation"),
        (lambda: LambdaCallback(on_epoch_middle=print), "on_epoch_middle"),
        (lambda: EarlyStopping(monitr="loss"), "monitr"),
    ],
)
def test_unsupported_keras_argument_raises_type_error(call: Callable[[], object], argument: str) -> None:
    with pytest.raises(TypeError, match=argument):
        call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights[:-1], r"Model 'sequential' has 4 weight arrays; got 3\.$"),
        (lambda weights: [*weights, weights[0]], "has 4 weight arrays; got 5"),
        (
            lambda weights: [*weights[:3], np.ones(4)],
            r"The weight 'dense_1/b' has shape \(3,\); got an array of shape \(4,\)",
        ),
        (lambda weights: [weights[0].T, *weights[1:]], r"The weight 'dense/W' has shape \(4, 5\)"),
        (
            lambda weights: [*weights[:3], np.array(["a", "b", "c"])],
            "the weight 'dense_1/b' must hold real numbers; got dtype <U1",
        ),
    ],
)
def test_set_weights_changes_all_weights_or_none(
    change: Callable[[list[np.ndarray]], list[np.ndarray]], message: str
) -> None:
    model = classifier()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.set_weights(change([W + 1 for W in before]))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    model.set_weights([W + 1 for W in before])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old + 1)


def test_rejected_layer_leaves_the_model_unchanged() -> None:
    model = classifier()
    for layer in (Dense(3, input_shape=(7,)), Dense(3, name="dense"), Input((4,))):
        with pytest.raises(ValueError, match=r"."):
            model.add(layer)
        assert [kept.name for kept in model.layers] == ["dense", "dense_1"]
    model.fit(X, Y, verbose=0)


def test_rejected_compile_keeps_the_optimizer_and_the_loss() -> None:
    model = classifier()
    optimizer, loss = model.optimizer, model.loss
    with pytest.raises(ValueError, match="Unknown metric"):
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["auc"])
    assert (model.optimizer, model.loss) == (optimizer, loss)


def test_optimizer_belongs_to_one_model() -> None:
    first, second = classifier(), classifier()
    optimizer = SGD()
    first.compile(optimizer, "categorical_crossentropy")
    first.compile(optimizer, "categorical_crossentropy")
    with pytest.raises(ValueError, match=r"^The optimizer belongs to another model; create a new one"):
        second.compile(optimizer, "categorical_crossentropy")
    assert second.optimizer is not optimizer


@pytest.mark.parametrize("value", [None, 2, "no", 1.0, np.array([True])])
@pytest.mark.parametrize(
    ("name", "create"),
    [
        ("use_bias", lambda value: Dense(3, use_bias=value)),
        ("nesterov", lambda value: SGD(nesterov=value)),
        ("amsgrad", lambda value: Adam(amsgrad=value)),
        ("centered", lambda value: RMSprop(centered=value)),
        ("center", lambda value: BatchNormalization(center=value)),
        ("scale", lambda value: BatchNormalization(scale=value)),
        ("from_logits", lambda value: losses.CategoricalCrossentropy(from_logits=value)),
        ("staircase", lambda value: ExponentialDecay(0.1, 10, 0.5, value)),
    ],
)
def test_flags(name: str, create: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be True or False; got "):
        create(value)


@pytest.mark.parametrize("separator", [";;", "", None])
def test_a_separator_is_one_character(separator: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^separator must be one character, such as ',' or ';'; got "):
        CSVLogger(tmp_path / "log.csv", separator)


@pytest.mark.parametrize("key", ["a", 0.5, -1, -1.0, float("nan"), float("inf"), None])
def test_a_key_of_class_weight_is_a_class(key: Any) -> None:
    with pytest.raises(ValueError, match=r"^each class of class_weight must be an integer, 0 or more; got "):
        weights_of(np.arange(3), class_weight={key: 1.0})

"""Wrong things typed on purpose: one clear sentence each, and nothing has changed afterwards."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scratch import initializers, losses
from scratch.callbacks import EarlyStopping, LambdaCallback
from scratch.layers import Activation, Dense, Flatten, Input, Softmax
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.utils import set_random_seed, to_categorical

X, Y = np.ones((6, 4)), np.eye(3)[[0, 1, 2, 0, 1, 2]]
LABELS = np.array([0, 1, 2, 0, 1, 2])


def model(loss: str = "categorical_crossentropy", compiled: bool = True) -> Sequential:
    made = Sequential([Dense(5, "relu", input_shape=(4,)), Dense(3, "softmax")])
    if compiled:
        made.compile("sgd", loss, metrics=["accuracy"])
    return made


def x_with(value: float) -> np.ndarray:
    x = X.copy()
    x[4, 2] = value
    return x


def y_with(value: float) -> np.ndarray:
    y = Y.copy()
    y[3, 1] = value
    return y


CATEGORICAL: list[tuple[Any, Any, str]] = [
    (np.ones((6, 7)), Y, r"Layer 'dense' expects input of shape \(None, 4\); got \(None, 7\)"),
    (np.ones((6, 2, 2)), Y, r"Layer 'dense' expects input of shape \(None, 4\); got \(None, 2, 2\). Put Flatten\(\)"),
    (np.ones(4), Y, r"Layer 'dense' expects input of shape \(None, 4\); got \(None,\)"),
    (X, Y[:5], "x and y must hold the same number of samples; got 6 and 5"),
    (X, np.eye(4)[LABELS], r"y must be one-hot rows of 3, one entry per unit; got shape \(6, 4\)"),
    (
        X,
        LABELS,
        r"one-hot rows of 3 .* got labels of shape \(6,\). Use to_categorical\(y\) or the loss sparse_categorical",
    ),
    (X, LABELS[:, None], r"got labels of shape \(6, 1\)"),
    (X, -Y, "y must hold one-hot rows between 0 and 1; got -1 to -0"),
    (X, Y * 1.5, "y must hold one-hot rows between 0 and 1; got 0 to 1.5"),
    (X, y_with(np.nan), r"y must hold finite numbers; got nan at index \(3, 1\)"),
    (X, y_with(np.inf), r"y must hold finite numbers; got inf at index \(3, 1\)"),
    (x_with(np.nan), Y, r"x must hold finite numbers; got nan at index \(4, 2\)"),
    (x_with(-np.inf), Y, r"x must hold finite numbers; got -inf at index \(4, 2\)"),
    (x_with(1e300), Y, r"x must hold finite numbers; got 1e\+300 at index \(4, 2\)"),
    (np.ones((0, 4)), np.ones((0, 3)), r"x must hold at least one sample; got an array of shape \(0, 4\)"),
    (X, np.ones((0, 3)), r"y must hold at least one sample"),
    (np.float64(3), Y, "x must hold at least one sample"),
    (X.astype(str), Y, "x must hold real numbers; got dtype <U32"),
    (X.astype(object), Y, "x must hold real numbers; got dtype object"),
    (X * 1j, Y, "x must hold real numbers; got dtype complex128"),
    (X, Y.astype(str), "y must hold real numbers"),
    ([[1, 2, 3, 4], [1, 2]], Y[:2], "x must be a rectangular array"),
    (None, Y, "x must hold real numbers; got dtype object"),
]
SPARSE: list[tuple[Any, Any, str]] = [
    (X, LABELS + 1, "y must hold labels from 0 to 2, one for each unit; got 3"),
    (X, LABELS - 1, "y must hold class labels of 0 or more; got -1"),
    (X, LABELS + 0.5, "y must hold integer class labels .* got 0.5"),
    (X, Y, r"y must be one label per sample .* got shape \(6, 3\). For one-hot rows use the loss 'categorical"),
    (X, np.full(6, np.nan), "y must hold finite numbers"),
    (X, LABELS[:3], "x and y must hold the same number of samples; got 6 and 3"),
]


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch", "gradients", "trace"])
@pytest.mark.parametrize(
    ("loss", "x", "y", "message"),
    [("categorical_crossentropy", *case) for case in CATEGORICAL]
    + [("sparse_categorical_crossentropy", *case) for case in SPARSE],
)
def test_bad_data(method: str, loss: str, x: Any, y: Any, message: str) -> None:
    m = model(loss)
    before = m.get_weights()
    with pytest.raises(ValueError, match=message) as error:
        getattr(m, method)(x, y)
    assert "\n" not in str(error.value)
    for a, b in zip(before, m.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert m.optimizer.iterations == 0


@pytest.mark.parametrize(("x", "message"), [(x, message) for x, y, message in CATEGORICAL if y is Y and x is not X])
def test_bad_inputs_without_targets(x: Any, message: str) -> None:
    m = model()
    for method in ("predict", "__call__", "predict_on_batch"):
        with pytest.raises(ValueError, match=message):
            getattr(m, method)(x)


def test_bad_data_does_not_build_a_deferred_model() -> None:
    m = Sequential([Dense(3, "softmax")])
    m.compile(loss="categorical_crossentropy")
    for call in (lambda: m.fit(X, LABELS), lambda: m.fit(X, Y, callbacks="no"), lambda: m.fit(X, Y, batch_size=0)):
        with pytest.raises(ValueError, match=r"."):
            call()
        assert not m.built
    m.fit(X, Y, verbose=0)
    assert m.built


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer, 1 or more; got 0"),
        ({"batch_size": -3}, "batch_size must be"),
        ({"batch_size": 2.0}, "batch_size must be an integer, 1 or more; got 2.0"),
        ({"epochs": 0}, "epochs must be"),
        ({"epochs": -1}, "epochs must be"),
        ({"epochs": 1.5}, "epochs must be"),
        ({"epochs": True}, "epochs must be"),
        ({"initial_epoch": -1}, "initial_epoch must be"),
        ({"validation_split": 1.0}, "validation_split must be at least 0 and less than 1; got 1.0"),
        ({"validation_split": -0.1}, "validation_split must be"),
        ({"validation_split": "a"}, "validation_split must be"),
        ({"validation_split": 1e-20}, "validation_split=1e-20 of 6 samples leaves none to validate on"),
        ({"validation_split": 0.99}, "validation_split=0.99 of 6 samples leaves none to train on"),
        ({"validation_data": X}, r"validation_data must be a pair \(x, y\); got ndarray"),
        ({"validation_data": (X,)}, r"validation_data must be a pair \(x, y\); got tuple"),
        ({"validation_data": (X, Y[:2])}, "validation x and validation y must hold the same number"),
        ({"validation_data": (X, LABELS)}, "validation y must be one-hot rows of 3"),
        ({"validation_data": (x_with(np.nan), Y)}, "validation x must hold finite numbers"),
        ({"validation_data": (np.ones((6, 5)), Y)}, r"Layer 'dense' expects input of shape \(None, 4\)"),
        ({"verbose": 3}, "verbose must be 'auto', 0, 1 or 2; got 3"),
        ({"callbacks": [print]}, "callbacks must hold Callback objects"),
        ({"callbacks": 3}, "callbacks must be a list; got int"),
    ],
)
def test_bad_arguments_of_fit(options: dict[str, Any], message: str) -> None:
    m = model()
    before = m.get_weights()
    with pytest.raises(ValueError, match=f"^{message}"):
        m.fit(X, Y, **options)
    for a, b in zip(before, m.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer, 1 or more; got 0"),
        ({"verbose": 3}, "verbose must be 'auto', 0, 1 or 2; got 3"),
        ({"callbacks": "no"}, "callbacks must be a list; got str"),
    ],
)
def test_bad_arguments_of_evaluate_and_predict(options: dict[str, Any], message: str) -> None:
    for call in (lambda: model().evaluate(X, Y, **options), lambda: model().predict(X, **options)):
        with pytest.raises(ValueError, match=f"^{message}"):
            call()


KNOWN_ACTIVATIONS = "linear, relu, sigmoid, softmax, tanh"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dense(0), "units must be an integer, 1 or more; got 0"),
        (lambda: Dense(-1), "units must be"),
        (lambda: Dense(2.0), "units must be"),
        (lambda: Dense("8"), "units must be an integer, 1 or more; got '8'"),
        (lambda: Dense(2, "rleu"), f"Unknown activation 'rleu': choose one of {KNOWN_ACTIVATIONS}"),
        (lambda: Activation("gelu"), f"Unknown activation 'gelu': choose one of {KNOWN_ACTIVATIONS}"),
        (lambda: Activation(None), "Unknown activation None"),
        (lambda: Dense(2, kernel_initializer="xavier"), "Unknown initializer 'xavier': choose one of glorot_uniform, "),
        (lambda: initializers.get(3), "Unknown initializer 3"),
        (lambda: Dense(2, dtype="int8"), "dtype must be 'float32' or 'float64'; got 'int8'"),
        (lambda: Dense(2, input_shape=784), r"input_shape must be a tuple such as \(784,\)"),
        (lambda: Dense(2, input_shape=(0,)), "each entry of input_shape must be an integer"),
        (lambda: Input(()), r"shape must be a tuple"),
        (lambda: Input(None), r"shape must be a tuple such as \(784,\), the shape of one sample; got None"),
        (lambda: Sequential(backend="cuda"), "Unknown backend 'cuda': choose one of numpy, numba"),
        (lambda: Sequential(dtype="float16"), "dtype must be 'float32' or 'float64'"),
        (lambda: Dense(2)(x_with(np.nan)), "x must hold finite numbers"),
        (lambda: Dense(2)(x_with(1e300)), "x must hold finite numbers"),
        (lambda: Sequential(Dense(2)), "layers must be a list; got Dense"),
        (
            lambda: Sequential([Dense(2, name="loss")]),
            "A layer cannot be named 'loss', the name of the loss in a trace; choose",
        ),
        (lambda: Sequential(["relu"]), r"A model is made of layers, such as Dense\(10\); got 'relu'"),
        (lambda: Sequential([Dense(2, name="a"), Dense(2, name="a")]), "The model already has a layer named 'a'"),
        (lambda: Sequential([Dense(2), Input((3,))]), "Input must be the first"),
        (lambda: Sequential([Input((3,)), Input((3,))]), "Input must be the first"),
        (
            lambda: Sequential([Input((28, 28)), Dense(2)]),
            r"Layer 'dense' expects .* got \(None, 28, 28\). Put Flatten",
        ),
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
        (lambda: Dense(2).count_params(), "Layer 'dense_?1?' has no weights yet"),
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
        (lambda: model().compile("adam", "categorical_crossentropy"), "Unknown optimizer 'adam': choose one of sgd"),
        (lambda: model().compile("sgd", "mse"), "Unknown loss 'mse': choose one of categorical_crossentropy, sparse_"),
        (lambda: model().compile("sgd"), "Unknown loss None"),
        (
            lambda: model().compile("sgd", "categorical_crossentropy", metrics=["auc"]),
            "Unknown metric 'auc': choose one of accuracy, acc, categorical_accuracy, sparse_categorical_accuracy",
        ),
        (
            lambda: model().compile("sgd", "categorical_crossentropy", metrics=["accuracy"] * 2),
            "The metric 'accuracy' is listed twice",
        ),
        (
            lambda: model().compile("sgd", "categorical_crossentropy", metrics=["sparse_categorical_accuracy"]),
            "The metric 'sparse_categorical_accuracy' and the loss take different targets .*: use 'accuracy'",
        ),
        (
            lambda: model().compile("sgd", losses.CategoricalCrossentropy(reduction=None)),
            "compile needs a loss that is one number per batch; got one with reduction=None",
        ),
        (lambda: model().compile("sgd", "categorical_crossentropy", metrics=3), "metrics must be a list; got int"),
        (lambda: model().set_weights(None), "Model 'sequential' has 4 weight arrays; got 0"),
        (lambda: model().set_weights([[[1], [1, 2]], 0, 0, 0]), "the weight 'dense/W' must be a rectangular array"),
        (lambda: SGD().update({"a": np.ones(2)}, {}), r"The parameter 'a' needs a gradient of shape \(2,\); got none"),
        (lambda: losses.CategoricalCrossentropy(reduction="max"), "Unknown reduction 'max'"),
        (lambda: losses.CategoricalCrossentropy(label_smoothing=1.5), "label_smoothing must be"),
        (lambda: losses.CategoricalCrossentropy()(Y, X), r"y_true must be one-hot rows of 4"),
        (lambda: losses.CategoricalCrossentropy()(Y, y_with(np.nan)), "y_pred must hold finite numbers"),
        (lambda: losses.CategoricalCrossentropy().check_targets(LABELS, (None, 3)), "y must be one-hot rows of 3"),
        (lambda: losses.SparseCategoricalCrossentropy().check_targets(Y, (None, 3)), "y must be one label per sample"),
        (lambda: losses.CategoricalCrossentropy()(Y[:3], Y), "y_true and y_pred must hold the same number"),
        (
            lambda: losses.CategoricalCrossentropy()(LABELS, LABELS),
            r"The loss expects outputs of shape \(None, units\)",
        ),
        (lambda: model().set_weights(X), "weights must be a list; got ndarray"),
        (
            lambda: Sequential([Dense(2, name="d"), Flatten()]).set_weights([X]),
            "Model 'sequential' has 0 weight arrays; got 1. Build",
        ),
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
        (lambda: model().summary(line_length="a"), "line_length must be an integer"),
        (
            lambda: model().summary(line_length=8),
            "line_length must leave 4 characters for each of three columns; got 8",
        ),
    ],
)
def test_bad_arguments(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as error:
        call()
    assert "\n" not in str(error.value)


METHODS = ["fit", "evaluate", "train_on_batch", "test_on_batch", "train_step", "trace"]


@pytest.mark.parametrize(("method", "named"), [("gradients", "trace"), *zip(METHODS, METHODS, strict=True)])
def test_before_compile(method: str, named: str) -> None:
    with pytest.raises(ValueError, match=rf"^Call compile\(optimizer, loss, metrics=…\) before {named}\(\)\.$"):
        getattr(model(compiled=False), method)(X, Y)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: model().fit(X, Y, class_weight={0: 2.0}), "class_weight"),
        (lambda: model().compile("sgd", "categorical_crossentropy", jit_compile=True), "jit_compile"),
        (lambda: Dense(3, kernel_regularizer="l2"), "kernel_regularizer"),
        (lambda: Activation("relu", trainable=False), "trainable"),
        (lambda: Sequential(trainable=False), "trainable"),
        (lambda: SGD(use_ema=True), "use_ema"),
        (lambda: model().summary(expand_nested=True), "expand_nested"),
        (lambda: losses.CategoricalCrossentropy(axis=1), "axis"),
        (lambda: Flatten(activation="relu"), "activation"),
        (lambda: LambdaCallback(on_epoch_middle=print), "on_epoch_middle"),
        (lambda: EarlyStopping(monitr="loss"), "monitr"),
    ],
)
def test_unsupported_keras_arguments(call: Callable[[], object], argument: str) -> None:
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
def test_set_weights_changes_all_or_nothing(
    change: Callable[[list[np.ndarray]], list[np.ndarray]], message: str
) -> None:
    m = model()
    before = m.get_weights()
    with pytest.raises(ValueError, match=message):
        m.set_weights(change([W + 1 for W in before]))
    for a, b in zip(before, m.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    m.set_weights([W + 1 for W in before])
    for a, b in zip(before, m.get_weights(), strict=True):
        np.testing.assert_array_equal(a + 1, b)


def test_a_refused_layer_leaves_the_model_as_it_was() -> None:
    m = model()
    for layer in (Dense(3, input_shape=(7,)), Dense(3, name="dense"), Input((4,))):
        with pytest.raises(ValueError, match=r"."):
            m.add(layer)
        assert [kept.name for kept in m.layers] == ["dense", "dense_1"]
    m.fit(X, Y, verbose=0)


def test_a_refused_compile_leaves_the_old_one() -> None:
    m = model()
    optimizer, loss = m.optimizer, m.loss
    with pytest.raises(ValueError, match="Unknown metric"):
        m.compile("sgd", "sparse_categorical_crossentropy", metrics=["auc"])
    assert (m.optimizer, m.loss) == (optimizer, loss)


def test_an_optimizer_serves_one_model() -> None:
    first, second = model(), model()
    optimizer = SGD()
    first.compile(optimizer, "categorical_crossentropy")
    first.compile(optimizer, "categorical_crossentropy")
    with pytest.raises(ValueError, match=r"^The optimizer holds the velocities of another model"):
        second.compile(optimizer, "categorical_crossentropy")
    assert second.optimizer is not optimizer


def test_a_loss_that_is_not_finite_is_explained_once() -> None:
    m = Sequential([Dense(5, "relu", input_shape=(4,)), Dense(3, "softmax")])
    m.compile(SGD(1e30), "categorical_crossentropy")
    message = r"epoch \d+, batch \d+; the first tensor with NaN or infinity is 'dense(_1)?/out'"
    with pytest.warns(UserWarning, match=message) as warned:
        m.fit(X, Y, batch_size=2, epochs=3, verbose=0)
    assert len(warned) == 1  # and none of NumPy's own


def test_a_validation_loss_that_is_not_finite_is_explained() -> None:
    m = Sequential([Dense(5, input_shape=(4,)), Dense(3, "softmax")])
    m.compile(SGD(1e30), "categorical_crossentropy")
    with pytest.warns(UserWarning, match=r"validation after epoch 1; .* is 'dense(_1)?/out'") as warned:
        m.fit(X, Y, batch_size=6, epochs=3, validation_data=(X, Y), verbose=0)
    assert len(warned) == 1


def test_validation_samples_must_be_like_the_others() -> None:
    m = Sequential([Dense(3, "softmax")])
    m.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ValueError, match=r"validation x must have samples of the same shape as x, \(4,\); got \(5,\)"):
        m.fit(X, Y, validation_data=(np.ones((6, 5)), Y), verbose=0)
    assert not m.built


HINT = r"\. A smaller learning rate or clipnorm may help\.$"


def overflowing() -> Sequential:
    """A model whose first layer is finite and whose second is not: float32 ends at 3.4e38."""
    m = Sequential([Dense(2, input_shape=(1,), name="first"), Dense(2, name="second")])
    m.compile("sgd", losses.CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    m.set_weights([[[1e30, 0]], [0, 0], [[1e30, 0], [0, 0]], [0, 0]])
    return m


def test_the_place_where_a_loss_stops_being_finite() -> None:
    """Epoch, batch and tensor, and NumPy's own warnings are not added: the suite would turn them into errors."""
    x, y = np.array([[0.0], [0.0], [0.0], [1.0]]), np.eye(2)[[0, 1, 0, 1]]
    where = "The loss is not finite any more: {}; the first tensor with NaN or infinity is 'second/out'"
    m = overflowing()
    with pytest.warns(UserWarning, match="^" + where.format("epoch 1, batch 2") + HINT) as warned:
        m.fit(x, y, batch_size=2, epochs=3, shuffle=False, verbose=0)
    assert len(warned) == 1
    m = overflowing()
    with pytest.warns(UserWarning, match="^" + where.format("train_on_batch") + HINT):
        m.train_on_batch(x, y)


def test_a_validation_loss_that_is_not_finite_is_explained_once() -> None:
    zero, one, y = np.zeros((2, 1)), np.ones((2, 1)), np.eye(2)
    where = r"^The loss is not finite any more: validation after epoch 1; the first .* is 'second/out'" + HINT
    with pytest.warns(UserWarning, match=where) as warned:
        overflowing().fit(zero, y, validation_data=(one, y), verbose=0)
    assert len(warned) == 1
    # Where the training is no longer finite, the validation has nothing to add.
    with pytest.warns(UserWarning, match="any more: epoch 1, batch 1;") as warned:
        overflowing().fit(one, y, epochs=2, validation_data=(one, y), verbose=0)
    assert len(warned) == 1


def test_evaluate_and_predict_give_what_is_not_finite_without_a_word() -> None:
    """They report the model as it is; a training step warns."""
    m, x, y = overflowing(), np.ones((2, 1), "float32"), np.eye(2, dtype="float32")
    assert not np.isfinite(m.evaluate(x, y, verbose=0)[0])
    assert not np.isfinite(m.predict(x, verbose=0)).all()
    m.add(Softmax())  # of logits (inf, 0): inf - inf is NaN
    assert np.isnan(m.predict(x, verbose=0)).all()
    with pytest.warns(UserWarning, match="The loss is not finite any more"):
        assert not np.isfinite(m.train_step(x, y)[0])

"""Invalid data and arguments of ``fit``, ``evaluate``, ``predict`` raise one sentence, and change nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scratch.layers import Dense
from scratch.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy
from scratch.models import Sequential

X, Y = np.ones((6, 4)), np.eye(3)[[0, 1, 2, 0, 1, 2]]
LABELS = np.array([0, 1, 2, 0, 1, 2])


def classifier(loss: str = "categorical_crossentropy") -> Sequential:
    model = Sequential([Dense(5, "relu", input_shape=(4,)), Dense(3, "softmax")])
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


def x_with(value: float) -> np.ndarray:
    """Return X with another value at (4, 2)."""
    x = X.copy()
    x[4, 2] = value
    return x


def y_with(value: float) -> np.ndarray:
    """Return Y with another value at (3, 1)."""
    y = Y.copy()
    y[3, 1] = value
    return y


CATEGORICAL: list[tuple[Any, Any, str]] = [
    (np.ones((6, 7)), Y, r"Layer 'dense' expects input of shape \(None, 4\); got \(None, 7\)"),
    (np.ones((6, 2, 2)), Y, r"Layer 'dense' expects input of shape \(None, 4\); got \(None, 2, 2\). Put Flatten\(\)"),
    (np.ones(4), Y, r"Layer 'dense' expects input of shape \(None, 4\); got \(4,\), one sample: pass a batch, "),
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
    (None, Y, "x must hold real numbers; got None: pass x"),
    ({1.0}, Y, r"x must be an array, a generator of batches or a utils\.PyDataset; got set\.$"),
    ([X, X], Y, r"x must be one array, the input of this model; got a list of 2 arrays\.$"),
    (X, [[1, 0, 0]], "x and y must hold the same number of samples; got 6 and 1"),
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
def test_invalid_data_raises_one_sentence_and_changes_nothing(
    method: str, loss: str, x: Any, y: Any, message: str
) -> None:
    model = classifier(loss)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message) as error:
        getattr(model, method)(x, y)
    assert "\n" not in str(error.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    assert model.optimizer.iterations == 0


@pytest.mark.parametrize(("x", "message"), [(x, message) for x, y, message in CATEGORICAL if y is Y and x is not X])
def test_invalid_inputs_without_targets(x: Any, message: str) -> None:
    model = classifier()
    for method in ("predict", "__call__", "predict_on_batch"):
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dense(2)(x_with(np.nan)), "x must hold finite numbers"),
        (lambda: Dense(2)(x_with(1e300)), "x must hold finite numbers"),
        (lambda: CategoricalCrossentropy()(Y, X), r"y_true must be one-hot rows of 4"),
        (lambda: CategoricalCrossentropy()(Y, y_with(np.nan)), "y_pred must hold finite numbers"),
        (lambda: CategoricalCrossentropy()(Y[:3], Y), "y_true and y_pred must hold the same number"),
        (lambda: CategoricalCrossentropy()(Y[None], Y[None]), r"The loss expects outputs of shape \(None, units\)"),
        (lambda: CategoricalCrossentropy().check_targets(LABELS, (None, 3)), "y must be one-hot rows of 3"),
        (lambda: SparseCategoricalCrossentropy().check_targets(Y, (None, 3)), "y must be one label per sample"),
    ],
)
def test_invalid_arrays_for_layers_and_losses(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as error:
        call()
    assert "\n" not in str(error.value)


def test_invalid_data_does_not_build_a_deferred_model() -> None:
    model = Sequential([Dense(3, "softmax")])
    model.compile(loss="categorical_crossentropy")
    for call in (
        lambda: model.fit(X, LABELS),
        lambda: model.fit(X, Y, callbacks="no"),
        lambda: model.fit(X, Y, batch_size=0),
    ):
        with pytest.raises(ValueError, match=r"."):
            call()
        assert not model.built
    model.fit(X, Y, verbose=0)
    assert model.built


FIT_OPTIONS: list[tuple[dict[str, Any], str]] = [
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
    ({"validation_data": X}, r"validation_data must be a pair \(x, y\), or a triple with weights; got ndarray"),
    ({"validation_data": (X,)}, r"validation_data must be a pair \(x, y\), or a triple with weights; got tuple"),
    ({"validation_data": (X, Y[:2])}, "validation x and validation y must hold the same number"),
    ({"validation_data": (X, LABELS)}, "validation y must be one-hot rows of 3"),
    ({"validation_data": (x_with(np.nan), Y)}, "validation x must hold finite numbers"),
    ({"validation_data": (np.ones((6, 5)), Y)}, r"Layer 'dense' expects input of shape \(None, 4\)"),
    ({"verbose": 3}, "verbose must be 'auto', 0, 1 or 2; got 3"),
    ({"callbacks": [print]}, "callbacks must hold Callback objects"),
    ({"callbacks": 3}, "callbacks must be a list; got int"),
]


@pytest.mark.parametrize(("options", "message"), FIT_OPTIONS)
def test_invalid_argument_of_fit(options: dict[str, Any], message: str) -> None:
    model = classifier()
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"^{message}"):
        model.fit(X, Y, **options)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer, 1 or more; got 0"),
        ({"verbose": 3}, "verbose must be 'auto', 0, 1 or 2; got 3"),
        ({"callbacks": "no"}, "callbacks must be a list; got str"),
    ],
)
def test_invalid_argument_of_evaluate_and_predict(options: dict[str, Any], message: str) -> None:
    for call in (lambda: classifier().evaluate(X, Y, **options), lambda: classifier().predict(X, **options)):
        with pytest.raises(ValueError, match=f"^{message}"):
            call()


def test_validation_samples_must_have_the_shape_of_the_training_samples() -> None:
    model = Sequential([Dense(3, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ValueError, match=r"validation x must have samples of the same shape as x, \(4,\); got \(5,\)"):
        model.fit(X, Y, validation_data=(np.ones((6, 5)), Y), verbose=0)
    assert not model.built


METHODS = ["fit", "evaluate", "train_on_batch", "test_on_batch", "train_step", "trace"]


@pytest.mark.parametrize(("method", "named"), [("gradients", "trace"), *zip(METHODS, METHODS, strict=True)])
def test_methods_that_need_compile_say_so(method: str, named: str) -> None:
    model = Sequential([Dense(5, "relu", input_shape=(4,)), Dense(3, "softmax")])
    with pytest.raises(ValueError, match=rf"^Call compile\(optimizer, loss, metrics=…\) before {named}\(\)\.$"):
        getattr(model, method)(X, Y)


@pytest.mark.parametrize("part", ["loss", "optimizer"])
def test_model_without_a_loss_or_an_optimizer_is_not_compiled(part: str) -> None:
    model = classifier()
    setattr(model, part, None)
    with pytest.raises(ValueError, match=r"^Call compile\(optimizer, loss, metrics=…\) before fit\(\)\.$"):
        model.fit(X, Y)

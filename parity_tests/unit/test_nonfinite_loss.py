"""A loss that is not finite: one warning that names the epoch, the batch and the first tensor that is not finite."""

import numpy as np
import pytest

from scratch.callbacks import LambdaCallback
from scratch.layers import Dense, Softmax
from scratch.losses import CategoricalCrossentropy
from scratch.models import Sequential
from scratch.ops import BACKENDS
from scratch.optimizers import SGD

X, Y = np.ones((6, 4)), np.eye(3)[[0, 1, 2, 0, 1, 2]]
HINT = r"\. A smaller learning rate or clipnorm may help\.$"


def overflowing_model(backend: str = "numba") -> Sequential:
    """Return a model whose first layer is finite for x = 1 and whose second is not: float32 ends at 3.4e38."""
    model = Sequential([Dense(2, input_shape=(1,), name="first"), Dense(2, name="second")], backend=backend)
    model.compile("sgd", CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.set_weights([[[1e30, 0]], [0, 0], [[1e30, 0], [0, 0]], [0, 0]])
    return model


def test_a_training_that_diverges_warns_once() -> None:
    model = Sequential([Dense(5, "relu", input_shape=(4,)), Dense(3, "softmax")])
    model.compile(SGD(1e30), "categorical_crossentropy")
    message = r"epoch \d+, batch \d+; the first tensor with NaN or infinity is 'dense(_1)?/out'"
    with pytest.warns(UserWarning, match=message) as warned:
        model.fit(X, Y, batch_size=2, epochs=3, verbose=0)
    assert len(warned) == 1  # and no RuntimeWarning of NumPy


def test_a_validation_that_diverges_warns_once() -> None:
    model = Sequential([Dense(5, input_shape=(4,)), Dense(3, "softmax")])
    model.compile(SGD(1e30), "categorical_crossentropy")
    with pytest.warns(UserWarning, match=r"validation after epoch 1; .* is 'dense(_1)?/out'") as warned:
        model.fit(X, Y, batch_size=6, epochs=3, validation_data=(X, Y), verbose=0)
    assert len(warned) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_warning_names_the_epoch_the_batch_and_the_tensor(backend: str) -> None:
    """NumPy's own warnings must not be added: pytest turns them into errors."""
    x, y = np.array([[0.0], [0.0], [0.0], [1.0]]), np.eye(2)[[0, 1, 0, 1]]
    text = "The loss is not finite any more: {}; the first tensor with NaN or infinity is 'second/out'"
    model = overflowing_model(backend)
    with pytest.warns(UserWarning, match="^" + text.format("epoch 1, batch 2") + HINT) as warned:
        model.fit(x, y, batch_size=2, epochs=3, shuffle=False, verbose=0)
    assert len(warned) == 1
    model = overflowing_model(backend)
    with pytest.warns(UserWarning, match="^" + text.format("train_on_batch") + HINT) as warned:
        model.train_on_batch(x, y)
    assert len(warned) == 1


def test_the_warning_names_the_validation() -> None:
    zero, one, y = np.zeros((2, 1)), np.ones((2, 1)), np.eye(2)
    message = r"^The loss is not finite any more: validation after epoch 1; the first .* is 'second/out'" + HINT
    with pytest.warns(UserWarning, match=message) as warned:
        overflowing_model().fit(zero, y, validation_data=(one, y), verbose=0)
    assert len(warned) == 1


def test_a_training_step_after_a_validation_is_named_as_such() -> None:
    zero, data, y = np.zeros((2, 1)), np.zeros((2, 1)), np.eye(2)

    def overflow(epoch: int, logs: dict[str, float]) -> None:
        data[:] = epoch  # ones in the second epoch

    with pytest.warns(UserWarning, match=r"any more: epoch 2, batch 1;") as warned:
        overflowing_model().fit(
            data, y, epochs=2, validation_data=(zero, y), callbacks=[LambdaCallback(on_epoch_begin=overflow)], verbose=0
        )
    assert len(warned) == 1


def test_a_validation_does_not_repeat_the_warning_of_the_training() -> None:
    one, y = np.ones((2, 1)), np.eye(2)
    with pytest.warns(UserWarning, match="any more: epoch 1, batch 1;") as warned:
        overflowing_model().fit(one, y, epochs=2, validation_data=(one, y), verbose=0)
    assert len(warned) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_evaluate_and_predict_return_nonfinite_values_without_a_warning(backend: str) -> None:
    model, x, y = overflowing_model(backend), np.ones((2, 1), "float32"), np.eye(2, dtype="float32")
    assert not np.isfinite(model.evaluate(x, y, verbose=0)[0])
    assert not np.isfinite(model.predict(x, verbose=0)).all()
    model.add(Softmax())  # its logits are (inf, 0), and inf - inf is NaN
    assert np.isnan(model.predict(x, verbose=0)).all()
    assert np.isnan(model.evaluate(x, y, verbose=0)[0])
    with pytest.warns(UserWarning, match="The loss is not finite any more") as warned:
        assert not np.isfinite(model.train_step(x, y)[0])
    assert len(warned) == 1

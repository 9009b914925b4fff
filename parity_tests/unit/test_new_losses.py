"""A new loss: its operation, the options of the operation, and what becomes of them in files."""

from pathlib import Path

import numpy as np
import pytest

from scratch import losses, ops
from scratch.callbacks import BackupAndRestore, LambdaCallback
from scratch.files import FileError
from scratch.layers import Dense
from scratch.losses import Loss
from scratch.models import Sequential
from scratch.ops import BACKENDS
from scratch.optimizers import SGD
from scratch.saving import entries, settings
from scratch.utils import set_random_seed


class PowerError(Loss):
    """The sum of |y − t| to the power of ``power`` and times ``scale``."""

    op = "power_error"
    op_options = ("power", "scale")

    def __init__(self, power: float = 2.0, scale: float = 1.0, reduction: str | None = "sum_over_batch_size") -> None:
        super().__init__(reduction)
        self.power, self.scale = power, scale


def power_error_forward(y: np.ndarray, t: np.ndarray, power: float, scale: float) -> np.ndarray:
    return scale * (np.abs(y - t) ** power).sum(axis=1)


def power_error_backward(y: np.ndarray, t: np.ndarray, power: float, scale: float) -> np.ndarray:
    return scale * power * np.abs(y - t) ** (power - 1) * np.sign(y - t)


@pytest.fixture
def _power_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give both backends the operation of ``PowerError``."""
    for backend in BACKENDS:
        for function in (power_error_forward, power_error_backward):
            monkeypatch.setattr(ops.get(backend), function.__name__, function, raising=False)


def compiled(loss: Loss, backend: str = "numpy", last: str | None = "softmax") -> Sequential:
    model = Sequential([Dense(3, last, input_shape=(4,))], backend=backend, dtype="float64")
    model.compile(SGD(0.1), loss)
    return model


X, T = np.random.default_rng(0).normal(size=(5, 4)), np.eye(3)[[0, 2, 1, 0, 2]]


@pytest.mark.usefixtures("_power_error")
def test_options_are_passed_to_both_operations() -> None:
    loss, y = PowerError(3.0, 0.25), np.full((2, 3), 0.5)
    assert float(loss(T[:2], y)) == pytest.approx(3 * 0.25 * 0.5**3, rel=1e-15)
    np.testing.assert_allclose(loss.backward(), 0.25 * 3 * 0.5**2 * np.sign(y - T[:2]) / 2, rtol=1e-15)


@pytest.mark.usefixtures("_power_error")
@pytest.mark.parametrize("backend", BACKENDS)
def test_fit_trains_with_the_options(backend: str) -> None:
    """One step on a linear layer, beside the same step written out: W ← W − 0.1·xᵀ·dy."""
    model = compiled(PowerError(3.0, 0.25), backend, last=None)
    W, b = model.get_weights()
    model.fit(X, T, batch_size=5, shuffle=False, verbose=0)
    dy = power_error_backward(X @ W + b, T, 3.0, 0.25) / 5
    np.testing.assert_allclose(model.get_weights()[0], W - 0.1 * X.T @ dy, rtol=1e-12)
    np.testing.assert_allclose(model.get_weights()[1], b - 0.1 * dy.sum(axis=0), rtol=1e-12)


def own_loss(**attributes: object) -> Loss:
    return type("MyLoss", (Loss,), attributes)()


@pytest.mark.parametrize("backend", BACKENDS)
def test_compile_rejects_a_loss_without_its_operation(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops.get(backend), "half_forward", power_error_forward, raising=False)
    own = {"forward": lambda self, y, t: self.reduce(y.sum(axis=1))}
    start = (
        rf"The op of the loss MyLoss must name a forward and a backward function of scratch\.ops\.{backend}_ops; got "
    )
    for loss, message in (
        (own_loss(), "None, for which there is no None_forward. Add the function, or override forward"),
        (own_loss(op="power"), "'power', for which there is no power_forward"),
        (own_loss(op="half"), "'half', for which there is no half_backward. Add the function, or override backward"),
        (own_loss(**own), "None, for which there is no None_backward"),
    ):
        model = compiled(losses.CategoricalCrossentropy(), backend)
        before = model.optimizer, model.loss
        with pytest.raises(ValueError, match=f"^{start}{message}"):
            model.compile("sgd", loss)
        assert (model.optimizer, model.loss) == before
    compiled(own_loss(**own, backward=lambda self: np.zeros((5, 3))), backend).fit(X, T, verbose=0)


@pytest.mark.usefixtures("_power_error")
def test_a_backup_is_resumed_with_the_same_options_only(tmp_path: Path) -> None:
    def fit(loss: Loss, interrupt: bool = False) -> Sequential:
        set_random_seed(0)
        model = compiled(loss)
        callbacks = [BackupAndRestore(tmp_path)]
        if interrupt:
            callbacks.append(LambdaCallback(on_epoch_begin=lambda epoch, logs: 1 / (1 - epoch)))
        model.fit(X, T, batch_size=2, epochs=3, verbose=0, callbacks=callbacks)
        return model

    with pytest.raises(ZeroDivisionError):
        fit(PowerError(3.0), interrupt=True)
    with pytest.raises(
        FileError, match=r"loss was PowerError, power_error, .*, power=3\.0, .* and is now .* power=2\.0"
    ):
        fit(PowerError(2.0))
    resumed, uninterrupted = fit(PowerError(3.0)), fit(PowerError(3.0))
    assert [W.tobytes() for W in resumed.weights] == [W.tobytes() for W in uninterrupted.weights]


def test_the_arguments_of_the_constructor_are_the_settings_of_a_loss() -> None:
    table = settings.loss_table([PowerError])
    entry = entries.write(table, PowerError(3.0, 0.25, "sum"), "The loss")
    assert entry["class_name"] == "PowerError"
    assert entry["config"] == {"power": 3.0, "scale": 0.25, "reduction": "sum"}
    assert vars(entries.read(table, entry, "loss")) == vars(PowerError(3.0, 0.25, "sum"))
    del entry["config"]["power"]  # as Keras does with the delta of Huber
    assert vars(entries.read(table, entry, "loss")) == vars(PowerError(2.0, 0.25, "sum"))


VALUES = {"from_logits": True, "label_smoothing": 0.25, "reduction": "sum"}


@pytest.mark.parametrize("loss_class", losses.LOSSES.values())
def test_every_setting_of_a_loss_is_restored(loss_class: type[Loss]) -> None:
    keras_class = settings.LOSSES[loss_class.__name__]
    loss = loss_class(**{name: VALUES.get(name, 0.5) for name in keras_class.settings})
    entry = entries.write(settings.LOSSES, loss, "The loss")
    assert vars(entries.read(settings.LOSSES, entry, "loss")) == vars(loss) != vars(loss_class())


def test_losses_as_functions_take_settings_by_position() -> None:
    rng = np.random.default_rng(1)
    y, labels = rng.normal(size=(6, 3)), np.arange(6) % 3
    t = np.eye(3)[labels]
    for found, loss, targets in (
        (losses.categorical_crossentropy(t, y, True, 0.25), losses.CategoricalCrossentropy(True, 0.25, None), t),
        (
            losses.sparse_categorical_crossentropy(labels, y, True),
            losses.SparseCategoricalCrossentropy(True, None),
            labels,
        ),
        (losses.binary_crossentropy(t, y, True, 0.25), losses.BinaryCrossentropy(True, 0.25, None), t),
        (losses.mean_squared_error(t, y), losses.MeanSquaredError(None), t),
        (losses.mean_absolute_error(t, y), losses.MeanAbsoluteError(None), t),
    ):
        np.testing.assert_array_equal(found, loss(targets, y))
    p = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
    for found, loss, targets in (
        (losses.categorical_crossentropy(t, p), losses.CategoricalCrossentropy(reduction=None), t),
        (
            losses.sparse_categorical_crossentropy(labels, p),
            losses.SparseCategoricalCrossentropy(reduction=None),
            labels,
        ),
        (losses.binary_crossentropy(t, p), losses.BinaryCrossentropy(reduction=None), t),
    ):
        np.testing.assert_array_equal(found, loss(targets, p))


@pytest.mark.parametrize("options", [{"axis": 0}, {"ignore_class": 1}])
def test_settings_of_a_sparse_loss_that_scratch_lacks(options: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=rf"^scratch's SparseCategoricalCrossentropy has no argument '{min(options)}'"):
        losses.sparse_categorical_crossentropy([0, 1], np.eye(2), **options)  # type: ignore[arg-type]
    for function in (losses.categorical_crossentropy, losses.binary_crossentropy):
        with pytest.raises(TypeError, match="has no argument 'axis'"):
            function(np.eye(2), np.eye(2), axis=0)

"""``execution``: the compiled core trains exactly those models that it trains with the same bits as the layers.

Each training runs twice, as ``fit`` chooses and with ``run_eagerly=True``.  ``LAYER_BY_LAYER`` has a training for each
condition that ``fused_step`` asks: the compiled core would compute something else than the layers.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from parity_tests.unit.trainings import BATCH_SIZE, Training, X, Y, dense_layers, double_first, results, wrap
from scratch import activations, losses
from scratch.callbacks import LambdaCallback
from scratch.fusion import fused_step
from scratch.layer import Layer
from scratch.layers import Activation, Dense, Dropout, Flatten, Softmax
from scratch.losses import CategoricalCrossentropy, Loss, SoftmaxCrossEntropy
from scratch.models import Sequential
from scratch.ops import numba_ops
from scratch.optimizers import SGD, Adagrad, Adam, Optimizer, RMSprop
from scratch.optimizers.schedules import PiecewiseConstantDecay

# --- classes that compute something else than their base class ---


class DoubledDense(Dense):
    """A Dense layer with twice the output."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        return 2 * super().forward(x)

    def backward(self, dout: np.ndarray, **options: bool) -> np.ndarray | None:
        return super().backward(2 * dout, **options)


class DoubledActivation(Activation):
    """An activation of twice the input."""

    def activate(self, z: np.ndarray) -> np.ndarray:
        return super().activate(2 * z)

    def activate_backward(self, dout: np.ndarray) -> np.ndarray:
        return 2 * super().activate_backward(dout)


class ReversedFlatten(Flatten):
    """A Flatten layer that reverses the features."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        return super().forward(x[:, ::-1])


class DoubledDropout(Dropout):
    """A Dropout layer that keeps twice the factor."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return 2 * super().forward(x, training)


class OtherRuleDense(DoubledDense):
    """A layer that states a rule which the compiled core lacks."""

    fused_rule = "doubled"


class DoubledSGD(SGD):
    """SGD with twice the gradients."""

    def update(self, params: dict[str, np.ndarray], grads: dict[str, np.ndarray]) -> None:
        super().update(params, {key: 2 * dW for key, dW in grads.items()})


class OtherRuleSGD(DoubledSGD):
    """An optimizer that states a rule which the compiled core lacks."""

    fused_rule = "doubled"  # type: ignore[assignment]


class SquaredError(Loss):
    """The mean over the samples of the sum of squared differences."""

    def forward(self, y: np.ndarray, t: np.ndarray) -> np.ndarray:
        self.y, self.t = y, t
        return self.reduce(np.square(y - t).sum(axis=1))

    def backward(self) -> np.ndarray:
        return 2 * (self.y - self.t) / len(self.y)


class SmoothedCrossentropy(CategoricalCrossentropy):
    """Cross-entropy that smooths the labels only when it is computed from the logits."""

    def for_logits(self) -> SoftmaxCrossEntropy:
        return SoftmaxCrossEntropy(label_smoothing=0.3)


class OtherRuleCrossentropy(SmoothedCrossentropy):
    """A loss that states a rule which the compiled core lacks."""

    fused_rule = "smoothed"  # type: ignore[assignment]


class LogitsCrossentropy(SoftmaxCrossEntropy):
    """A loss with the fused rule that computes by its own ``forward`` and ``backward`` after a softmax."""

    fused_rule = "softmax_cross_entropy"  # type: ignore[assignment]


class DoubledForward(Sequential):
    """A model with twice the input."""

    def forward(self, x: Any, trace: dict[str, np.ndarray] | None = None) -> np.ndarray:
        return super().forward(2 * x, trace)


class DoubledLoss(Sequential):
    """A model that reports twice the loss."""

    def compute_loss(self, loss: Loss, y: np.ndarray, t: np.ndarray) -> tuple[Loss, np.ndarray]:
        criterion, value = super().compute_loss(loss, y, t)
        return criterion, 2 * value


class DoubledBackward(Sequential):
    """A model with twice the gradients."""

    def backward(self, criterion: Loss, trace: dict[str, np.ndarray] | None = None) -> None:
        double_gradients(self, super().backward, criterion, trace)


class FrozenHidden(Sequential):
    """A model that updates its last layer only."""

    @property
    def params(self) -> dict[str, np.ndarray]:
        return {key: W for key, W in super().params.items() if key.startswith(self.layers[-1].name)}


class ClippedGradients(Sequential):
    """A model that clips its gradients."""

    @property
    def grads(self) -> dict[str, np.ndarray]:
        return {key: np.clip(dW, -0.01, 0.01) for key, dW in super().grads.items()}


class DoubledStep(Sequential):
    """A model that trains on twice the samples."""

    def train_step(self, x: Any, y: np.ndarray) -> tuple[float, np.ndarray]:
        return super().train_step(2 * x, y)


def double_gradients(model: Sequential, backward: Callable[..., None], *arguments: Any) -> None:
    backward(*arguments)
    for dW in model.grads.values():
        dW *= 2


# --- methods that are replaced on one object ---


def replaced(part: Callable[[Sequential], object], method: str, wrapper: Callable[..., Any] = double_first) -> Training:
    return Training(prepare=lambda model: wrap(part(model), method, wrapper))


def double_result(method: Callable[..., Any], *arguments: Any) -> Any:
    return 2 * method(*arguments)


def double_update(update: Callable[..., None], params: Any, grads: dict[str, np.ndarray]) -> None:
    update(params, {key: 2 * dW for key, dW in grads.items()})


def double_step(update_step: Callable[..., None], W: np.ndarray, dW: np.ndarray, *arguments: Any) -> None:
    update_step(W, 2 * dW, *arguments)


def double_clipped(clip: Callable[..., Any], grads: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: 2 * dW for key, dW in clip(grads).items()}


def reverse_targets(targets: Callable[..., np.ndarray], y: np.ndarray, *arguments: Any) -> np.ndarray:
    return targets(y[::-1], *arguments)  # not the same for two batches together as for each of them


def double_loss(compute_loss: Callable[..., Any], *arguments: Any) -> Any:
    criterion, value = compute_loss(*arguments)
    return criterion, 2 * value


def reverse_mask(mask: Callable[..., np.ndarray], *arguments: Any) -> np.ndarray:
    return ~mask(*arguments)


def replaced_loss(method: str, wrapper: Callable[..., Any], loss: Any = CategoricalCrossentropy) -> Training:
    """The method is replaced on the loss of the model, which is a copy of the given one."""
    return Training(loss=loss, prepare=lambda model: wrap(model.loss, method, wrapper))


def optimizer(**options: Any) -> Training:
    return Training(optimizer=lambda: SGD(0.1, **options))


def fortran_order(model: Sequential) -> None:
    model.layers[0].params["W"] = np.asfortranarray(model.layers[0].params["W"])


def strided_bias(model: Sequential) -> None:
    model.layers[0].params["b"] = np.linspace(0, 1, 16, dtype=np.float32)[::2]


def with_dropout(*rates: float) -> list[Layer]:
    """Return layers with these rates of Dropout before the first Dense layer, after it, and so on."""
    dense: list[Layer] = [Dense(8, "tanh"), Dense(17, "relu"), Dense(3, "softmax")]
    dropouts = [Dropout(rate) for rate in rates]
    return [layer for pair in zip(dropouts, dense[-len(rates) :], strict=True) for layer in pair]


def after(other: Callable[[], Optimizer]) -> Callable[[Sequential], None]:
    """The model is trained with its optimizer, then with another one; the training goes on with the first."""

    def prepare(model: Sequential) -> None:
        first = model.optimizer
        for optimizer in (other(), first):
            model.fit(X, Y, BATCH_SIZE, epochs=2, verbose=0)
            model.compile(optimizer, model.loss, metrics=model.metrics, run_eagerly=model.run_eagerly)

    return prepare


def centered_for_a_while(model: Sequential) -> None:
    """The second state array is the momentum, then the mean gradient, then the momentum again."""
    for momentum, centered in ((0.5, False), (0.0, True), (0.5, False)):
        model.optimizer.momentum, model.optimizer.centered = momentum, centered
        model.fit(X, Y, BATCH_SIZE, epochs=1, verbose=0)


LAYER_BY_LAYER = {
    "clipnorm in float64": Training(lambda: dense_layers(dtype="float64"), lambda: SGD(0.1, clipnorm=0.01)),
    "negative clipvalue": Training(prepare=lambda model: setattr(model.optimizer, "clipvalue", -0.001)),
    "optimizer._clip replaced": replaced(lambda model: model.optimizer, "_clip", double_clipped),
    "optimizer subclass": Training(optimizer=lambda: DoubledSGD(0.1)),
    "optimizer with another rule": Training(optimizer=lambda: OtherRuleSGD(0.1)),
    "optimizer.update_step replaced": replaced(lambda model: model.optimizer, "update_step", double_step),
    "optimizer.update replaced": replaced(lambda model: model.optimizer, "update", double_update),
    "reduction='sum'": Training(loss=lambda: CategoricalCrossentropy(reduction="sum")),
    "subclass of Loss": Training(loss=SquaredError),
    "subclass of CategoricalCrossentropy": Training(loss=SmoothedCrossentropy),
    "loss with another rule": Training(loss=OtherRuleCrossentropy),
    "loss.for_logits replaced": replaced_loss("for_logits", lambda _: SoftmaxCrossEntropy(label_smoothing=0.3)),
    "loss.targets replaced": replaced_loss("targets", reverse_targets),
    "loss.smooth replaced": replaced_loss("smooth", double_first),
    "loss.reduce replaced": replaced_loss("reduce", double_first),
    "loss.reduce_batches replaced": replaced_loss("reduce_batches", lambda method, losses, size: method(losses, size)),
    "loss.forward replaced": replaced_loss("forward", double_first, LogitsCrossentropy),
    "loss.backward replaced": replaced_loss("backward", double_result, LogitsCrossentropy),
    "Dense subclass": Training(lambda: dense_layers(DoubledDense)),
    "Activation subclass": Training(lambda: [Dense(8), DoubledActivation("tanh"), Dense(3, "softmax")]),
    "Flatten subclass": Training(lambda: [ReversedFlatten(), *dense_layers()]),
    "Dropout subclass": Training(lambda: [Dense(8, "relu"), DoubledDropout(0.5), Dense(3, "softmax")]),
    "two Dropout layers in a row": Training(
        lambda: [Dense(8, "relu"), Dropout(0.2), Dropout(0.5), Dense(3, "softmax")]
    ),
    "Dropout before an activation": Training(lambda: [Dense(8), Dropout(0.5), Activation("tanh"), *dense_layers()]),
    "Dropout of logits": Training(lambda: [Dense(8, "relu"), Dense(3), Dropout(0.5), Softmax()]),
    "Dropout of probabilities": Training(lambda: [*dense_layers(), Dropout(0.05)]),
    **{
        f"dropout.{method} replaced": replace(
            replaced(lambda model: model.layers[0], method, wrapper), layers=lambda: with_dropout(0.5, 0.2)
        )
        for method, wrapper in {"forward": double_first, "_scaled": double_first, "mask": reverse_mask}.items()
    },
    "dropout.backward replaced": replace(
        replaced(lambda model: model.layers[2], "backward"), layers=lambda: with_dropout(0.5, 0.2)
    ),
    "layer with another rule": Training(lambda: dense_layers(OtherRuleDense)),
    "layer.forward replaced": replaced(lambda model: model.layers[0], "forward"),
    "layer.backward replaced": replaced(lambda model: model.layers[1], "backward"),
    "layer.activate replaced": replaced(lambda model: model.layers[0], "activate"),
    "layer.activate_backward replaced": replaced(lambda model: model.layers[0], "activate_backward"),
    "softmax in the middle": Training(lambda: [Dense(8, "softmax"), Dense(3, "softmax")]),
    "activation after activation": Training(lambda: [Dense(8, "tanh"), Activation("relu"), Dense(3, "softmax")]),
    "activation before Dense": Training(lambda: [Activation("tanh"), *dense_layers()]),
    "logits": Training(lambda: [Dense(8, "relu"), Dense(3)], loss=lambda: CategoricalCrossentropy(from_logits=True)),
    "sigmoid at the end": Training(lambda: [Dense(8, "relu"), Dense(3, "sigmoid")]),
    "mixed dtypes": Training(lambda: dense_layers(dtype="float64")),
    "Activation with another dtype": Training(
        lambda: [Dense(8), Activation("tanh", dtype="float64"), Dense(3, "softmax")]
    ),
    "Fortran-ordered W": Training(prepare=fortran_order),
    "strided b": Training(prepare=strided_bias),
    "model.forward overridden": Training(model_class=DoubledForward),
    "model.compute_loss overridden": Training(model_class=DoubledLoss),
    "model.backward overridden": Training(model_class=DoubledBackward),
    "model.train_step overridden": Training(model_class=DoubledStep),
    "model.params overridden": Training(model_class=FrozenHidden),
    "model.grads overridden": Training(model_class=ClippedGradients),
    "model.forward replaced": replaced(lambda model: model, "forward"),
    "model.loss_of_logits replaced": replaced(lambda model: model, "loss_of_logits", lambda method, loss: None),
    "model.compute_loss replaced": replaced(lambda model: model, "compute_loss", double_loss),
    "model.backward replaced": Training(
        prepare=lambda model: wrap(model, "backward", partial(double_gradients, model))
    ),
    "model.train_step replaced": replaced(lambda model: model, "train_step"),
}
FUSED = {
    "two Dense layers": Training(),
    "activations as layers": Training(lambda: [Dense(8), Activation("tanh"), Dense(3), Softmax()]),
    "Flatten first": Training(lambda: [Flatten(), Dense(8, "sigmoid"), Dense(3, "softmax")]),
    "linear layers without biases": Training(lambda: [Dense(8, use_bias=False), Dense(3, "softmax", use_bias=False)]),
    "float64": Training(lambda: [Dense(8, "relu", dtype="float64"), Dense(3, "softmax", dtype="float64")]),
    "every activation": Training(lambda: [*(Dense(8, f) for f in ("relu", "sigmoid", "tanh", None)), *dense_layers()]),
    "label smoothing": Training(loss=lambda: CategoricalCrossentropy(label_smoothing=0.2)),
    "Dropout": Training(lambda: [Dense(8, "relu"), Dropout(0.2), Dense(3, "softmax")]),
    "Dropout of samples": Training(lambda: [Dropout(0.2), *dense_layers()]),
    "Dropout before each layer": Training(lambda: with_dropout(0.1, 0.5, 0.3)),
    "Dropout before Flatten": Training(lambda: [Dropout(0.2), Flatten(), *dense_layers()]),
    "Dropout after Flatten": Training(lambda: [Flatten(), *with_dropout(0.4, 0.2)]),
    "Dropout of everything": Training(lambda: with_dropout(1, 0.5)),
    "Dropout of nothing": Training(lambda: [Dense(8), Dropout(0), Activation("tanh"), *with_dropout(0, 0.5)]),
    "Dropout after an activation": Training(lambda: [Dense(8), Activation("sigmoid"), *with_dropout(0.3, 0.2)]),
    "Dropout with seeds": Training(
        lambda: [Dropout(0.5, seed=3), Dense(5, "tanh"), Dropout(0.5, seed=3), Dense(3, "softmax")]
    ),
    "Dropout in float64": Training(
        lambda: [Dense(8, "relu", dtype="float64"), Dropout(0.3, dtype="float64"), Dense(3, "softmax", dtype="float64")]
    ),
    "Dropout with Adam": Training(lambda: with_dropout(0.1, 0.5), lambda: Adam(0.1)),
    "Dropout with RMSprop": Training(lambda: with_dropout(0.1, 0.5), lambda: RMSprop(0.1)),
    "Dropout with clipnorm": Training(lambda: with_dropout(0.1, 0.5), lambda: SGD(0.1, clipnorm=0.01)),
    "a rate that ends and begins": Training(
        lambda: with_dropout(0.1, 0.5),
        callbacks=lambda model: [
            LambdaCallback(on_epoch_begin=lambda epoch, _: setattr(model.layers[0], "rate", (0.1, 0, 0.7)[epoch]))
        ],
    ),
    "nesterov without momentum": optimizer(nesterov=True),
    "momentum": optimizer(momentum=0.9),
    "nesterov": optimizer(momentum=0.9, nesterov=True),
    "weight_decay": optimizer(weight_decay=0.1),
    "clipnorm": optimizer(clipnorm=0.01),
    "clipvalue": optimizer(clipvalue=0.001),
    "global_clipnorm": optimizer(global_clipnorm=0.01),
    "clipnorm and momentum": optimizer(clipnorm=0.01, momentum=0.9),
    "clipnorm=0, which does not clip": optimizer(clipnorm=0.0),
    "momentum that ends and begins": Training(
        callbacks=lambda model: [
            LambdaCallback(on_epoch_begin=lambda epoch, _: setattr(model.optimizer, "momentum", (0.9, 0, 0.5)[epoch]))
        ]
    ),
    "schedule": Training(optimizer=lambda: SGD(PiecewiseConstantDecay([2, 5], [0.5, 0.1, 0.01]), momentum=0.9)),
    "Adam": Training(optimizer=lambda: Adam(0.1)),
    "Adam in float64": Training(
        lambda: [Dense(8, "relu", dtype="float64"), Dense(3, "softmax", dtype="float64")], lambda: Adam(0.1)
    ),
    "Adam with clipnorm and weight decay": Training(optimizer=lambda: Adam(0.1, clipnorm=0.01, weight_decay=0.1)),
    "Adam with a schedule": Training(optimizer=lambda: Adam(PiecewiseConstantDecay([2, 5], [0.5, 0.1, 0.01]))),
    "Adam with amsgrad": Training(optimizer=lambda: Adam(0.1, amsgrad=True)),
    "Adam with amsgrad and clipvalue in float64": Training(
        lambda: [Dense(8, "relu", dtype="float64"), Dense(3, "softmax", dtype="float64")],
        lambda: Adam(0.1, amsgrad=True, clipvalue=0.01),
    ),
    "RMSprop": Training(optimizer=lambda: RMSprop(0.1)),
    "RMSprop with momentum": Training(optimizer=lambda: RMSprop(0.1, momentum=0.5)),
    "RMSprop, centered": Training(optimizer=lambda: RMSprop(0.1, centered=True)),
    "RMSprop, centered, with momentum": Training(optimizer=lambda: RMSprop(0.1, momentum=0.5, centered=True)),
    # Optimizers with as many state arrays as the one before.
    "momentum after RMSprop": Training(optimizer=lambda: SGD(0.1, momentum=0.9), prepare=after(lambda: RMSprop(0.1))),
    "Adam after RMSprop with momentum": Training(
        optimizer=lambda: Adam(0.1), prepare=after(lambda: RMSprop(0.1, momentum=0.5))
    ),
    "amsgrad after amsgrad": Training(
        optimizer=lambda: Adam(0.1, amsgrad=True), prepare=after(lambda: Adam(0.1, amsgrad=True))
    ),
    "RMSprop with momentum, then centered": Training(
        optimizer=lambda: RMSprop(0.1, momentum=0.5), prepare=centered_for_a_while
    ),
    "Adagrad": Training(optimizer=lambda: Adagrad(0.1)),
    "Adagrad that starts at 2": Training(optimizer=lambda: Adagrad(0.1, initial_accumulator_value=2.0)),
}


@pytest.mark.parametrize("training", LAYER_BY_LAYER.values(), ids=LAYER_BY_LAYER)
def test_fit_runs_layer_by_layer(training: Training) -> None:
    default, eager = training.run(), training.run(run_eagerly=True)
    assert results(default) == results(eager)
    assert default.fused is None
    assert eager.fused is None


@pytest.mark.parametrize("training", FUSED.values(), ids=FUSED)
def test_fit_runs_the_compiled_core_with_the_bits_of_the_layers(training: Training) -> None:
    default, eager = training.run(), training.run(run_eagerly=True)
    assert results(default) == results(eager)
    assert default.fused is not None
    assert eager.fused is None


def test_the_numpy_backend_runs_layer_by_layer() -> None:
    x = np.random.default_rng(0).normal(size=(40, 200)).astype(np.float32)  # sums of 200 terms: backends round them
    default, eager = Training().run(backend="numpy", x=x), Training().run(run_eagerly=True, backend="numpy", x=x)
    assert results(default) == results(eager)
    assert default.fused is None


def test_a_loss_entered_in_the_table_trains_by_its_own_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(losses.LOSSES, "squared_error", SquaredError)
    by_name, by_object = Training(loss=lambda: "squared_error").run(), Training(loss=SquaredError).run()
    assert results(by_name) == results(by_object)
    assert results(by_name) != results(Training().run())
    assert by_name.fused is None


def test_an_activation_that_the_compiled_core_lacks_runs_layer_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "ACTIVATIONS", (*activations.ACTIVATIONS, "doubled"))
    monkeypatch.setattr(numba_ops, "doubled_forward", lambda x: 2 * x, raising=False)
    monkeypatch.setattr(numba_ops, "doubled_backward", lambda dout, out: 2 * dout, raising=False)
    training = Training(lambda: [Dense(8, "doubled"), Dense(3, "softmax")])
    default = training.run()
    assert results(default) == results(training.run(run_eagerly=True))
    assert default.fused is None


def test_a_weight_is_checked_again_in_each_training() -> None:
    """A compiled step that exists already must not change a read-only array, or leave out a new one."""
    x, y = np.ones((20, 4), np.float32), np.arange(20) % 3
    for change, error in (
        (lambda params: params["W"].setflags(write=False), "read-only"),
        (lambda params: params.update(extra=np.zeros(3, np.float32)), "needs a gradient of shape"),
    ):
        model = Sequential([Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(x, y, verbose=0)
        change(model.layers[0].params)
        with pytest.raises(ValueError, match=error):
            model.fit(x, y, verbose=0)


@pytest.mark.parametrize(("start", "is_shared"), [(0, True), (35, True), (36, False)])
def test_layers_that_share_parameters_are_not_fused(start: int, is_shared: bool) -> None:
    """The second layer's W begins at number ``start`` of a buffer, of which the first layer's W has 36."""
    model = Sequential([Dense(6, "relu", input_shape=(6,)), Dense(6, "relu"), Dense(3, "softmax")], backend="numba")
    model.compile("sgd", "categorical_crossentropy")
    buffer = np.ones(80, np.float32)
    for each, first in zip(model.layers[:2], (0, start), strict=True):
        each.params["W"] = buffer[first : first + 36].reshape(6, 6)
    assert (fused_step(model) is None) == is_shared

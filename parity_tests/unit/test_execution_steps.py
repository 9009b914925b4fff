"""``execution``: several steps per call, and changes by a callback between two steps or two epochs."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity_tests.unit.trainings import BATCH_SIZE, Training, X, Y, double_first, results, wrap
from scratch import execution
from scratch.callbacks import Callback, LambdaCallback
from scratch.layers import Dense, Dropout
from scratch.losses import CategoricalCrossentropy
from scratch.metrics import CategoricalAccuracy
from scratch.models import Sequential
from scratch.optimizers import SGD

Change = Callable[[Sequential], object]


# --- several steps per call ---


def keep_worst(metric: CategoricalAccuracy, update_state: Callable[..., None], *batch: np.ndarray) -> None:
    """Let the metric be the lowest accuracy of any batch, which changes if two batches are taken for one."""
    worst = metric.result() if metric.count else 1.0
    metric.reset_state()
    update_state(*batch)
    metric.total, metric.count = min(worst, metric.result()), 1


class WorstBatch(CategoricalAccuracy):
    """The lowest accuracy of any batch."""

    def update_state(self, y_true: np.ndarray, y_pred: np.ndarray) -> None:
        keep_worst(self, super().update_state, y_true, y_pred)


class StatedWorstBatch(WorstBatch):
    """The same, stated by the class itself."""

    additive = False


def replace_update_state(model: Sequential) -> None:
    wrap(model.metrics[0], "update_state", partial(keep_worst, model.metrics[0]))


@pytest.mark.parametrize(
    "training",
    [Training(metric=WorstBatch), Training(metric=StatedWorstBatch), Training(prepare=replace_update_state)],
    ids=["subclass", "additive = False", "update_state replaced"],
)
def test_a_metric_that_is_not_additive_is_updated_for_each_batch(training: Training) -> None:
    default = training.run()
    assert results(default) == results(training.run(run_eagerly=True))
    assert default.fused is not None


def steps_per_call(training: Training, x: np.ndarray = X, *callbacks: Callback) -> int:
    return training.run().make_train_function(x, Y, BATCH_SIZE, callbacks).steps_per_call


def test_steps_are_joined_unless_something_needs_each_batch() -> None:
    assert steps_per_call(Training(), X, LambdaCallback(on_epoch_end=print)) > 1
    for event in ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"):
        assert steps_per_call(Training(), X, LambdaCallback(**{event: print})) == 1
    assert steps_per_call(Training(metric=WorstBatch)) == 1
    for x in (X, X.astype(np.float64)):  # both are read where they lie
        assert steps_per_call(Training(optimizer=lambda: SGD(momentum=0.9)), x) > 1
    # Samples that the compiled core cannot read are converted batch by batch, not all at once.
    for x in (X.astype(np.float16), X[:, ::-1], X.astype(">f4")):
        assert steps_per_call(Training(), x) == 1


@pytest.mark.parametrize(("value", "steps"), [(13 * 2 * BATCH_SIZE, 2), (13 * 2 * BATCH_SIZE - 1, 1), (1, 1)])
def test_the_masks_of_a_call_are_limited(value: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "MAX_MASKS", value)
    layers = [Dropout(0.1), Dense(8, "relu"), Dropout(0.2), Dense(3, "softmax")]  # 5 + 8 inputs have masks
    assert steps_per_call(Training(lambda: layers)) == steps


@pytest.mark.parametrize(
    ("limit", "value", "steps"),
    [
        ("MAX_STEPS", 3, 3),
        ("MAX_OUTPUTS", 3 * 2 * BATCH_SIZE, 2),  # three outputs per sample
        ("MAX_MULTIPLICATIONS", 75 * 5 * BATCH_SIZE, 5),  # 75 parameters
        ("MAX_MULTIPLICATIONS", 75 * 5 * BATCH_SIZE - 1, 4),
        ("MAX_OUTPUTS", 1, 1),
    ],
)
def test_steps_per_call_are_limited(limit: str, value: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, limit, value)
    assert steps_per_call(Training()) == steps


def test_fit_takes_all_steps_of_a_short_epoch_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    take_steps = execution.FusedSteps.__call__
    monkeypatch.setattr(
        execution.FusedSteps, "__call__", lambda self, batches: counts.append(len(batches)) or take_steps(self, batches)
    )
    Training().run()
    assert counts == [3, 3, 3]  # three epochs of three steps


def test_assigned_parameters_and_velocities_are_copied_into_the_arrays_of_the_compiled_step() -> None:
    model = Training(optimizer=lambda: SGD(0.1, momentum=0.9)).run()
    eager = Training(optimizer=lambda: SGD(0.1, momentum=0.9)).run(run_eagerly=True)
    W, v = np.full((5, 8), 0.1, np.float32), np.full((5, 8), 0.2, np.float32)
    for each in (model, eager):
        layer = each.layers[0]
        layer.params["W"] = W.copy()
        each.optimizer.v[f"{layer.name}/W"] = v.copy()
        each.optimizer.v.pop(f"{layer.name}/b")  # starts from zeros again
        each.fit(X, Y, verbose=0)
    assert model.fused.is_for([(layer.params["W"], layer.params["b"]) for layer in model.layers], ["relu", "softmax"])
    np.testing.assert_equal(model.get_weights(), eager.get_weights())
    np.testing.assert_equal([*model.optimizer.v.values()], [*eager.optimizer.v.values()])


def test_the_compiled_step_is_created_once() -> None:
    model = Training().run()
    first = model.fused
    model.fit(X, Y, verbose=0)
    assert model.fused is first


# --- changes in the middle of a training ---


def set_on(part: str, **values: Any) -> Change:
    """Set attributes of the optimizer or the loss of a model."""

    def change(model: Sequential) -> None:
        for name, value in values.items():
            setattr(getattr(model, part), name, value)

    return change


def scale_parameter(model: Sequential, key: str) -> None:
    params = model.layers[0].params
    params[key] = params[key] * np.float32(0.5) + np.float32(0.1)  # another array


CHANGES: dict[str, Change] = {
    "learning_rate": set_on("optimizer", learning_rate=0.01),
    "momentum": set_on("optimizer", momentum=0.9),
    "nesterov": set_on("optimizer", momentum=0.9, nesterov=True),
    "weight_decay": set_on("optimizer", weight_decay=0.1),
    "clipnorm": set_on("optimizer", clipnorm=0.01),
    "clipvalue": set_on("optimizer", clipvalue=0.001),
    "global_clipnorm": set_on("optimizer", global_clipnorm=0.01),
    "another optimizer": lambda model: setattr(model, "optimizer", SGD(0.02)),
    "optimizer.update": lambda model: wrap(
        model.optimizer, "update", lambda update, params, grads: update(params, {k: 2 * g for k, g in grads.items()})
    ),
    "label_smoothing": set_on("loss", label_smoothing=0.3),
    "reduction": set_on("loss", reduction="sum"),
    "activation": lambda model: setattr(model.layers[0], "activation", "tanh"),
    "last activation": lambda model: setattr(model.layers[-1], "activation", "sigmoid"),
    "another W": lambda model: scale_parameter(model, "W"),
    "another b": lambda model: scale_parameter(model, "b"),
    "no b": lambda model: model.layers[0].params.pop("b"),
    "W in Fortran order": lambda model: model.layers[0].params.update(
        W=np.asfortranarray(model.layers[0].params["W"] * np.float32(0.5))
    ),
    "set_weights": lambda model: model.set_weights([W / 2 for W in model.get_weights()]),
    "layer.forward": lambda model: wrap(model.layers[0], "forward", double_first),
    "model.forward": lambda model: wrap(model, "forward", double_first),
    "stop_training": lambda model: setattr(model, "stop_training", True),
}
EVENTS = ("on_epoch_begin", "on_train_batch_end", "on_epoch_end")


def change_at(event: str, change: Change, number: int = 1) -> Callable[[Sequential], list[Callback]]:
    """Create a callback that changes the model at the first event of that kind, or at a later one."""

    def callbacks(model: Sequential) -> list[Callback]:
        count = iter(range(1, 100))
        return [LambdaCallback(**{event: lambda *_: change(model) if next(count) == number else None})]

    return callbacks


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_takes_effect_at_the_next_step(name: str, event: str) -> None:
    training = Training(callbacks=change_at(event, CHANGES[name]))
    default = training.run()
    assert results(default) == results(training.run(run_eagerly=True))
    assert results(default) != results(Training().run())
    assert default.fused is not None  # before the change the compiled core applied


CASES = st.fixed_dictionaries(
    {
        "hidden": st.lists(st.tuples(st.sampled_from([1, 8, 17]), st.sampled_from(["relu", "tanh", "softmax"]))),
        "dtypes": st.lists(st.sampled_from(["float32", "float64"]), min_size=1, max_size=2),
        "optimizer": st.sampled_from([{}, {}, {"momentum": 0.9}, {"clipvalue": 0.01}, {"weight_decay": 0.1}]),
        "loss": st.sampled_from([{}, {}, {"label_smoothing": 0.1}, {"reduction": "sum"}]),
        "metric": st.sampled_from([CategoricalAccuracy, WorstBatch]),
        "change": st.sampled_from(sorted(CHANGES)),
        "event": st.sampled_from(EVENTS),
        "number": st.integers(1, 4),
    }
)


@given(CASES)
def test_every_training_has_the_bits_of_the_layers(case: dict[str, Any]) -> None:
    dtypes = itertools.cycle(case["dtypes"])
    layers = [(*layer, next(dtypes)) for layer in [*case["hidden"], (3, "softmax")]]
    training = Training(
        layers=lambda: [Dense(units, activation, dtype=dtype) for units, activation, dtype in layers],
        optimizer=lambda: SGD(0.05, **case["optimizer"]),
        loss=lambda: CategoricalCrossentropy(**case["loss"]),
        metric=case["metric"],
        callbacks=change_at(case["event"], CHANGES[case["change"]], case["number"]),
    )
    assert results(training.run()) == results(training.run(run_eagerly=True))


@pytest.mark.parametrize("event", EVENTS)
def test_parameter_replaced_by_another_shape_raises(event: str) -> None:
    """The compiled core, which reads the parameters by address, would access memory outside of the array."""

    def shorten(model: Sequential) -> None:
        model.layers[0].params["b"] = np.ones(2, np.float32)

    with pytest.raises(ValueError, match=r"^dense_forward needs arrays .*; got .*, \(5, 8\), \(2,\): reshape b"):
        Training(callbacks=change_at(event, shorten)).run()

"""``inference``: ``evaluate`` and ``predict`` in the compiled core give the bits of the layers, and change nothing."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scratch.callbacks import Callback, LambdaCallback
from scratch.callbacks.callback import may_skip_batches
from scratch.kernels.fused_step import INFERENCE_BATCH, FusedStep
from scratch.layers import Dense, Dropout
from scratch.losses import CategoricalCrossentropy
from scratch.metrics import Metric
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.pixels import Pixels
from scratch.utils import to_categorical

N = 2 * INFERENCE_BATCH + 77
Y = np.arange(N) % 10
NETWORKS: dict[str, Callable[[], list[Any]]] = {
    "by samples": lambda: [Dense(100, "relu"), Dropout(0.3), Dense(50, "tanh"), Dense(10, "softmax")],
    "by units": lambda: [Dense(600, "sigmoid", use_bias=False), Dense(10, "softmax")],
}


def samples(dtype: str = "float32") -> Any:
    x = np.random.default_rng(0).integers(0, 256, (N, 64)) * (np.arange(64) % 3 > 0)
    return Pixels(x.astype(np.uint8)) if dtype == "pixels" else (x / 255).astype(dtype)


def trained(network: str, x: Any) -> Sequential:
    model = Sequential(NETWORKS[network]())
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:64], Y[:64], verbose=0)
    return model


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of samples that the compiled core has computed."""
    numbers: list[int] = []
    original = FusedStep.infer

    def infer(self: FusedStep, x: Any, t: Any) -> Any:
        numbers.append(len(x))
        return original(self, x, t)

    monkeypatch.setattr(FusedStep, "infer", infer)
    return numbers


@pytest.mark.parametrize("dtype", ["pixels", "float32", "float64"])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_compiled_core_gives_the_bits_of_the_layers(network: str, dtype: str, calls: list[int]) -> None:
    x = samples(dtype)
    model = trained(network, x)
    before = [W.copy() for W in model.weights]
    for n in (2, 33, INFERENCE_BATCH + 1, N):
        data = x[:n]
        size = 1 if n == 2 else 32
        out, values = model.predict(data, size, verbose=0), model.evaluate(data, Y[:n], size, verbose=0)
        assert calls == [n, n]
        calls.clear()
        model.run_eagerly = True
        np.testing.assert_array_equal(out, model.predict(data, size, verbose=0), strict=True)
        assert values == model.evaluate(data, Y[:n], size, verbose=0)
        assert not calls
        model.run_eagerly = False
    for W, expected in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(W, expected)


@pytest.mark.parametrize("dtype", ["pixels", "float32", "float64", "int32"])
@pytest.mark.parametrize("n", [1, 2, INFERENCE_BATCH + 1])
def test_a_call_gives_the_bits_of_the_layers(n: int, dtype: str, calls: list[int]) -> None:
    x = np.rint(samples() * 9).astype(dtype) if dtype == "int32" else samples(dtype)
    model = trained("by samples", samples())
    out = model(x[:n])
    assert calls == [n]
    np.testing.assert_array_equal(model.predict_on_batch(x[:n]), out, strict=True)
    twin = copy.deepcopy(model)
    in_training = model(x[:n], training=True)  # with Dropout
    model.run_eagerly = True
    np.testing.assert_array_equal(out, model(x[:n]), strict=True)
    np.testing.assert_array_equal(in_training, twin(x[:n], training=True), strict=True)
    assert not np.array_equal(in_training, model(x[:n], training=True))  # the next mask
    assert not np.array_equal(out, in_training)
    assert calls == [n, n]


def test_a_model_that_is_compiled_anew_is_still_computed_in_the_core(calls: list[int]) -> None:
    """Only training needs the optimizer; a loss that the core does not compute is computed by the layers."""
    x = samples()
    model = trained("by samples", x)
    out = model.predict(x, verbose=0)
    model.compile(SGDWithoutRule(), "sparse_categorical_crossentropy")
    np.testing.assert_array_equal(model.predict(x, verbose=0), out)
    model.compile("sgd", "mean_squared_error")
    np.testing.assert_array_equal(model.predict(x, verbose=0), out)
    assert calls == [N, N]


def test_steps_limit_what_is_computed(calls: list[int]) -> None:
    x = samples()
    model = trained("by samples", x)
    assert len(model.predict(x, 32, verbose=0, steps=3)) == 96
    assert model.evaluate(x, Y, 32, 0, steps=3) == model.evaluate(x[:96], Y[:96], 32, 0)
    assert calls == [96, 96, 96]


def test_a_callback_that_needs_each_batch_gets_it(calls: list[int]) -> None:
    x, found = samples(), list[Any]()
    model = trained("by samples", x)
    each = LambdaCallback(
        on_test_batch_end=lambda batch, logs: found.append(batch),
        on_predict_batch_end=lambda batch, logs: found.append((batch, len(logs["outputs"]))),
    )
    model.evaluate(x[:80], Y[:80], 32, 0, callbacks=each)
    model.predict(x[:80], 32, 0, callbacks=each)
    assert found == [0, 1, 2, (0, 32), (1, 32), (2, 16)]
    assert calls == 2 * [32, 32, 16]


class SGDWithoutRule(SGD):
    """An optimizer without a rule for the compiled core."""


class LargestOutput(Metric):
    """A metric that is not additive: its batches count alike."""

    sparse = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.add(float(y_pred.max()), 1)


def test_a_metric_that_is_not_additive_gets_each_batch(calls: list[int]) -> None:
    x = samples()
    model = trained("by samples", x)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[LargestOutput("largest")])
    model.fit(x[:64], Y[:64], verbose=0)
    _, value = model.evaluate(x[:80], Y[:80], 32, 0)
    out = model.predict(x[:80], 80, 0)
    assert value == np.mean([out[:32].max(), out[32:64].max(), out[64:].max()], dtype=np.float64)
    assert calls == [32, 32, 16, 80]


def test_a_model_that_was_not_trained_keeps_its_arrays(calls: list[int]) -> None:
    model = Sequential([Dense(10, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = samples()
    model.build(x.shape)
    before = model.weights
    model.predict(x, verbose=0)
    model.evaluate(x, Y, verbose=0)
    assert all(W is V for W, V in zip(model.weights, before, strict=True))
    assert not calls


def test_integers_are_computed_batch_by_batch(calls: list[int]) -> None:
    """They are converted, and not all at once."""
    x = np.rint(samples() * 9).astype(np.int32)
    model = trained("by samples", samples())
    out = model.predict(x, verbose=0)
    assert calls == [*([32] * (N // 32)), N % 32]
    model.run_eagerly = True
    np.testing.assert_array_equal(out, model.predict(x, verbose=0), strict=True)


def test_weighted_samples_are_computed_batch_by_batch(calls: list[int]) -> None:
    """A weighted mean over several batches at once has other bits."""
    x, weights = samples(), np.random.default_rng(1).random(N, np.float32)
    model = trained("by samples", x)
    model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    model.fit(x[:64], Y[:64], verbose=0)
    values = model.evaluate(x, Y, 32, 0, weights)
    model.run_eagerly = True
    assert values == model.evaluate(x, Y, 32, 0, weights)
    assert not calls


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_smoothed_rows_as_targets(dtype: str, calls: list[int]) -> None:
    x, t = samples(), to_categorical(Y, 10)
    model = Sequential([Dense(10, "softmax", dtype=dtype)])
    model.compile("adam", CategoricalCrossentropy(label_smoothing=0.2), metrics=["accuracy"])
    model.fit(x, t, verbose=0)
    values, out = model.evaluate(x, t, verbose=0), model.predict(x, verbose=0)
    assert calls == [N, N]
    model.run_eagerly = True
    assert values == model.evaluate(x, t, verbose=0)
    np.testing.assert_array_equal(out, model.predict(x, verbose=0), strict=True)


@pytest.mark.parametrize("use", ["evaluate", "predict"])
def test_a_callback_that_stops_at_the_beginning_leaves_one_batch(use: str) -> None:
    x = samples()
    model = trained("by samples", x)
    found: list[int] = []
    stop = LambdaCallback(
        on_test_begin=lambda logs: setattr(model, "stop_evaluating", True),
        on_predict_begin=lambda logs: setattr(model, "stop_predicting", True),
    )
    count = Callback()
    count.on_test_batch_end = count.on_predict_batch_end = may_skip_batches(  # type: ignore[method-assign]
        lambda batch, logs=None: found.append(batch)
    )
    arguments = (x, Y) if use == "evaluate" else (x,)
    getattr(model, use)(*arguments, verbose=0, callbacks=[stop, count])
    assert found == [0]
    found.clear()
    getattr(model, use)(*arguments, verbose=0, callbacks=[count])
    assert found == [-(-N // 32) - 1]  # once, with the number of the last batch


def test_a_shallow_copy_has_a_compiled_step_of_its_own() -> None:
    """The copy has another lock, so two threads could use one buffer."""
    model = trained("by samples", samples())
    assert copy.copy(model).fused is None


def test_similar_numbers_of_samples_share_a_plan() -> None:
    x = samples()
    model = trained("by samples", x)
    model.predict(x[:40], verbose=0)
    plan = model.fused.plans["infer"]
    model.predict(x[:33], verbose=0)
    assert model.fused.plans["infer"] is plan


def test_the_batch_of_a_validation_whose_loss_is_not_finite_is_named(calls: list[int]) -> None:
    x = samples()
    model = trained("by samples", x)
    bad = x.copy()
    bad[40] = np.finfo(np.float32).max
    with pytest.warns(
        UserWarning, match="validation after epoch 1; the first tensor with NaN or infinity is 'dense.*/out'"
    ):
        model.fit(x[:64], Y[:64], verbose=0, validation_data=(bad[:100], Y[:100]))
    assert calls == [100]


def test_the_first_batch_of_a_validation_whose_loss_is_not_finite_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    x, examined = samples(), list[Any]()
    model = trained("by samples", x)
    monkeypatch.setattr(model, "warn_nonfinite_loss", lambda *data: examined.append(data))
    bad = x[:100].copy()
    bad[[40, 80]] = np.finfo(np.float32).max
    model.fit(x[:64], Y[:64], verbose=0, validation_data=(bad, Y[:100]))
    (found,) = examined
    np.testing.assert_array_equal(found[0], bad[32:64])
    np.testing.assert_array_equal(found[1], Y[32:64])


@pytest.mark.parametrize("batch_size", [None, 32])
def test_steps_that_are_out_of_range_raise(batch_size: int | None) -> None:
    model = trained("by samples", samples())
    for use in (
        lambda: model.evaluate(samples(), Y, batch_size, 0, steps=0),
        lambda: model.predict(samples(), batch_size, 0, steps=0),
    ):
        with pytest.raises(ValueError, match=r"^steps must be an integer, 1 or more; got 0\."):
            use()


def test_an_array_that_replaces_a_weight_is_used(calls: list[int]) -> None:
    x = samples()
    model = trained("by samples", x)
    expected = model.predict(x, verbose=0)
    model.layers[-1].params["b"] = model.layers[-1].params["b"] + np.float32(1)  # softmax is the same for all
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
    model.layers[-1].params["b"] = np.arange(10, dtype=np.float32) * 100
    assert (model.predict(x, verbose=0).argmax(axis=1) == 9).all()
    assert calls == [N]


def test_a_forward_of_the_user_is_told_that_it_is_not_training() -> None:
    told: list[bool] = []

    class Told(Sequential):
        def forward(self, x: Any, training: bool = True) -> Any:  # type: ignore[override]
            told.append(training)
            return super().forward(x, training=training)

    x, model = samples()[:40], Told([Dense(10, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.predict(x, verbose=0)
    model.evaluate(x, Y[:40], verbose=0)
    model(x)
    assert told == [False] * 5  # two batches, two batches, and one
    model(x, training=True)
    assert told[-1] is True

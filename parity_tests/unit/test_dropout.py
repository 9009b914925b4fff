"""Dropout: training beside inference, masks in traces and resumed runs, and layers that do not know ``training``."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from parity_tests.robustness.interrupted import Data, everything, fit, interrupt
from scratch import gradient_check
from scratch.callbacks import BackupAndRestore
from scratch.files import FileError
from scratch.layers import Dense, Dropout, Input, Layer
from scratch.models import Sequential
from scratch.ops import BACKENDS
from scratch.utils import clear_session, set_random_seed

X = np.random.default_rng(1).normal(size=(8, 4)).astype("float32")
Y = np.arange(8) % 3


def network(backend: str = "numpy", seed: int | None = None, rate: float = 0.5, **options: Any) -> Sequential:
    clear_session()
    set_random_seed(3)
    layers = [Input((4,)), Dense(6, "relu"), Dropout(rate, seed), Dense(3, "softmax")]
    model = Sequential(layers, backend=backend, **options)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_by_hand() -> None:
    layer = Dropout(0.25, seed=0, dtype="float64")
    x = np.arange(1.0, 9).reshape(2, 4)
    np.testing.assert_array_equal(layer(x), x)
    assert layer.keep is None
    out = layer(x, training=True)
    assert 0 < layer.keep.sum() < 8
    np.testing.assert_array_equal(out, np.where(layer.keep, x * (1 / 0.75), 0))
    np.testing.assert_array_equal(layer.backward(x), out)
    layer(x)
    np.testing.assert_array_equal(layer.backward(x), x)


@pytest.mark.parametrize(("rate", "share"), [(0, 1), (1, 0), (np.float32(0), 1)])
def test_limits_of_the_rate(rate: float, share: int) -> None:
    layer = Dropout(rate)
    np.testing.assert_array_equal(layer(X, training=True), share * X)
    np.testing.assert_array_equal(layer.backward(X), share * X)


def test_infinity_is_dropped_as_in_keras() -> None:
    layer = Dropout(0.5, seed=0)
    layer(np.ones((1, 50)))
    out = layer.forward(np.full((1, 50), np.inf, "float32"), training=True)
    assert set(out.ravel().tolist()) == {0.0, np.inf}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": -0.1}, r"^rate must be a finite number, between 0 and 1; got -0\.1\.$"),
        ({"rate": 1.5}, r"^rate must be a finite number, between 0 and 1; got 1\.5\.$"),
        ({"rate": "half"}, r"^rate must be a finite number, between 0 and 1; got 'half'\.$"),
        ({"rate": 0.5, "seed": -1}, r"^seed must be an integer, 0 or more; got -1\.$"),
        ({"rate": 0.5, "seed": 2**32}, r"^seed must be below 2\*\*32; got 4294967296\.$"),
    ],
)
def test_invalid_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Dropout(**arguments)


def test_gradients() -> None:
    model = network(dtype="float64")
    assert max(gradient_check(model, X, Y).values()) < 1e-7
    layer = Dropout(0.5, dtype="float64")
    assert gradient_check(layer, X)["dx"] < 1e-7
    assert not layer.backward(np.ones_like(layer.out)).min() < 1  # the check has left no mask behind


def test_seeds() -> None:
    """The layer's own seed, or one that the model draws, determines every mask."""
    masks = [Sequential([Input((50,)), Dropout(0.5, seed)]) for seed in (1, 1, 2, None, None)]
    a, b, c, d, e = (model(np.ones((1, 50)), training=True) for model in masks)
    np.testing.assert_array_equal(a, b)
    for other in (c, d, e):
        assert (a != other).any()
    assert (d != e).any()


def test_every_drawn_seed_has_32_bits() -> None:
    layer = Dropout(0.5)
    for number in range(30):
        layer.build((None, 1), np.random.default_rng(number))
        assert layer.state["masks"].dtype == np.uint32


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_trace_has_the_mask_of_the_next_step(backend: str) -> None:
    model = network(backend)
    for _ in range(3):
        trace = model.trace(X, Y)
        np.testing.assert_array_equal(copy.deepcopy(model)(X, training=True), trace["dense_1/out"])
        expected = model.params["dense/W"] - np.float32(0.01) * trace["dense/dW"]
        assert model.train_on_batch(X, Y)[0] == trace["loss"]
        np.testing.assert_array_equal(model.params["dense/W"], expected)
    inference = model.trace(X, Y, training=False)
    np.testing.assert_array_equal(inference["dropout/out"], inference["dense/out"])
    np.testing.assert_array_equal(inference["dense_1/out"], model.predict(X, verbose=0))
    assert model.evaluate(X, Y, verbose=0)[0] == pytest.approx(float(inference["loss"]))


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("backend", BACKENDS)
def test_resumed_is_bit_identical(backend: str, seed: int | None, blobs: Data, tmp_path: Path) -> None:
    blobs = blobs[0], blobs[1].argmax(axis=1)
    whole = network(backend, seed)
    expected = fit(whole, blobs)
    for at in ((0, 2), (2, 1)):
        interrupt(network(backend, seed), blobs, BackupAndRestore(tmp_path, save_freq=2), at=at)
    resumed = network(backend, seed)
    history = fit(resumed, blobs, BackupAndRestore(tmp_path, save_freq=2))
    assert (whole.fused is not None) == (resumed.fused is not None) == (backend == "numba")
    assert everything(resumed) == everything(whole)
    assert resumed.layers[1].state["masks"].tolist() == whole.layers[1].state["masks"].tolist()
    assert history.history == expected.history


def test_backup_of_another_rate(blobs: Data, tmp_path: Path) -> None:
    blobs = blobs[0], blobs[1].argmax(axis=1)
    interrupt(network(), blobs, BackupAndRestore(tmp_path), at=(1, 2))
    with pytest.raises(FileError, match=r"layer 2 was Dropout, linear, rate=0\.5 and is now .* rate=0\.25"):
        fit(network(rate=0.25), blobs, BackupAndRestore(tmp_path))


def test_masks_are_no_weights() -> None:
    model = network()
    assert [W.shape for W in model.get_weights()] == [(4, 6), (6,), (6, 3), (3,)]
    assert (model.count_params(), model.layers[1].count_params()) == (51, 0)
    assert list(model.state) == ["dropout/masks"]


def test_warning_about_a_loss_that_is_not_finite_if_the_trace_has_another_mask() -> None:
    """The mask of the step keeps an input that overflows with the factor; that of the trace drops it."""
    seed = next(
        s
        for s in range(99)
        if [np.random.default_rng([s, i]).random((1, 1), np.float32) >= 0.5 for i in (0, 1)] == [True, False]
    )
    model = Sequential([Input((1,)), Dropout(0.5, seed), Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match=r"the first tensor with NaN or infinity is 'loss'\."):
        model.train_on_batch([[3e38]], [0])


@pytest.mark.parametrize("rate", [1e-60, 0.2, 0.3, 0.5, 1 - 2**-24, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 3, 8)])
def test_masks_are_those_of_the_generator_for_their_number(rate: float, shape: tuple[int, ...]) -> None:
    layer = Dropout(rate, seed=2**32 - 1)
    layer.build((None, *shape[1:]))
    layer.state["masks"][1] = 6
    for ahead in (0, 3):
        expected = np.random.default_rng([2**32 - 1, 6 + ahead]).random(shape, np.float32) >= np.float32(rate)
        np.testing.assert_array_equal(layer.mask(ahead, shape), expected, strict=True)
    assert layer.state["masks"].tolist() == [2**32 - 1, 6]


@pytest.mark.parametrize(("rate", "limit"), [(0.5, 1 << 31), (2**-24, 1 << 8)])
def test_a_number_is_kept_from_the_limit_on(rate: float, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A random number has the upper 24 of 32 bits, and is kept if it is at least the rate."""
    layer = Dropout(rate)
    layer.build((None, 3))
    words = np.array([limit - 1, limit, limit + 1], "<u4")
    monkeypatch.setattr(
        np.random, "PCG64", lambda seed: SimpleNamespace(random_raw=lambda n: np.resize(words, 4).view("<u8"))
    )
    assert layer.mask(0, (1, 3)).tolist() == [[False, True, True]]


class Doubled(Layer):
    """A layer whose ``forward`` does not know ``training``."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        return self.activate(2 * x)

    def backward(self, dout: np.ndarray, **options: Any) -> np.ndarray:
        return 2 * dout


class DoubledInTraining(Doubled):
    """A layer of the user that computes something else in training."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.factor = 2 if training else 1
        return self.activate(self.factor * x)


@pytest.mark.parametrize("layer_class", [Doubled, DoubledInTraining])
def test_layers_of_the_user(layer_class: type[Layer]) -> None:
    model = Sequential([Input((4,)), layer_class(), Dense(3, "softmax")], dtype="float64")
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert max(gradient_check(model, X, Y).values()) < 1e-7
    factor = 2 if layer_class is Doubled else 1
    before = model(X)
    np.testing.assert_array_equal(before, model.layers[1](factor * X.astype("float64")))
    np.testing.assert_array_equal(model(X, training=True), model.layers[1](2 * X.astype("float64")))


def test_model_of_the_user_whose_forward_has_no_training() -> None:
    class Model(Sequential):
        def forward(self, x: Any, trace: dict[str, np.ndarray] | None = None) -> np.ndarray:
            return super().forward(x, trace)

    model = Model([Input((4,)), Dropout(0.5), Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    trace = model.trace(X, Y)
    assert model.train_on_batch(X, Y) == trace["loss"]
    np.testing.assert_array_equal(trace["dropout/out"], X)


def test_one_layer_by_hand() -> None:
    layer, x = Dropout(0.25, seed=5), np.ones((40, 50), np.float32)
    layer.build((None, 50))
    assert layer.state["masks"].dtype == np.uint32
    np.testing.assert_array_equal(layer.forward(x), x)  # not training
    np.testing.assert_array_equal(layer.backward(x), x)
    outputs = [layer.forward(x, training=True) for _ in range(3)]
    np.testing.assert_array_equal(layer.state["masks"], [5, 3])
    assert len({out.tobytes() for out in outputs}) == 3
    assert set(np.unique(outputs[2])) == {np.float32(0), np.float32(1 / 0.75)}
    np.testing.assert_array_equal(layer.backward(2 * x), 2 * outputs[2])


def test_no_mask_is_drawn_without_a_rate() -> None:
    layer = Dropout(0.0, seed=5)
    layer.build((None, 4))
    layer.forward(X, training=True)
    np.testing.assert_array_equal(layer.state["masks"], [5, 0])

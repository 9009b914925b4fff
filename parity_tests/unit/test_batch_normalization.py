"""BatchNormalization: values by hand, gradients, moving statistics, inference, files, resumed runs."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.robustness.interrupted import Data, everything, fit, interrupt
from scratch import gradient_check
from scratch.callbacks import BackupAndRestore, EarlyStopping
from scratch.files import FileError
from scratch.layers import BatchNormalization, Dense, Input
from scratch.models import Sequential, load_model
from scratch.ops import BACKENDS
from scratch.utils import clear_session, set_random_seed

X = np.random.default_rng(1).normal(loc=3, scale=2, size=(8, 4))
Y = np.arange(8) % 3


def network(backend: str = "numpy", **options: Any) -> Sequential:
    clear_session()
    set_random_seed(3)
    normalization = BatchNormalization(momentum=0.5, **options)
    model = Sequential([Input((4,)), Dense(6), normalization, Dense(3, "softmax")], backend=backend)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_by_hand() -> None:
    layer = BatchNormalization(momentum=0.75, epsilon=0.0, dtype="float64")
    x = np.array([[1.0, 10.0], [3.0, 30.0]])
    np.testing.assert_array_equal(layer(x), x)  # moving statistics 0 and 1
    np.testing.assert_array_equal(layer(x, training=True), [[-1, -1], [1, 1]])
    np.testing.assert_array_equal(layer.state["moving_mean"], [0.5, 5])
    np.testing.assert_array_equal(layer.state["moving_variance"], [1, 25.75])
    layer.params["gamma"][...], layer.params["beta"][...] = [2, 3], [10, 20]
    np.testing.assert_array_equal(layer(x, training=True), [[8, 17], [12, 23]])
    dx = layer.backward(np.array([[1.0, 0.0], [1.0, 2.0]]))
    np.testing.assert_array_equal(layer.grads["gamma"], [0, 2])
    np.testing.assert_array_equal(layer.grads["beta"], [2, 2])
    np.testing.assert_allclose(dx, np.zeros((2, 2)), atol=1e-15)  # two samples: out does not depend on x


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("scale", [False, True])
def test_gradients(scale: bool, center: bool) -> None:
    layer = BatchNormalization(scale=scale, center=center, dtype="float64")
    errors = gradient_check(layer, X)
    assert max(errors.values()) < 1e-7
    assert list(errors) == ["dx", *["gamma"] * scale, *["beta"] * center]
    assert list(layer.weights_by_name)[-2:] == ["moving_mean", "moving_variance"]
    np.testing.assert_array_equal(layer.state["moving_mean"], 0)  # gradient_check changes nothing


def test_gradients_of_more_axes_and_of_inference() -> None:
    x = np.random.default_rng(0).normal(size=(3, 5, 2, 4))
    layer = BatchNormalization(dtype="float64")
    assert max(gradient_check(layer, x).values()) < 1e-7
    out = layer(x)
    assert layer.params["gamma"].shape == (4,)
    np.testing.assert_allclose(layer.backward(np.ones_like(out)), 1 / np.sqrt(1.001))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis": -2}, "^axis must be an integer, -1 or more; got -2"),
        ({"gamma_initializer": "one_"}, "^Unknown initializer 'one_'"),
        ({"momentum": 1.5}, r"^momentum must be a finite number, between 0 and 1; got 1\.5"),
        ({"epsilon": -1}, "^epsilon must be a finite number, 0 or more; got -1"),
    ],
)
def test_invalid_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BatchNormalization(**arguments)


@pytest.mark.parametrize(("axis", "shape"), [(0, (None, 3)), (1, (None, 3, 3)), (2, (None, 3))])
def test_another_axis_than_the_last(axis: int, shape: tuple[int | None, ...]) -> None:
    layer = BatchNormalization(axis=axis, name="b")
    message = (
        rf"^Layer 'b' has axis={axis}, which is not the last of inputs of shape {re.escape(str(shape))}: pass axis="
    )
    with pytest.raises(ValueError, match=message + "-1, the only axis that scratch supports.$"):
        Sequential([Input(shape[1:]), layer])
    assert not layer.built


def test_one_sample_is_no_batch_with_axis_1_either() -> None:
    layer = BatchNormalization(axis=1)
    layer(np.ones((4, 3), "float32"))
    with pytest.raises(ValueError, match="one sample: pass a batch"):
        layer(np.ones(3, "float32"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_and_inference(backend: str) -> None:
    model = network(backend)
    before = model.get_weights()
    trace = model.trace(X, Y)
    z = trace["dense/out"].astype(np.float64)
    np.testing.assert_allclose(trace["batch_normalization/out"].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_equal(model.get_weights(), before)
    assert model.train_on_batch(X, Y)[0] == trace["loss"]
    np.testing.assert_array_equal(model.grads["batch_normalization/gamma"], trace["batch_normalization/dgamma"])
    state = model.layers[1].state
    np.testing.assert_allclose(state["moving_mean"], z.mean(axis=0) / 2, rtol=1e-5)
    np.testing.assert_allclose(state["moving_variance"], (1 + z.var(axis=0)) / 2, rtol=1e-5)
    after = {key: array.copy() for key, array in state.items()}
    alone, all_together = model.predict(X[:1], verbose=0), model.predict(X, verbose=0)
    np.testing.assert_allclose(alone, all_together[:1], rtol=1e-6)
    model.evaluate(X, Y, verbose=0)
    np.testing.assert_equal(state, after)


def test_weights_in_the_order_of_keras() -> None:
    model = network()
    names = ["gamma", "beta", "moving_mean", "moving_variance"]
    assert list(model.weights_by_name)[2:6] == [f"batch_normalization/{name}" for name in names]
    assert (len(model.weights), len(model.trainable_weights), model.layers[1].count_params()) == (8, 6, 24)
    assert list(model.params)[2:4] == ["batch_normalization/gamma", "batch_normalization/beta"]
    texts: list[str] = []
    model.summary(print_fn=texts.append)
    assert " Non-trainable params: 12 (48.00 B)" in texts[0]
    weights = [W + 1 for W in model.get_weights()]
    model.set_weights(weights)
    np.testing.assert_array_equal(model.layers[1].state["moving_variance"], 2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_files(backend: str, tmp_path: Path) -> None:
    model = network(backend)
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.npz")
    loaded, other = load_model(tmp_path / "m.keras", backend=backend), network(backend)
    other.load_weights(tmp_path / "m.npz")
    for twin in (loaded, other):
        np.testing.assert_equal(twin.get_weights(), model.get_weights())
    assert "batch_normalization/moving_mean" in np.load(tmp_path / "m.npz")


def test_resumed_is_bit_identical(blobs: Data, tmp_path: Path) -> None:
    blobs = blobs[0], blobs[1].argmax(axis=1)
    whole = network()
    fit(whole, blobs)
    interrupt(network(), blobs, BackupAndRestore(tmp_path, save_freq=2), at=(1, 2))
    with pytest.raises(FileError, match=r"momentum=0\.5, epsilon=0\.001, .* epsilon=0\.25"):
        fit(network(epsilon=0.25), blobs, BackupAndRestore(tmp_path, save_freq=2))
    resumed = network()
    fit(resumed, blobs, BackupAndRestore(tmp_path, save_freq=2))
    assert everything(resumed) == everything(whole)


def test_best_weights_include_the_moving_statistics() -> None:
    model = network()
    stop = EarlyStopping("loss", mode="max", patience=1, restore_best_weights=True)
    model.fit(X, Y, epochs=1, verbose=0)
    best = model.get_weights()
    model.fit(X, Y, epochs=4, verbose=0, callbacks=[stop])
    assert (model.get_weights()[4] != best[4]).any()
    assert len(stop.best_weights) == 8


def test_one_layer_in_float32_by_hand() -> None:
    """In float32 the statistics are those of float64 rounded once, and every result is float32."""
    layer, x = BatchNormalization(epsilon=0.5), np.linspace(-3, 9, 24, dtype=np.float32).reshape(8, 3)
    layer.build((None, 3))
    layer.params["gamma"][:], layer.params["beta"][:] = (2, 3, -4), (1, 0, 5)
    np.testing.assert_allclose(layer.forward(x), x / np.sqrt(1.5) * [2, 3, -4] + [1, 0, 5], rtol=1e-6)  # not training
    out = layer.forward(x, training=True)
    mean, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + 0.5)
    xn = (x - mean) / std
    np.testing.assert_allclose(out, xn * [2, 3, -4] + [1, 0, 5], rtol=1e-5, atol=1e-6)
    dout = np.cos(x)
    dx = layer.backward(dout)
    dxn = dout * np.array([2, 3, -4])
    expected = (dxn - dxn.mean(axis=0) - xn * (dxn * xn).mean(axis=0)) / std
    np.testing.assert_allclose(dx, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.grads["gamma"], (dout * xn).sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.grads["beta"], dout.sum(axis=0), rtol=1e-5, atol=1e-6)
    assert {a.dtype.name for a in (out, dx, *layer.grads.values(), *layer.state.values())} == {"float32"}


def test_a_layer_without_center_and_scale() -> None:
    layer, x = BatchNormalization(center=False, scale=False, epsilon=0.5), np.arange(6.0).reshape(3, 2)
    layer.build((None, 2))
    np.testing.assert_allclose(layer.forward(x), x / np.sqrt(1.5))


@pytest.mark.parametrize("shape", [(None,), (None, None)])
def test_the_last_axis_must_be_known(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(ValueError, match=r"^Layer 'batch_normalization.*"):
        BatchNormalization().build(shape)

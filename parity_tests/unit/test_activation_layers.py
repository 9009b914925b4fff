"""ELU, leaky ReLU and softplus: values, slopes, extreme inputs, settings, and training on both backends."""

from typing import Any

import numpy as np
import pytest

from scratch import gradient_check
from scratch.layers import ELU, Activation, Dense, Input, LeakyReLU
from scratch.models import Sequential
from scratch.ops import BACKENDS, get

X = np.array([[-2.0, -0.5, 0.0, 0.5, 2.0]])
E = np.expm1(X)
CASES = {
    "elu": (Activation("elu"), np.where(X > 0, X, E), np.where(X > 0, 1, E + 1)),
    "ELU": (ELU(0.5), np.where(X > 0, X, E / 2), np.where(X > 0, 1, (E + 1) / 2)),
    "leaky_relu": (Activation("leaky_relu"), np.where(X > 0, X, 0.2 * X), np.where(X > 0, 1, 0.2)),
    "LeakyReLU": (LeakyReLU(0.75), np.where(X > 0, X, 0.75 * X), np.where(X > 0, 1, 0.75)),
    "default slope": (LeakyReLU(), np.where(X > 0, X, 0.3 * X), np.where(X > 0, 1, 0.3)),
    "softplus": (Activation("softplus"), np.log(1 + np.exp(X)), 1 / (1 + np.exp(-X))),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_values_and_slopes(backend: str, name: str) -> None:
    layer, out, slope = CASES[name]
    twin = layer.detached()
    twin._backend = backend
    np.testing.assert_allclose(twin(X), out, rtol=1e-6)
    np.testing.assert_allclose(twin.backward(np.full_like(twin.out, 3)), 3 * slope, rtol=2e-6)


@pytest.mark.parametrize("layer_class", [ELU, LeakyReLU])
def test_gradients_with_a_setting(layer_class: Any) -> None:
    x = np.random.default_rng(0).normal(size=(5, 4))
    assert gradient_check(layer_class(0.6, dtype="float64"), np.where(np.abs(x) < 0.01, 1, x))["dx"] < 1e-7


@pytest.mark.parametrize(("layer_class", "name"), [(ELU, "alpha"), (LeakyReLU, "negative_slope")])
def test_a_setting_may_be_changed(layer_class: Any, name: str) -> None:
    layer, expected = layer_class(0.1), layer_class(0.5)
    setattr(layer, name, 0.5)
    np.testing.assert_array_equal(layer(X), expected(X))
    np.testing.assert_array_equal(layer.backward(layer.out), expected.backward(expected.out))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["elu", "leaky_relu", "softplus"])
def test_extreme_inputs(name: str, backend: str) -> None:
    forward, backward = (getattr(get(backend), f"{name}_{way}") for way in ("forward", "backward"))
    x = np.array([[-3e38, -100, -1e-30, 1e-30, 100, 3e38]], np.float32)
    out = forward(x)
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(out[0, 4:], x[0, 4:])
    np.testing.assert_array_equal(backward(np.ones_like(x), out)[0, 4:], 1)
    small = {"elu": -1e-30, "leaky_relu": 0.2 * -1e-30, "softplus": np.log(2)}[name]
    assert out[0, 2] == np.float32(small)
    assert np.isnan(forward(np.full((1, 1), np.nan, np.float32))).all()
    assert forward(np.full((1, 1), np.inf, np.float32)) == np.inf


@pytest.mark.parametrize("create", [lambda: LeakyReLU(-0.1), lambda: ELU(-0.1), lambda: ELU(None)])
def test_invalid_settings(create: Any) -> None:
    with pytest.raises(ValueError, match=r"^(negative_slope|alpha) must be a finite number, 0 or more; got"):
        create()


@pytest.mark.parametrize("name", ["elu", "leaky_relu", "softplus"])
def test_training_on_both_backends(name: str) -> None:
    x, y = np.random.default_rng(0).normal(size=(24, 4)), np.arange(24) % 3
    losses = []
    for backend in BACKENDS:
        model = Sequential([Input((4,)), Dense(6, name), Dense(3, "softmax")], backend=backend)
        model.set_weights([np.random.default_rng(i).normal(size=W.shape) for i, W in enumerate(model.get_weights())])
        model.compile("sgd", "sparse_categorical_crossentropy")
        losses.append(model.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-6)
    assert losses[0][2] < losses[0][0]


def test_the_old_name_of_the_slope() -> None:
    message = "^Argument `alpha` is deprecated. Use `negative_slope` instead.$"
    with pytest.warns(UserWarning, match=message):
        assert LeakyReLU(alpha=0.5).negative_slope == 0.5
    assert LeakyReLU().negative_slope == 0.3

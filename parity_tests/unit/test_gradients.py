"""Gradients against float64 central differences, on random shapes, and ``gradient_check`` on wrong gradients."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import scratch
from scratch import gradient_check, losses, ops
from scratch.gradients import numerical_gradient
from scratch.layers import ACTIVATIONS, Activation, Dense, Flatten, Layer, ReLU, Softmax
from scratch.models import Sequential

TOLERANCE = 1e-7
SMOOTH = {"linear", "sigmoid", "softmax", "tanh"}  # the others may have a kink at 0
sizes = st.integers(1, 7)
seeds = st.integers(0, 2**32 - 1)
activations = st.sampled_from(sorted(ACTIVATIONS))


def inputs(seed: int, *shape: int) -> np.ndarray:
    """Return random numbers of either sign, at least 0.1 away from a kink at 0."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 2, shape) * rng.choice([-1, 1], shape)


def check(part: object, x: np.ndarray, t: np.ndarray | None = None) -> None:
    """Assert that all gradients of a layer, loss or model agree with central differences."""
    errors = gradient_check(part, x, t)
    assert errors
    assert all(error < TOLERANCE for error in errors.values()), errors


def away_from_kinks(layers: list[Layer]) -> bool:
    """Return whether all inputs of activations with a kink are so far from it that no numerical gradient crosses it."""
    return all(layer.activation in SMOOTH or np.abs(layer.z).min() > 1e-2 for layer in layers)


@given(seeds, sizes, sizes, activations)
def test_activation_layers(seed: int, n: int, units: int, activation: str) -> None:
    check(Activation(activation, dtype="float64"), inputs(seed, n, units))


@given(seeds, sizes, sizes)
def test_relu_softmax_and_flatten_layers(seed: int, n: int, units: int) -> None:
    for layer in (ReLU(dtype="float64"), Softmax(dtype="float64"), Flatten(dtype="float64")):
        check(layer, inputs(seed, n, units, 2))


@given(seeds, sizes, sizes, sizes, activations, st.booleans())
def test_dense_layers(seed: int, n: int, features: int, units: int, activation: str, use_bias: bool) -> None:
    layer = Dense(units, activation, use_bias, bias_initializer="random_normal", dtype="float64")
    x = inputs(seed, n, features)
    layer(x)
    assume(away_from_kinks([layer]))
    check(layer, x)


def one_hot(rng: np.random.Generator, n: int, units: int) -> np.ndarray:
    """Return random one-hot rows (n, units)."""
    return np.eye(units)[rng.integers(units, size=n)]


@given(seeds, sizes, sizes, st.sampled_from(losses.REDUCTIONS))
def test_losses(seed: int, n: int, units: int, reduction: str) -> None:
    rng = np.random.default_rng(seed)
    t = one_hot(rng, n, units)
    probabilities = rng.uniform(0.1, 0.9, (n, units))
    for loss in losses.LOSSES.values():
        check(loss(reduction=reduction), probabilities, t)
    check(losses.SoftmaxCrossEntropy(reduction), rng.normal(scale=3, size=(n, units)), t)
    check(losses.CategoricalCrossentropy(True, 0.2, reduction), rng.normal(size=(n, units)), t)
    check(losses.SparseCategoricalCrossentropy(True, reduction), rng.normal(size=(n, units)), t)


@given(seeds, sizes, sizes)
def test_soft_targets_that_do_not_sum_to_one(seed: int, n: int, units: int) -> None:
    rng = np.random.default_rng(seed)
    check(losses.SoftmaxCrossEntropy(), rng.normal(size=(n, units)), rng.uniform(size=(n, units)))


@given(seeds, st.lists(sizes, min_size=1, max_size=4), st.data())
def test_models(seed: int, widths: list[int], data: st.DataObject) -> None:
    kinds = data.draw(st.lists(activations, min_size=len(widths), max_size=len(widths)))
    sparse, from_logits = data.draw(st.booleans()), kinds[-1] != "softmax"
    layers = [Dense(units, kind) for units, kind in zip(widths, kinds, strict=True)]
    model = Sequential(layers, dtype="float64")
    loss = losses.SparseCategoricalCrossentropy if sparse else losses.CategoricalCrossentropy
    model.compile(loss=loss(from_logits=from_logits))
    rng = np.random.default_rng(seed)
    x, t = inputs(seed, data.draw(sizes), data.draw(sizes)), rng.integers(widths[-1], size=60)
    t = t[: len(x)]
    model(x)
    model.forward(x)
    assume(away_from_kinks(model.layers))
    check(model, x, t if sparse else np.eye(widths[-1])[t])


def test_the_articles_network() -> None:
    model = Sequential([Dense(6, "relu"), Dense(5, "relu"), Dense(3), Softmax()], dtype="float64")
    model.compile(loss="categorical_crossentropy")
    x, t = inputs(1, 5, 8), np.eye(3)[[0, 1, 2, 1, 0]]
    model(x)
    model.forward(x)
    assert away_from_kinks(model.layers)
    check(model, x, t)


def test_numerical_gradient_of_a_polynomial() -> None:
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    before = x.copy()
    gradient = numerical_gradient(lambda: float((x**4).sum()), x)
    np.testing.assert_allclose(gradient, 4 * before**3, rtol=1e-10)
    np.testing.assert_array_equal(x, before)


class WrongDense(Dense):
    """A Dense layer with a relative error of 0.05 % in dW."""

    def backward(self, dout: np.ndarray, **options: bool) -> np.ndarray | None:
        dx = super().backward(dout, **options)
        self.grads["W"] = self.grads["W"] * 1.0005
        return dx


class LinearBackward(ReLU):
    """A ReLU that passes the gradient for negative inputs as well."""

    def activate_backward(self, dout: np.ndarray) -> np.ndarray:
        return dout


def test_gradient_check_rejects_wrong_gradients() -> None:
    errors = gradient_check(WrongDense(3, dtype="float64"), inputs(0, 4, 5))
    assert errors["W"] == pytest.approx(5e-4, rel=0.01)
    assert errors["dx"] < TOLERANCE
    assert gradient_check(LinearBackward(dtype="float64"), inputs(0, 4, 5))["dx"] > 0.1


class NanDense(Dense):
    """A Dense layer with a dW of NaN."""

    def backward(self, dout: np.ndarray, **options: bool) -> np.ndarray | None:
        dx = super().backward(dout, **options)
        self.grads["W"] = self.grads["W"] * np.nan
        return dx


class TwoAxesDense(Dense):
    """A Dense layer whose db has one axis too many."""

    def backward(self, dout: np.ndarray, **options: bool) -> np.ndarray | None:
        dx = super().backward(dout, **options)
        self.grads["b"] = self.grads["b"][None]
        return dx


def test_gradient_check_rejects_nan_and_wrong_shapes() -> None:
    assert gradient_check(NanDense(3, dtype="float64"), inputs(0, 4, 5))["W"] == np.inf
    assert gradient_check(TwoAxesDense(3, dtype="float64"), inputs(0, 4, 5))["b"] == np.inf
    with pytest.raises(ValueError, match="gradient_check of a loss or a model needs its targets t"):
        gradient_check(losses.SoftmaxCrossEntropy(), inputs(0, 4, 5))


def test_gradient_check_finds_small_errors_in_a_large_layer() -> None:
    class WrongDx(Dense):
        """A Dense layer with a relative error of 5e-7 in dx."""

        def backward(self, dout: np.ndarray, **options: bool) -> np.ndarray | None:
            return super().backward(dout, **options) * (1 + 5e-7)

    assert gradient_check(WrongDx(30, dtype="float64"), inputs(0, 60, 20))["dx"] == pytest.approx(5e-7, rel=0.1)


def test_gradient_check_rejects_float32() -> None:
    with pytest.raises(ValueError, match="gradient_check needs float64; create 'dense' with dtype='float64'"):
        gradient_check(Dense(3), inputs(0, 4, 5))


def test_every_activation_has_forward_and_backward() -> None:
    for activation in ACTIVATIONS:
        assert callable(getattr(ops.get("numpy"), f"{activation}_forward"))
        assert callable(getattr(ops.get("numpy"), f"{activation}_backward"))


def test_gradient_check_takes_any_function_and_arrays() -> None:
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
    squares = (x @ W) ** 2
    assert gradient_check(lambda x: (x @ W) ** 2, x, 2 * (x @ W) @ W.T)["dx"] < 1e-7
    both = gradient_check(lambda a: ((a[0] @ a[1]) ** 2).sum(), [x, W], [2 * (x @ W) @ W.T, x.T @ (x @ W)])
    assert both["x[0]"] < 1e-7
    assert both["x[1]"] == pytest.approx(0.5, rel=1e-6)  # the factor 2 is missing
    named = gradient_check(lambda p: squares.sum() * p["s"], {"s": np.array(3.0)}, {"s": squares.sum()})
    assert named["s"] < 1e-7
    with pytest.raises(ValueError, match=r"gradient_check of a function needs the gradient of x\[1\], arranged"):
        gradient_check(lambda a: a[0].sum(), [x, W], [x])


def test_gradient_check_leaves_the_arrays_as_they_are() -> None:
    x = np.arange(3.0)
    gradient_check(np.sum, x, np.ones(3))
    assert x.tolist() == [0, 1, 2]


def test_numerical_gradient_is_found_under_all_its_names() -> None:
    from scratch.gradient_check import numerical_gradient as by_old_name

    assert by_old_name is scratch.numerical_gradient is scratch.gradients.numerical_gradient
    assert scratch.gradient_check is gradient_check


def test_a_numerical_gradient_needs_float64() -> None:
    for x, found in ((np.array([3, 4]), "dtype int64"), (np.ones(2, np.float32), "dtype float32"), ([1.0], "list")):
        with pytest.raises(ValueError, match=rf"^numerical_gradient needs x as a float64 array; got {found}\.$"):
            numerical_gradient(lambda: 0.0, x)


def test_targets_of_a_loss_are_checked() -> None:
    rng, labels = np.random.default_rng(0), np.array([0, 2, 1])
    probabilities = rng.uniform(0.1, 0.9, (3, 3))
    check(losses.SparseCategoricalCrossentropy(), probabilities, labels)
    with pytest.raises(ValueError, match=r"^t must be one-hot rows of 3"):
        gradient_check(losses.CategoricalCrossentropy(), probabilities, labels)
    with pytest.raises(ValueError, match="x and t must hold the same number of samples; got 3 and 2"):
        gradient_check(losses.SparseCategoricalCrossentropy(), probabilities, labels[:2])

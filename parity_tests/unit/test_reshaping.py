"""``Reshape``, ``Rescaling``, ``InputLayer``, ``input_dim``, and samples with one axis of length 1 more or less."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scratch import gradient_check
from scratch.layers import Dense, Flatten, Input, InputLayer, Layer, Rescaling, Reshape
from scratch.models import Sequential
from scratch.ops import BACKENDS
from scratch.pixels import Pixels

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("target", "shape"), [((12,), (2, 12)), ((4, 3), (2, 4, 3)), ([2, -1, 1], (2, 2, 6, 1)), ((-1,), (2, 12))]
)
def test_reshape(target: tuple[int, ...], shape: tuple[int, ...]) -> None:
    layer = Reshape(target, dtype="float64")
    out = layer(X)
    np.testing.assert_array_equal(out, X.reshape(shape))
    assert layer.compute_output_shape((None, 3, 4)) == (None, *shape[1:])
    np.testing.assert_array_equal(layer.backward(out), X)
    assert layer.target_shape == tuple(target)
    assert all(isinstance(n, int) for n in layer.compute_output_shape((None, 3, 4))[1:])


def test_reshape_of_unknown_sizes() -> None:
    assert Reshape((2, -1)).compute_output_shape((None, None, 4)) == (None, 2, None)
    assert Reshape((2, 2)).compute_output_shape((5, None)) == (5, 2, 2)


def test_rescaling() -> None:
    layer = Rescaling(0.5, offset=-1)
    out = layer(X)
    np.testing.assert_array_equal(out, X / 2 - 1)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(layer.backward(out), out / 2)
    assert gradient_check(Rescaling(-0.3, 2.0, dtype="float64"), X)["dx"] < 1e-7


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: Reshape(12), r"^target_shape must be a tuple such as \(28, 28, 1\); got 12\.$"),
        (lambda: Reshape((2, 0)), "^each entry of target_shape must be an integer, 1 or more; got 0"),
        (lambda: Reshape((-1, -1)), r"^target_shape may have one -1; got \(-1, -1\)\.$"),
        (
            lambda: Sequential([Input((3, 4)), Reshape((5, 2), name="r")]),
            r"^Layer 'r' cannot reshape samples of shape \(3, 4\) to \(5, 2\): they have 12 values\. Choose another",
        ),
        (lambda: Sequential([Input((3, 4)), Reshape((5, -1))]), r"samples of shape \(3, 4\) to \(5, -1\)"),
        (lambda: Rescaling("1/255"), r"^scale must be a finite number; got '1/255'\.$"),
        (lambda: Rescaling(1, float("inf")), r"^offset must be a finite number; got inf\.$"),
        (lambda: Dense(2, input_dim=0), "^input_dim must be an integer, 1 or more; got 0"),
        (lambda: Dense(2, input_dim=3, input_shape=(3,)), r"^Pass input_shape or input_dim; got \(3,\) and 3\.$"),
        (lambda: InputLayer(), r"^shape must be a tuple such as \(784,\), the shape of one sample; got None\.$"),
        (
            lambda: Input(batch_shape=(8, 3)),
            r"^Pass shape, or batch_shape such as \(None, 784\); got None and \(8, 3\)\.$",
        ),
        (
            lambda: Input((3,), batch_shape=(None, 3)),
            r"^Pass shape, or batch_shape such as \(None, 784\); got \(3,\) and",
        ),
        (lambda: InputLayer((3,), input_shape=(3,)), r"^Pass shape or input_shape; got \(3,\) and \(3,\)\.$"),
        (lambda: InputLayer(input_shape=()), "^shape must be a tuple such as"),
    ],
)
def test_invalid_arguments(create: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create()


def test_input_dim() -> None:
    model = Sequential([Dense(2, input_dim=5)])
    assert model.input_shape == (None, 5)
    assert Flatten(input_dim=3).batch_input_shape == (None, 3)


@pytest.mark.parametrize("first", [InputLayer((3, 4)), InputLayer(input_shape=(3, 4)), InputLayer(shape=[3, 4])])
def test_input_layer(first: InputLayer) -> None:
    model = Sequential([first, Flatten(), Dense(2)])
    assert model.input_shape == (None, 3, 4)
    assert len(model.layers) == 2


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("pixels", [False, True])
def test_a_last_axis_of_length_1_is_added_or_removed(backend: str, pixels: bool) -> None:
    x = np.random.default_rng(0).integers(256, size=(8, 3, 4)).astype(np.uint8)
    given: Any = Pixels(x) if pixels else x / 255
    more: Any = Pixels(x[..., None]) if pixels else x[..., None] / 255
    y = np.arange(8) % 2
    for shape, same, other in (((3, 4), given, more), ((3, 4, 1), more, given)):
        model = Sequential([Input(shape), Flatten(), Dense(2, "softmax")], backend=backend)
        model.compile("sgd", "sparse_categorical_crossentropy")
        np.testing.assert_array_equal(model.predict(other, verbose=0), model.predict(same, verbose=0))
        np.testing.assert_array_equal(model(other), model(same))
        assert model.evaluate(other, y, verbose=0) == model.evaluate(same, y, verbose=0)
        weights = model.get_weights()
        history = model.fit(other, y, verbose=0, shuffle=False).history
        after = model.get_weights()
        model.set_weights(weights)
        assert model.fit(same, y, verbose=0, shuffle=False).history == history
        np.testing.assert_equal(model.get_weights(), after)


def test_other_shapes_are_still_rejected() -> None:
    model = Sequential([Input((3, 4, 2)), Flatten(), Dense(2)])
    for shape in ((5, 3, 4), (5, 3, 4, 2, 2), (5, 3, 4, 1)):
        with pytest.raises(ValueError, match=r"expects input of shape \(None, 3, 4, 2\)"):
            model(np.ones(shape))


def test_gradient_of_rescaling() -> None:
    layer = Rescaling(-2.0, dtype="float64")
    np.testing.assert_array_equal(layer(X), -2 * X)  # without an offset
    np.testing.assert_array_equal(layer.backward(X), -2 * X)


@pytest.mark.parametrize("layer", [Reshape((12,)), Flatten(), Rescaling(2.0)])
def test_the_gradient_of_a_layer_without_parameters(layer: Layer) -> None:
    out = layer(X)
    np.testing.assert_array_equal(layer.backward(out), X * (4 if isinstance(layer, Rescaling) else 1))


def test_arguments_of_an_input_layer() -> None:
    for layer in (
        InputLayer((3,), dtype="float64", name="digits"),
        InputLayer(input_shape=(3,), dtype="float64", name="digits"),
    ):
        assert (layer.dtype, layer.name) == (np.float64, "digits")
        assert Sequential([layer, Dense(2)]).input_shape == (None, 3)
    assert InputLayer((3,)).dtype == np.float32

"""Images that stay bytes train and predict as their numbers do, bit for bit."""

from typing import Any

import numpy as np
import pytest

from scratch.layers import Dense, Flatten
from scratch.models import Sequential
from scratch.ops import BACKENDS
from scratch.optimizers import SGD
from scratch.pixels import Pixels
from scratch.utils import clear_session, set_random_seed, to_categorical

Images = np.ndarray


@pytest.fixture
def images(rng: np.random.Generator) -> Images:
    """Ninety-three pictures of 5×4 pixels with every byte there is."""
    pictures = rng.integers(256, size=(93, 5, 4), dtype=np.uint8)
    pictures.reshape(-1)[:256] = np.arange(256)
    return pictures


def fitted(x: Any, backend: str, dtype: str, momentum: float) -> Sequential:
    set_random_seed(0)
    clear_session()
    layers = [Flatten(input_shape=(5, 4)), Dense(40, activation="relu"), Dense(3, activation="softmax")]
    model = Sequential(layers, backend=backend, dtype=dtype)
    model.compile(SGD(0.1, momentum), "categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, to_categorical(np.arange(93) % 3), batch_size=20, epochs=2, verbose=0, validation_split=0.2)
    return model


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])  # without, the fused step trains
def test_bytes_train_as_their_numbers(images: Images, backend: str, dtype: str, momentum: float) -> None:
    numbers = images / np.float32(255)
    assert numbers.dtype == np.float32
    ours = fitted(Pixels(images), backend, dtype, momentum)
    theirs = fitted(numbers, backend, dtype, momentum)
    assert ours.history.history == theirs.history.history
    for W, V in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(W, V)
    t = to_categorical(np.arange(93) % 3)
    assert ours.evaluate(Pixels(images), t, verbose=0) == theirs.evaluate(numbers, t, verbose=0)
    for method in ("predict_on_batch", "__call__"):
        np.testing.assert_array_equal(getattr(ours, method)(Pixels(images)), getattr(theirs, method)(numbers))
    np.testing.assert_array_equal(ours.predict(Pixels(images), verbose=0), theirs.predict(numbers, verbose=0))
    trace = theirs.trace(numbers[:7], t[:7])
    for name, tensor in ours.trace(Pixels(images[:7]), t[:7]).items():
        np.testing.assert_array_equal(tensor, trace[name])


def test_pixels_are_indexed_and_turned_into_numbers(images: Images) -> None:
    pixels = Pixels(images)
    assert (len(pixels), pixels.shape, pixels.dtype) == (93, (93, 5, 4), np.float32)
    some = np.asarray(pixels[np.array([4, 2])])
    assert some.dtype == np.float32
    np.testing.assert_array_equal(some, images[[4, 2]].astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(pixels[2:5].astype("float64"), np.asarray(pixels)[2:5].astype(np.float64))


def test_training_leaves_the_bytes_alone(images: Images) -> None:
    before = images.copy()
    images.flags.writeable = False
    fitted(Pixels(images), "numba", "float32", 0.0)
    np.testing.assert_array_equal(images, before)


def test_only_bytes_are_pixels(images: Images) -> None:
    with pytest.raises(ValueError, match=r"array of uint8; got float64\. Give other numbers to the model as they are"):
        Pixels(images / 255)
    with pytest.raises(ValueError, match="array of uint8; got list"):
        Pixels([[1, 2]])  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", BACKENDS)
def test_pixels_of_another_shape_are_refused(images: Images, backend: str) -> None:
    model = fitted(Pixels(images), backend, "float32", 0.0)
    with pytest.raises(ValueError, match=r"expects input of shape \(None, 5, 4\); got \(None, 4, 5\)"):
        model.predict(Pixels(images.reshape(93, 4, 5)), verbose=0)
    with pytest.raises(ValueError, match="x and y must hold the same number of samples; got 93 and 92"):
        model.fit(Pixels(images), to_categorical(np.arange(92) % 3), verbose=0)

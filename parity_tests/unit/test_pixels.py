"""``Pixels`` trains and predicts bit-identically to the float32 array it stands for."""

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
    """Return 93 images of 5×4 pixels in which every byte occurs."""
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
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_pixels_and_floats_give_identical_results(images: Images, backend: str, dtype: str, momentum: float) -> None:
    floats = images / np.float32(255)
    assert floats.dtype == np.float32
    ours = fitted(Pixels(images), backend, dtype, momentum)
    theirs = fitted(floats, backend, dtype, momentum)
    assert ours.history.history == theirs.history.history
    for W, V in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(W, V)
    t = to_categorical(np.arange(93) % 3)
    assert ours.evaluate(Pixels(images), t, verbose=0) == theirs.evaluate(floats, t, verbose=0)
    for method in ("predict_on_batch", "__call__"):
        np.testing.assert_array_equal(getattr(ours, method)(Pixels(images)), getattr(theirs, method)(floats))
    np.testing.assert_array_equal(ours.predict(Pixels(images), verbose=0), theirs.predict(floats, verbose=0))
    trace = theirs.trace(floats[:7], t[:7])
    for name, tensor in ours.trace(Pixels(images[:7]), t[:7]).items():
        np.testing.assert_array_equal(tensor, trace[name])


def test_pixels_are_indexed_and_converted(images: Images) -> None:
    pixels = Pixels(images)
    assert (len(pixels), pixels.shape, pixels.dtype) == (93, (93, 5, 4), np.float32)
    some = np.asarray(pixels[np.array([4, 2])])
    assert some.dtype == np.float32
    np.testing.assert_array_equal(some, images[[4, 2]].astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(pixels[2:5].astype("float64"), np.asarray(pixels)[2:5].astype(np.float64))


def test_training_does_not_change_the_bytes(images: Images) -> None:
    before = images.copy()
    images.flags.writeable = False
    fitted(Pixels(images), "numba", "float32", 0.0)
    np.testing.assert_array_equal(images, before)


def test_other_data_than_bytes_is_rejected(images: Images) -> None:
    with pytest.raises(
        ValueError, match=r"needs a uint8 array; got dtype float64\. Pass other data to the model directly"
    ):
        Pixels(images / 255)
    with pytest.raises(ValueError, match="needs a uint8 array; got list"):
        Pixels([[1, 2]])  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", BACKENDS)
def test_pixels_of_another_shape_are_rejected(images: Images, backend: str) -> None:
    model = fitted(Pixels(images), backend, "float32", 0.0)
    with pytest.raises(ValueError, match=r"expects input of shape \(None, 5, 4\); got \(None, 4, 5\)"):
        model.predict(Pixels(images.reshape(93, 4, 5)), verbose=0)
    with pytest.raises(ValueError, match="x and y must hold the same number of samples; got 93 and 92"):
        model.fit(Pixels(images), to_categorical(np.arange(92) % 3), verbose=0)

"""Samples of any dtype and memory layout train the same bits, without a copy of the whole data set."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from parity_tests.unit.trainings import classifier
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.pixels import Pixels
from scratch.utils import set_random_seed

LAYOUTS: dict[str, Callable[[np.ndarray, Path], np.ndarray]] = {
    "uint8": lambda x, _: x,
    "float16": lambda x, _: x.astype("float16"),
    "float32": lambda x, _: x.astype("float32"),
    "float64": lambda x, _: x.astype("float64"),
    "int64": lambda x, _: x.astype("int64"),
    "big-endian": lambda x, _: x.astype(">f4"),
    "Fortran": lambda x, _: np.asfortranarray(x.astype("float32")),
    "strided": lambda x, _: np.repeat(x, 2, axis=1)[:, ::2],
    "reversed": lambda x, _: x[::-1].copy()[::-1],
    "read-only": lambda x, _: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "list": lambda x, _: x.tolist(),
    "memory map": lambda x, path: (np.save(path / "x.npy", x), np.load(path / "x.npy", mmap_mode="r"))[1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_dtype_and_layout_do_not_change_the_bits(layout: str, tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.integers(0, 5, size=(60, 4)).astype("uint8")
    y = np.eye(3)[np.arange(60) % 3]
    data = LAYOUTS[layout](x, tmp_path)
    before = np.array(data)
    results = []
    for samples in (x, data):
        set_random_seed(1)
        model = classifier()
        model.fit(samples, y, batch_size=16, epochs=2, verbose=0)
        results.append([*model.get_weights(), model.predict(samples, verbose=0)])
    for a, b in zip(*results, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(np.array(data), before)


def test_the_data_set_is_not_copied(tmp_path: Path) -> None:
    """Training on a memory map of 64 MB takes a few MB more than its batches."""
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "uint8", (64_000, 1000))
    y = np.zeros(64_000, "uint8")
    model = Sequential([Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    tracemalloc.start()
    model.fit(x, y, batch_size=1000, verbose=0)
    model.predict(x, batch_size=1000, verbose=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6


def test_pixels_are_not_converted_before_they_are_used() -> None:
    pixels = Pixels(np.zeros((3, 4), "uint8"))
    assert classifier().check_inputs(pixels) is pixels

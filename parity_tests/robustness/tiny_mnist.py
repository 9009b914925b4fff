"""A tiny data set that counts as MNIST during a test, and functions that write it to files and damage them."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from scratch.datasets import mnist
from scratch.datasets.idx import FILE_NAMES

Arrays = dict[str, np.ndarray]
TRAIN_IMAGES = FILE_NAMES["x_train"]


def replace_mnist(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Return a tiny data set, and make its checksums those of MNIST until the test ends."""
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(256, size=(30, 28, 28), dtype="uint8"),
        "y_train": np.arange(30, dtype="uint8") % 10,
        "x_test": rng.integers(256, size=(20, 28, 28), dtype="uint8"),
        "y_test": np.arange(20, dtype="uint8") % 10,
    }
    monkeypatch.setattr(mnist, "CHECKSUMS", {key: mnist.md5(array) for key, array in arrays.items()})
    return arrays


def idx_bytes(array: np.ndarray) -> bytes:
    """Return the content of an IDX file, encoded independently of scratch."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.tobytes()


def write_npz(path: Path, arrays: Arrays) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


def write_idx(folder: Path, arrays: Arrays, compress: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for key, name in FILE_NAMES.items():
        content = idx_bytes(arrays[key])
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


def is_same(data: mnist.Dataset, arrays: Arrays) -> bool:
    loaded = dict(zip(("x_train", "y_train", "x_test", "y_test"), (*data.train, *data.test), strict=True))
    return all(np.array_equal(loaded[key], arrays[key]) and loaded[key].dtype == np.uint8 for key in arrays)


def truncate(path: Path) -> None:
    """Remove the second half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage(path: Path) -> None:
    """Invert one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)

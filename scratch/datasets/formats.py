"""Formats of image data sets: choose a reader by what the path is, and check the arrays.

A reader takes a path and returns the arrays ``x_train, y_train, x_test, y_test``.  To support another format, write
its reader in a module of its own and add an entry to ``FORMATS``.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratch.datasets import idx
from scratch.files import FileError
from scratch.saving.npz import read_arrays
from scratch.utils import Array

KEYS = ("x_train", "y_train", "x_test", "y_test")


def read_npz(path: Path) -> dict[str, Array]:
    """Return the arrays of an ``.npz`` in the layout of Keras's ``mnist.npz``.

    Raises:
        FileError: if the file does not exist, cannot be read, or lacks an array.
    """
    if not path.exists():
        raise FileError(f"{path} does not exist; expected {EXPECTED}.")
    arrays = read_arrays(path)
    for key in KEYS:
        if key not in arrays:
            raise FileError(f"{path} has no array {key!r}; the layout of mnist.npz is {', '.join(KEYS)}.")
    return {key: arrays[key] for key in KEYS}


class Format(NamedTuple):
    """One format of a data set.

    Attributes:
        description: what a user passes, for the help text and an error message.
        matches: whether a path is in this format.
        read: returns the four arrays of the path.
    """

    description: str
    matches: Callable[[Path], bool]
    read: Callable[[Path], dict[str, Array]]


# The first format that matches is used.  Only .npz takes every path: its error says what is wrong with the file.
FORMATS = (
    Format("a folder with the IDX files", Path.is_dir, idx.read_folder),
    Format("mnist.npz", lambda path: True, read_npz),
)
EXPECTED = " or ".join(entry.description for entry in reversed(FORMATS))


def given_path(path: str | os.PathLike[str] | None, variable: str) -> Path | None:
    """Return the path that the user names, as an argument or in an environment variable; None if there is none."""
    if path is not None and not os.fspath(path):
        raise ValueError("path must name a file or a folder; got an empty name.")
    given = os.environ.get(variable) if path is None else path
    return Path(given) if given else None


def read(path: Path) -> dict[str, Array]:
    """Return the arrays of a data set: uint8 images (N, height, width) and uint8 labels (N,).

    Raises:
        FileError: if the path cannot be read, or its arrays are not images and their labels.
    """
    arrays = next(entry for entry in FORMATS if entry.matches(path)).read(path)
    for images, labels in (("x_train", "y_train"), ("x_test", "y_test")):
        arrays[labels] = _check_samples(path, images, arrays[images], labels, arrays[labels])
    sizes = [arrays[key].shape[1:] for key in ("x_train", "x_test")]
    if sizes[0] != sizes[1]:
        raise FileError(f"{path}: x_train and x_test must have images of one size; got {sizes[0]} and {sizes[1]}.")
    return arrays


def _check_samples(path: Path, images: str, x: Array, labels: str, y: Array) -> Array:
    """Return the labels y as uint8."""
    if x.dtype != np.uint8 or x.ndim != 3 or len(x) == 0:
        raise FileError(f"{path}: {images} must be uint8 images (N, height, width); got {x.dtype} {x.shape}.")
    if y.dtype.kind not in "iu" or y.shape != (len(x),):
        raise FileError(f"{path}: {labels} must be {len(x):,} integer labels; got {y.dtype} {y.shape}.")
    if y.min() < 0 or y.max() > 255:
        raise FileError(f"{path}: {labels} must be labels from 0 to 255; got {y.min()} to {y.max()}.")
    return y.astype(np.uint8)

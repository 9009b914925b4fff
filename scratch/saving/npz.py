"""NumPy's .npz: arrays of numbers by name, in a file that anyone with NumPy can open.  Nothing in it is a pickle."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scratch.files import FileError, replacing
from scratch.saving.zips import read_entries
from scratch.utils import Array

# The header of an array of numbers, as NumPy writes it and nothing else: magic, version, length; then dtype, order and
# shape as Python would write them, but read with this pattern instead of evaluated.
SIZE = rb"(?:0|[1-9]\d{0,17})"
HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)"
    rb"\{'descr': '([<>|][biuf][1248])', 'fortran_order': (True|False), "
    rb"'shape': \((|%b,|%b(?:, ?%b)+)\), \} *\n" % (SIZE, SIZE, SIZE),
    re.DOTALL,
)


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write arrays of numbers, by name, to an .npz that ``numpy.load`` opens.

    Raises:
        FileError: if the file can't be written; the one before it is kept.
    """
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, **dict(arrays))  # type: ignore[arg-type]


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Return all arrays of an .npz, by name.

    Returns:
        Arrays of bool, integer or real floating-point numbers, in the machine's byte order.

    Raises:
        FileError: if the file is missing, damaged, or holds anything but arrays of such numbers.
    """
    file = Path(path)
    return {
        name.removesuffix(".npy"): _array(file, name, content) for name, content in read_entries(file, ".npz").items()
    }


def _array(file: Path, name: str, content: bytearray) -> Array:
    """The array of an .npy file, whose header must declare exactly the bytes that are there."""
    header = HEADER.match(content)
    if header is None or header.end() != 10 + int.from_bytes(header[1], "little"):
        raise FileError(f"{file} is not a readable .npz file: its entry {name!r} is not an array of plain numbers.")
    descr, order, sizes = (group.decode() for group in header.groups()[1:])
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    data = memoryview(content)[header.end() :]
    try:
        array = np.frombuffer(data, descr).reshape(shape, order="F" if order == "True" else "C")
    except (TypeError, ValueError):  # no such dtype, too many axes, or another number of bytes
        raise FileError(
            f"{file} is not a readable .npz file: its entry {name!r} should be {descr} {shape} by its header; "
            f"{len(data):,} bytes follow."
        ) from None
    return np.require(array.astype(array.dtype.newbyteorder("="), copy=False), requirements=["ALIGNED", "WRITEABLE"])

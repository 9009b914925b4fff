"""Read and write NumPy's .npz files: arrays of numbers, by name.  Pickled objects are rejected."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scratch.files import FileError, replacing
from scratch.saving.zips import read_entries
from scratch.utils import Array

# The header that NumPy writes for an array of numbers: magic, version, length; then a Python dictionary of dtype, order
# and shape, which is matched with this pattern instead of evaluated.
SIZE = rb"(?:0|[1-9]\d{0,17})"
HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)"
    rb"\{'descr': '([<>|][biuf][1248])', 'fortran_order': (True|False), "
    rb"'shape': \((|%b,|%b(?:, ?%b)+)\), \} *\n" % (SIZE, SIZE, SIZE),
    re.DOTALL,
)


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write arrays of numbers, by name, to an .npz file that ``numpy.load`` opens.

    Raises:
        FileError: if the file cannot be written; an existing file is kept.
    """
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, **dict(arrays))  # type: ignore[arg-type]


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Return all arrays of an .npz file, by name.

    Returns:
        Arrays of bool, integer or real floating-point numbers, in the machine's byte order.

    Raises:
        FileError: if the file is missing or damaged, or holds anything but arrays of such numbers.
    """
    file = Path(path)
    return {
        name.removesuffix(".npy"): _parse_array(file, name, content)
        for name, content in read_entries(file, ".npz").items()
    }


def _parse_array(file: Path, name: str, content: bytearray) -> Array:
    """Return the array of an .npy file, whose header must declare exactly the number of bytes that follow it."""
    header = HEADER.match(content)
    if header is None or header.end() != 10 + int.from_bytes(header[1], "little"):
        raise FileError(f"{file} is not a readable .npz file: its entry {name!r} is not an array of plain numbers.")
    descr, order, sizes = (group.decode() for group in header.groups()[1:])
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    data = memoryview(content)[header.end() :]
    try:
        array = np.frombuffer(data, descr).reshape(shape, order="F" if order == "True" else "C")
    except (TypeError, ValueError):  # an unknown dtype, too many axes, or another number of bytes
        raise FileError(
            f"{file} is not a readable .npz file: its entry {name!r} should be {descr} {shape} by its header; "
            f"{len(data):,} bytes follow."
        ) from None
    return np.require(array.astype(array.dtype.newbyteorder("="), copy=False), requirements=["ALIGNED", "WRITEABLE"])

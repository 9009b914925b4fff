"""Read and write HDF5 files as Keras uses them for weights: nested groups that contain plain arrays of numbers.

h5py writes the files.  ``hdf5_reader`` reads them, since a file from an untrusted source can crash h5py's C library.
"""

import io
from collections.abc import Mapping

from scratch.saving.hdf5_reader import MAX_OBJECTS, read_datasets
from scratch.utils import Array


def to_bytes(arrays: Mapping[str, Array], names: Mapping[str, str]) -> bytes:
    """Return the content of an HDF5 file.

    Args:
        arrays: by path, such as ``'layers/dense/vars/0'``.
        names: the attribute ``name`` of groups, by path.  A group may have no arrays.

    Raises:
        ValueError: if the file would have more groups and arrays than ``from_bytes`` accepts.
    """
    import h5py  # type: ignore[import-untyped]

    objects = 2 * len(names) + len(arrays) + 1  # a group, its parent, the root
    if objects > MAX_OBJECTS:
        raise ValueError(
            f"The model needs {objects:,} groups and arrays; a weights file holds at most {MAX_OBJECTS:,}."
        )
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for path, name in names.items():
            file.create_group(path).attrs["name"] = name
        for path, array in arrays.items():
            file[path] = array
    return buffer.getvalue()


def from_bytes(content: bytes | bytearray) -> dict[str, Array]:
    """Return all arrays of an HDF5 file, by path.

    Args:
        content: the content of the file.

    Raises:
        ValueError: if the content is not HDF5, is damaged, or uses a feature that Keras does not use.
    """
    try:
        return read_datasets(content)
    except ValueError as error:
        raise ValueError(f"The weights cannot be read: {error}") from None

"""Read and write HDF5 files as Keras uses them for weights: nested groups that contain plain arrays of numbers.

Many features of HDF5 are dangerous in a file from an untrusted source.  The reader rejects those that Keras does not
use: links to other files, data outside the file, filters, and arrays that are larger than the file.
"""

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from scratch.utils import Array

# h5py has no type annotations.  It is imported where it is used, since its import takes 30 ms.
File = Any
Group = Any
Dataset = Any

MAX_DEPTH = 8  # of nested groups; a file of a Sequential has four
MAX_OBJECTS = 10_000  # groups and arrays in a file


def to_bytes(arrays: Mapping[str, Array], names: Mapping[str, str]) -> bytes:
    """Return the content of an HDF5 file.

    Args:
        arrays: by path, such as ``'layers/dense/vars/0'``.
        names: the attribute ``name`` of groups, by path.  A group may have no arrays.
    """
    import h5py  # type: ignore[import-untyped]

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
    import h5py

    _check_trees(content)
    try:
        with h5py.File(io.BytesIO(content), "r") as opened:
            datasets = _find_datasets(opened)
            declared = sum(dataset.nbytes for dataset in datasets.values())
            if declared > len(content):
                raise ValueError(f"its arrays need {declared:,} bytes, but the file has {len(content):,}")
            return {path: np.asarray(dataset[()]) for path, dataset in datasets.items()}
    # The exceptions that h5py raises for damaged files.
    except (
        OSError,
        ValueError,
        RuntimeError,
        KeyError,
        TypeError,
        AttributeError,
        MemoryError,
        OverflowError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"The weights cannot be read ({reason}).") from None


def _check_trees(content: bytes | bytearray) -> None:
    """Raise a ``ValueError`` if the names of a group take more than one node of a B-tree.

    Nodes that point to each other in a circle would make HDF5 allocate memory without end.  One node has no neighbours,
    and holds at least 128 names, more than an archive's maximum number of layers.
    """
    for node in re.finditer(rb"TREE\0", content):
        level_and_siblings = bytes(content[node.start() + 5 : node.start() + 24])
        if level_and_siblings[:1] != b"\0" or level_and_siblings[3:] != b"\xff" * 16:
            raise ValueError("The weights cannot be read (a group has more names than one node holds).")


def _find_datasets(file: File) -> dict[str, Dataset]:
    """Return the arrays of all groups, by path, without reading their values."""
    import h5py

    found: dict[str, Dataset] = {}
    groups: list[tuple[str, Group]] = [("", file)]
    objects = 0
    for path, group in groups:  # the loop appends to the list
        if path.count("/") > MAX_DEPTH:
            raise ValueError(f"{path} has more than {MAX_DEPTH} nested groups")
        for name in group:
            objects += 1
            if objects > MAX_OBJECTS:
                raise ValueError(f"the file has more than {MAX_OBJECTS:,} groups and arrays")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{path}{name} is a link to another place")
            item = group[name]
            if isinstance(item, h5py.Group):
                groups.append((f"{path}{name}/", item))
            elif isinstance(item, h5py.Dataset):
                _check_plain(f"{path}{name}", item)
                found[f"{path}{name}"] = item
            else:
                raise ValueError(f"{path}{name} is neither a group nor an array")
    return found


def _check_plain(path: str, dataset: Dataset) -> None:
    """Raise a ``ValueError`` unless the numbers of an array are stored in one piece that has the size of its shape."""
    import h5py

    if dataset.dtype.kind not in "biuf" or dataset.dtype.fields or dataset.dtype.subdtype:
        raise ValueError(f"{path} does not hold numbers, but {dataset.dtype}")
    plist = dataset.id.get_create_plist()
    if plist.get_layout() != h5py.h5d.CONTIGUOUS or plist.get_external_count() or plist.get_nfilters():
        raise ValueError(f"{path} is compressed, in chunks or in another file")
    if dataset.shape is None or dataset.id.get_storage_size() != dataset.nbytes:
        raise ValueError(f"{path} needs {dataset.nbytes} bytes for its shape, but has another number of bytes")

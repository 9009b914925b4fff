"""HDF5 as Keras uses it for weights: groups within groups, and in them plain arrays of numbers.

HDF5 can do much more, and none of it is taken from a stranger's file: no links to elsewhere, no data outside the file,
no filters, and no array that is larger than the file which is to hold it.
"""

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from scratch.utils import Array

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]

DEPTH = 8  # groups within groups; Keras's files of a Sequential have four
OBJECTS = 10_000  # groups and arrays in a file


def to_bytes(arrays: Mapping[str, Array], names: Mapping[str, str]) -> bytes:
    """The content of a file.

    Args:
        arrays: by path, such as ``'layers/dense/vars/0'``.
        names: the attribute ``name`` of groups, by path; a group may have no arrays.
    """
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for path, name in names.items():
            file.create_group(path).attrs["name"] = name
        for path, array in arrays.items():
            file[path] = array
    return buffer.getvalue()


def from_bytes(content: bytes | bytearray) -> dict[str, Array]:
    """All arrays of a file, by path.

    Raises:
        ValueError: if it is not HDF5, is damaged, or holds anything that Keras doesn't write.
    """
    import h5py

    _check_trees(content)
    try:
        with h5py.File(io.BytesIO(content), "r") as opened:
            found = _datasets(opened)
            declared = sum(dataset.nbytes for dataset in found.values())
            if declared > len(content):
                raise ValueError(
                    f"its arrays would take {declared:,} bytes, more than the {len(content):,} that it has"
                )
            return {path: np.asarray(dataset[()]) for path, dataset in found.items()}
    # What h5py raises for a file that is damaged in one way or another.
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
        raise ValueError(f"the weights can't be read ({reason}).") from None


def _check_trees(content: bytes | bytearray) -> None:
    """Refuse groups whose tree of names is more than one node: in a circle of nodes HDF5 runs until memory is full.

    One node holds at least 128 names, more than a model may have layers; it has no neighbour.
    """
    for node in re.finditer(rb"TREE\0", content):
        level_and_sides = bytes(content[node.start() + 5 : node.start() + 24])
        if level_and_sides[:1] != b"\0" or level_and_sides[3:] != b"\xff" * 16:
            raise ValueError("the weights can't be read (a group of theirs has more names than one node holds).")


def _datasets(file: "h5py.File") -> "dict[str, h5py.Dataset]":
    """The arrays of all groups, by path; none of them is read yet."""
    import h5py

    found: dict[str, h5py.Dataset] = {}
    groups: list[tuple[str, h5py.Group]] = [("", file)]
    objects = 0
    for path, group in groups:  # grows on the way
        if path.count("/") > DEPTH:
            raise ValueError(f"{path} is too deep")
        for name in group:
            objects += 1
            if objects > OBJECTS:
                raise ValueError(f"it has more than {OBJECTS:,} groups and arrays")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{path}{name} is a link to somewhere else")
            item = group[name]
            if isinstance(item, h5py.Group):
                groups.append((f"{path}{name}/", item))
            elif isinstance(item, h5py.Dataset):
                found[f"{path}{name}"] = _plain(f"{path}{name}", item)
            else:
                raise ValueError(f"{path}{name} is neither a group nor an array")
    return found


def _plain(path: str, dataset: "h5py.Dataset") -> "h5py.Dataset":
    """The array, if its numbers lie in the file one after the other, as many as its shape says."""
    import h5py

    if dataset.dtype.kind not in "biuf" or dataset.dtype.fields or dataset.dtype.subdtype:
        raise ValueError(f"{path} does not hold numbers, but {dataset.dtype}")
    plist = dataset.id.get_create_plist()
    if plist.get_layout() != h5py.h5d.CONTIGUOUS or plist.get_external_count() or plist.get_nfilters():
        raise ValueError(f"{path} is packed, in pieces or in another file")
    if dataset.shape is None or dataset.id.get_storage_size() != dataset.nbytes:
        raise ValueError(f"{path} should take {dataset.nbytes} bytes for its shape, and has another number")
    return dataset

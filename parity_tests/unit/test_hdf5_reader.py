"""The HDF5 reader returns what h5py returns for files of h5py and scratch, and rejects everything else by name."""

import io
import itertools
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from parity_tests.unit.hdf5_writer import (
    Writer,
)
from scratch.layers import Dense, Input
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.saving import weights
from scratch.saving.hdf5_reader import read_datasets

KINDS = ["f2", "f4", "f8", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8))]
SHAPES: list[tuple[int, ...]] = [(), (1,), (7,), (3, 4), (2, 3, 5), (1,) * 32, (0,), (0, 4), (3, 0, 2)]


def write(change: Callable[[h5py.File], object], **options: Any) -> bytes:
    """Return the file of h5py after ``change``."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        change(file)
    return buffer.getvalue()


def assert_as_h5py(content: bytes) -> dict[str, np.ndarray]:
    """Check that the reader returns the paths, shapes, dtypes and bits that h5py does, and return the arrays."""
    arrays = read_datasets(content)
    expected: dict[str, np.ndarray] = {}
    with h5py.File(io.BytesIO(content), "r") as file:
        groups = [("", file)]
        for prefix, group in groups:  # breadth first
            for name, item in group.items():
                if isinstance(item, h5py.Group):
                    groups.append((f"{prefix}{name}/", item))
                else:
                    expected[f"{prefix}{name}"] = np.asarray(item[()])
    assert list(arrays) == list(expected)
    for path, array in arrays.items():
        assert array.shape == expected[path].shape
        assert array.dtype == expected[path].dtype.newbyteorder("=")
        assert array.tobytes() == expected[path].astype(array.dtype).tobytes()
        assert array.flags.owndata
        assert array.flags.writeable
        assert array.flags.aligned
    return arrays


# --- valid files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_dtype_and_shape(kind: str, order: str, rng: np.random.Generator) -> None:
    dtype = np.dtype(order + kind)

    def fill(file: h5py.File) -> None:
        for i, shape in enumerate(SHAPES):
            file[f"{i}"] = np.frombuffer(rng.bytes(int(np.prod(shape)) * dtype.itemsize), dtype).reshape(shape)

    assert len(assert_as_h5py(write(fill))) == len(SHAPES)


@pytest.mark.parametrize("count", [0, 1, 8, 9, 256, 257, 3000])
def test_groups_of_any_size(count: int) -> None:
    """Eight links fill a symbol table node, 32 nodes a B-tree node; 3,000 links take two levels."""
    arrays = assert_as_h5py(write(lambda file: [file.create_dataset(f"group/{i}", data=i) for i in range(count)]))
    assert {path: int(array) for path, array in arrays.items()} == {f"group/{i}": i for i in range(count)}


def test_nested_groups_are_read_breadth_first() -> None:
    paths = ["b/c/d/e/0", "a/1", "a/0", "z", "b/層/0", "b/c/0"]
    arrays = assert_as_h5py(write(lambda file: [file.create_dataset(path, data=1) for path in paths]))
    assert list(arrays) == ["z", "a/0", "a/1", "b/c/0", "b/層/0", "b/c/d/e/0"]


def test_attributes_times_and_fill_values_are_skipped() -> None:
    def fill(file: h5py.File) -> None:
        dataset = file.create_dataset("group/x", data=np.arange(5), fillvalue=3, track_times=True)
        file["group"].attrs["long"] = "x" * 60_000
        h5py.h5o.set_comment(file["group"].id, b"comment")
        for item, i in itertools.product((file, file["group"], dataset), range(30)):
            item.attrs[f"a{i}"] = [b"text", 1.5, np.zeros(500)][i % 3]  # more than one block of an object header

    assert_as_h5py(write(fill))


def test_deleted_and_replaced_objects() -> None:
    def fill(file: h5py.File) -> None:
        for i in range(100):
            file[f"group/{i}"] = np.full(i, i)
        for i in range(0, 100, 3):
            del file[f"group/{i}"]
        file["group/new"] = 1.0
        file.move("group/1", "moved")

    assert len(assert_as_h5py(write(fill))) == 67


@pytest.mark.parametrize("depth", [1, 3, 75, 500])
def test_weights_of_deep_models(depth: int) -> None:
    model = Sequential([Input((2,)), *(Dense(2) for _ in range(depth))], backend="numpy")
    model.compile(SGD(0.1, momentum=0.9), "categorical_crossentropy")
    arrays = assert_as_h5py(weights.to_hdf5(model))
    assert len(arrays) == 2 * depth + 2 + 2 * depth
    for path, W in weights.variables(model).items():
        np.testing.assert_array_equal(arrays[path], W)


def test_content_may_be_a_bytearray_that_continues_after_the_file() -> None:
    content = bytearray(write(lambda file: file.create_dataset("x", data=[1, 2])) + b"more")
    arrays = read_datasets(content)
    content[:] = bytes(len(content))
    assert arrays["x"].tolist() == [1, 2]


def test_structures_of_the_writer_are_valid() -> None:
    writer = Writer()
    data = writer.append(np.float32([1, 2, 3]).tobytes())
    group = writer.group([(b"x", writer.dataset((3,), data, 12)), (b"y", writer.dataset((0, 2)))])
    arrays = assert_as_h5py(writer.file(writer.group([(b"group", group)])))
    assert {path: array.tolist() for path, array in arrays.items()} == {"group/x": [1, 2, 3], "group/y": []}


# --- features that Keras does not use -----------------------------------------------------------------------------


def commit_datatype(file: h5py.File) -> None:
    file["type"] = np.dtype("f4")


def use_committed_datatype(file: h5py.File) -> None:
    datatype = h5py.h5t.IEEE_F32LE.copy()
    datatype.commit(file.id, b"type")
    h5py.h5d.create(file.id, b"a", datatype, h5py.h5s.create_simple((2,)))


def create_compact(file: h5py.File) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((2,)), plist)


def create_virtual(file: h5py.File) -> None:
    virtual = h5py.VirtualLayout((2,), "f4")
    virtual[:] = h5py.VirtualSource("/etc/passwd", "x", (2,))
    file.create_virtual_dataset("x", virtual)


def link_twice(file: h5py.File) -> None:
    file["x"] = 1
    file["y"] = file["x"]


def link_in_a_circle(file: h5py.File) -> None:
    file["a/b"] = file.create_group("a")


UNSUPPORTED: dict[str, tuple[Callable[[h5py.File], object], str]] = {
    "soft link": (lambda f: f.__setitem__("x", h5py.SoftLink("/y")), "'/': 'x' is a soft link"),
    "external link": (lambda f: f.__setitem__("x", h5py.ExternalLink("y.h5", "/")), "'/'.*: (LINK|LINK_INFO)"),
    "two links": (link_twice, "'/': 'y' is a second link to an object"),
    "link to the parent": (link_in_a_circle, "'a': 'b' is a second link to an object"),
    "new-style group": (
        lambda f: f.create_group("x", track_order=True),
        "'x': its object header does not have version",
    ),
    "chunks": (lambda f: f.create_dataset("x", (4,), chunks=(2,)), "'x': its data layout is CHUNKED"),
    "unlimited": (lambda f: f.create_dataset("x", (4,), maxshape=(None,)), "'x': its data layout is CHUNKED"),
    "gzip": (lambda f: f.create_dataset("x", data=np.ones(99), compression="gzip"), "'x'.*FILTER_PIPELINE"),
    "external data": (lambda f: f.create_dataset("x", (4,), external="y"), "'x'.*EXTERNAL_DATA_FILES"),
    "virtual": (create_virtual, "'x': its data layout is VIRTUAL"),
    "compact": (create_compact, "'x': its data layout is COMPACT"),
    "no data": (lambda f: f.create_dataset("x", (4,)), "'x': 16 bytes at address 18,446,744,073,709,551,615 exceed"),
    "more data than the file": (lambda f: f.create_dataset("x", (10**9,)), "'x': the datasets declare 4,000,000,000"),
    "null dataspace": (lambda f: f.create_dataset("x", data=h5py.Empty("f4")), "'x': its DATASPACE .* version 2"),
    "strings": (lambda f: f.create_dataset("x", data=np.array([b"a"])), "'x': its datatype is STRING"),
    "string": (lambda f: f.create_dataset("x", data="text"), "'x': its datatype is VARIABLE_LENGTH"),
    "bool": (lambda f: f.create_dataset("x", data=[True]), "'x': its datatype is ENUMERATED"),
    "complex": (lambda f: f.create_dataset("x", data=[1j]), "'x': its datatype is COMPOUND"),
    "opaque": (lambda f: f.create_dataset("x", data=np.zeros(1, "V2")), "'x': its datatype is OPAQUE"),
    "reference": (lambda f: f.create_dataset("x", data=f.ref), "'x': its datatype is REFERENCE"),
    "array": (lambda f: f.create_dataset("x", (2,), np.dtype(("f4", (3,)))), "'x': its datatype is ARRAY"),
    "long double": (lambda f: f.create_dataset("x", data=np.longdouble([1])), "'x': its datatype is FLOATING_POINT"),
    "datatype": (commit_datatype, "'type': it is neither a group nor a dataset"),
    "committed datatype": (use_committed_datatype, "'a': its DATATYPE message is shared"),
    "long name": (lambda f: f.create_dataset("x" * 256, data=1), "'/': the path .* is longer than 255"),
    "long path": (lambda f: f.create_dataset("/".join(["x" * 50] * 6), data=1), "longer than 255 characters"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_unsupported_features_are_named(name: str) -> None:
    change, reason = UNSUPPORTED[name]
    with pytest.raises(ValueError, match=reason) as error:
        read_datasets(write(change))
    assert "\n" not in str(error.value)


def test_longest_path() -> None:
    assert_as_h5py(write(lambda file: file.create_dataset("/".join(["x" * 63] * 4), data=1)))


@pytest.mark.parametrize(("version", "number"), [("v108", 2), ("v110", 3), ("latest", 3)])
def test_new_style_files_are_rejected(version: str, number: int) -> None:
    with pytest.raises(ValueError, match=f"^the superblock has version {number}; Keras writes version 0"):
        read_datasets(write(lambda file: file.create_dataset("x", data=1), libver=version))


def test_user_block_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"^the file does not begin with the signature of HDF5"):
        read_datasets(write(lambda file: file.create_dataset("x", data=1), userblock_size=512))


def test_truncated_files_are_rejected() -> None:
    content = write(lambda file: file.create_dataset("x", data=[1.0, 2.0]))
    for size in range(len(content)):
        with pytest.raises(ValueError, match=r"signature|exceed the file|is truncated"):
            read_datasets(content[:size])

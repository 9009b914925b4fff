"""Every structure of an HDF5 file is checked, and no file makes the reader take much time or memory."""

import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest

from parity_tests.unit.hdf5_writer import (
    CONTINUATION,
    DATATYPE,
    FLOAT32,
    NIL,
    SYMBOL_TABLE,
    UNDEFINED,
    Writer,
    dataspace,
    layout,
    message,
)
from scratch.layers import Dense, Input
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.saving import hdf5, hdf5_reader, weights
from scratch.saving.hdf5_reader import read_datasets

DTYPE = message(DATATYPE, FLOAT32)


def peak_memory(function: Callable[[], object]) -> int:
    """Return the bytes that are allocated at once while the function runs."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def assert_rejected(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        read_datasets(content)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def links(count: int, **options: int) -> Callable[[Writer], int]:
    """Return a function that writes a root group with that many links to a dataset without values each."""
    return lambda w: w.group([(b"%07d" % i, w.dataset((0,))) for i in range(count)], **options)


def names(*written: bytes) -> Callable[[Writer], int]:
    return lambda w: w.group([(name, w.dataset((0,))) for name in written])


def dataset(messages: bytes, count: int = 3) -> Callable[[Writer], int]:
    """Return a function that writes a root group with a dataset ``x`` that has these messages."""
    return lambda w: w.group([(b"x", w.header(messages, count))])


def sized(shape: tuple[int, ...], size: int, count: int = 1) -> Callable[[Writer], int]:
    """Return a function that writes datasets which declare ``size`` bytes each, all in the same 4,096 bytes."""

    def write(w: Writer) -> int:
        data = w.append(bytes(4096))
        return w.group([(b"%05d" % i, w.dataset(shape, data, size)) for i in range(count)])

    return write


def tree(make: Callable[[Writer], int]) -> Callable[[Writer], int]:
    """Return a function that writes a root group with a B-tree and the name ``x`` in its heap."""
    return lambda w: w.symbol_table(make(w), w.heap(b"\0" * 8 + b"x\0"))


def itself(level: int, count: int) -> Callable[[Writer], int]:
    """Return a function that writes a B-tree node whose children are the node itself."""
    return lambda w: w.tree_node(level, [len(w.content)] * count)


def continued(offset: int, size: int) -> Callable[[Writer], int]:
    """Return a function that writes an object header which continues at that offset from its own address."""

    def write(w: Writer) -> int:
        address = len(w.content) + offset
        return w.header(message(CONTINUATION, struct.pack("<2Q", address, size)), 1)

    return write


def shared_messages(headers: int) -> Callable[[Writer], int]:
    """Return a function that writes object headers which continue in the same 60,000 NIL messages."""

    def write(w: Writer) -> int:
        shared = w.append(message(NIL, b"") * 60_000)
        body = struct.pack("<2Q", shared, 480_000)
        own = message(CONTINUATION, body) + dataspace(0) + DTYPE + layout(0, 0)
        return w.group([(b"%05d" % i, w.header(own, 60_004)) for i in range(headers)])

    return write


STRUCTURES: dict[str, tuple[Callable[[Writer], int], str]] = {
    "address outside": (lambda w: 2**64 - 8, "'/': 16 bytes at address 18,446,744,073,709,551,608 exceed the file"),
    "header version": (lambda w: w.header(b"", 0, version=2), "'/': its object header does not have version 1"),
    "no messages": (lambda w: w.header(b"", 0), "'/': it is neither a group nor a dataset"),
    "root dataset": (lambda w: w.header(dataspace(0) + DTYPE, 2), "'/': it is neither a group nor a dataset"),
    "fewer messages": (dataset(dataspace(0), 2), "'x': its object header has more or fewer messages"),
    "more messages": (dataset(dataspace(0), 0), "'x': its object header has more or fewer messages"),
    "long message": (lambda w: w.header(message(NIL, bytes(16))[:-8], 1), "its NIL message is truncated"),
    "half a message": (lambda w: w.header(message(NIL, b"")[:-4], 1), "a structure of the file is truncated"),
    "unknown message": (dataset(message(77, b"")), "'x': 77 is not a valid Message"),
    "two datatypes": (dataset(dataspace(0) + DTYPE * 2), "'x': its object header has two DATATYPE messages"),
    "shared message": (dataset(message(DATATYPE, FLOAT32, flags=2)), "'x': its DATATYPE message is shared"),
    "short message": (dataset(message(SYMBOL_TABLE, bytes(8))), "'x': .*fewer messages"),
    "short symbol table": (dataset(message(SYMBOL_TABLE, bytes(8)), 1), "'x': a structure of the file is truncated"),
    "continuation of itself": (continued(0, 40), "'/': its object header has two|'/': .*"),
    "continued in a circle": (continued(16, 24), "'/': its object header has more or fewer messages"),
    "continuation outside": (continued(0, 2**63), "9,223,372,036,854,775,808 bytes at address 96 exceed the file"),
    "no B-tree": (tree(lambda w: w.symbol_node([])), "'/': expected b'TREE\\\\x00' at address"),
    "no heap": (
        lambda w: w.symbol_table(w.tree_node(0, []), w.tree_node(0, [])),
        "'/': expected b'HEAP\\\\x00' at address",
    ),
    "no symbol table node": (tree(itself(0, 1)), "'/': expected b'SNOD\\\\x01' at address"),
    "chunk B-tree": (tree(lambda w: w.tree_node(0, [], node_type=1)), "expected b'TREE\\\\x00' at address"),
    "node in itself": (tree(itself(1, 1)), "has level 1; expected 0"),
    "deep node in itself": (tree(itself(255, 65_535)), "has level 255; expected 254"),
    "heap version": (
        lambda w: w.symbol_table(w.tree_node(0, []), w.heap(b"", version=1)),
        r"expected b'HEAP\\x00' at address",
    ),
    "node version": (
        tree(lambda w: w.tree_node(0, [w.symbol_node([], version=2)])),
        r"expected b'SNOD\\x01' at address",
    ),
    "soft link": (links(1, cache_type=2), "'/': '0000000' is a soft link"),
    "no such name": (tree(lambda w: w.tree_node(0, [w.symbol_node([(10, 0)])])), "the path .* is longer than 255"),
    "name far outside": (tree(lambda w: w.tree_node(0, [w.symbol_node([(UNDEFINED, 0)])])), "longer than 255"),
    "empty name": (names(b""), "the name '' is not valid"),
    "dot": (names(b"."), "the name '.' is not valid"),
    "slash": (names(b"a/b"), "the name 'a/b' is not valid"),
    "same names": (names(b"a", b"a"), "the name 'a' is not valid, or not in the order of names"),
    "names not sorted": (names(b"b", b"a"), "the name 'a' is not valid, or not in the order of names"),
    "not UTF-8": (names(b"\xff"), "'utf-8' codec can't decode byte 0xff"),
    "control characters": (names(b"\x1b[2J", b"\x1b"), r"the name '\\x1b' is not valid"),
    "dataspace version": (dataset(message(1, b"\2") + DTYPE + layout(0, 0)), "its DATASPACE message has version 2"),
    "short dataspace": (dataset(message(1, b"\1\5") + DTYPE + layout(0, 0)), "a structure of the file is truncated"),
    "datatype class": (dataset(dataspace(0) + message(3, b"\x1e") + layout(0, 0)), "14 is not a valid DatatypeClass"),
    "bit offset": (
        dataset(dataspace(0) + message(3, FLOAT32[:8] + b"\1" + FLOAT32[9:]) + layout(0, 0)),
        "its datatype is FLOATING_POINT; expected an integer or IEEE floating-point datatype",
    ),
    "layout version": (dataset(dataspace(0) + DTYPE + message(8, b"\2\1")), "its data layout is CONTIGUOUS, version 2"),
    "layout class": (dataset(dataspace(0) + DTYPE + message(8, b"\3\7")), "7 is not a valid Layout"),
    "fewer bytes than the shape": (sized((3,), 8), "declares 8 bytes, its shape and dtype another number"),
    "large shape": (sized((2**40, 2**40), 2**64 - 1), "its shape and dtype another number"),
    "data outside": (dataset(dataspace(3) + DTYPE + layout(2**40, 12)), "12 bytes at address 1,099,511,627,776 exceed"),
    "too many dimensions": (sized((0,) * 65, 0), "(?i)'00000': maximum .*dimension"),
    "large empty shape": (sized((0, 2**63), 0), "(?i)'00000': maximum .*dimension"),
    "same data again and again": (sized((1024,), 4096, 100), "the datasets declare .* bytes, more than"),
    "shared messages": (shared_messages(20), "the file has more than 100,000 structures"),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_damaged_structures_are_rejected(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_reader, "MAX_STRUCTURES", 100_000)  # tracing of memory is slow
    make, reason = STRUCTURES[name]
    writer = Writer()
    content = writer.file(make(writer))
    start = time.process_time()
    assert_rejected(content, reason)
    assert time.process_time() - start < 5
    assert peak_memory(lambda: assert_rejected(content, reason)) < 50e6


SUPERBLOCK = {0: "signature", 7: "signature", 8: "version 1;", 9: "versions", 10: "versions", 12: "versions"}
SUPERBLOCK |= {13: "address sizes", 14: "address sizes", 24: "base address", 46: "is truncated", 48: "driver"}


@pytest.mark.parametrize("offset", SUPERBLOCK)
def test_damaged_superblocks_are_rejected(offset: int) -> None:
    writer = Writer()
    content = bytearray(writer.file(writer.group([])))
    content[offset] ^= 1
    with pytest.raises(ValueError, match=f"^the .*{SUPERBLOCK[offset]}"):
        read_datasets(content)


def test_b_tree_of_255_levels() -> None:
    writer = Writer()
    node = writer.symbol_node([(8, writer.dataset((0,)))])
    for level in range(256):
        node = writer.tree_node(level, [node])
    assert list(read_datasets(writer.file(writer.symbol_table(node, writer.heap(b"\0" * 8 + b"x\0"))))) == ["x"]


def test_free_list_of_a_heap_is_not_read() -> None:
    """A free block that points to itself makes libhdf5 1.14 loop without end."""
    content = bytearray(weights.to_hdf5(Sequential([Dense(2, input_shape=(3,))], backend="numpy")))
    expected = read_datasets(content)
    heap = content.index(b"HEAP")
    head, data = struct.unpack_from("<2Q", content, heap + 16)
    content[data + head : data + head + 8] = struct.pack("<Q", head)
    assert [W.tolist() for W in read_datasets(content).values()] == [W.tolist() for W in expected.values()]


# --- limits -------------------------------------------------------------------------------------------------------


def test_maximum_number_of_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer()
    content = writer.file(links(40)(writer))
    monkeypatch.setattr(hdf5_reader, "MAX_OBJECTS", 41)  # with the root group
    assert len(read_datasets(content)) == 40
    monkeypatch.setattr(hdf5_reader, "MAX_OBJECTS", 40)
    with pytest.raises(ValueError, match="the file has more than 40 groups and datasets"):
        read_datasets(content)


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("compiled", [False, True])
def test_what_is_saved_can_be_loaded(depth: int, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Sequential([Input((2,)), *(Dense(2) for _ in range(depth))], backend="numpy")
    if compiled:
        model.compile(SGD(0.1, momentum=0.9), "categorical_crossentropy")
    needed = 6 * depth + 7 if compiled else 4 * depth + 3
    for module in (hdf5, hdf5_reader):
        monkeypatch.setattr(module, "MAX_OBJECTS", needed)
    assert len(read_datasets(weights.to_hdf5(model))) == (4 * depth + 2 if compiled else 2 * depth)
    monkeypatch.setattr(hdf5, "MAX_OBJECTS", needed - 1)
    with pytest.raises(ValueError, match=f"needs {needed} groups and arrays; a weights file holds at most"):
        weights.to_hdf5(model)


@pytest.mark.slow
def test_memory_of_the_largest_files() -> None:
    """The most objects with the longest paths, and the most messages."""
    writer = Writer()
    names = [("\U0001f600" * 50 + f"{i:05}").encode() for i in range(hdf5_reader.MAX_OBJECTS - 2)]
    group = writer.group([(name, writer.dataset((0,))) for name in names])
    content = writer.file(writer.group([(b"x" * 199, group)]))
    assert peak_memory(lambda: read_datasets(content)) < 150e6
    writer = Writer()
    content = writer.file(shared_messages(20)(writer))
    assert peak_memory(lambda: assert_rejected(content, "the file has more than 1,000,000 structures")) < 50e6

"""Read the HDF5 files that Keras and scratch write, without libhdf5.

libhdf5 is a C library that a damaged file can crash.  This module reads the part of the format that h5py writes by
default, in Python, and checks every read against the end of the file; anything else is rejected by name.  The
structures point to each other as follows; the numbers are sections of the HDF5 File Format Specification, version 3.0.

    superblock (II.A)
        │ root group
        ▼
    object header of a group (IV.A.1.a) ◄─────────────────────────┐
        │ Symbol Table message (IV.A.2.r)                         │
        ├──► B-tree, version 1 (III.A.1): nodes of level n … 0    │
        │        └──► symbol table nodes (III.B)                  │
        │                 └─ an entry for each link (III.C) ──────┤ address of an object header
        │                      │ offset of the name               │
        │                      ▼                                  │
        └──► local heap (III.D): the names                        │
                                                                  │
    object header of a dataset (IV.A.1.a) ◄───────────────────────┘
        ├─ Dataspace message (IV.A.2.b): shape
        ├─ Datatype message (IV.A.2.d): dtype
        └─ Data Layout message (IV.A.2.i)
                 └──► the numbers, contiguous, in C order

All fields are unsigned and little-endian.  Attributes, fill values and modification times are skipped.
"""

import math
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import numpy as np

from scratch.utils import Array

# Limits on time and memory.  A Dense layer with momentum has six objects (two groups, four datasets) and 65 structures,
# so 10,000 such layers can be read.  A million structures take a second, and 60,000 paths and arrays 100 MB.
MAX_OBJECTS = 60_000  # groups and datasets
MAX_STRUCTURES = 1_000_000  # blocks of the file, header messages, children of B-tree nodes, symbol table entries
MAX_PATH = 255  # characters

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = 2**64 - 1  # the address of a structure that does not exist
SHARED = 2  # flag: the message's content is in another object

# IV.A.2, in the order of the specification.
Message = IntEnum(
    "Message",
    "NIL DATASPACE LINK_INFO DATATYPE OLD_FILL_VALUE FILL_VALUE LINK EXTERNAL_DATA_FILES DATA_LAYOUT BOGUS GROUP_INFO "
    "FILTER_PIPELINE ATTRIBUTE OBJECT_COMMENT OLD_MODIFICATION_TIME SHARED_MESSAGE_TABLE CONTINUATION SYMBOL_TABLE "
    "MODIFICATION_TIME BTREE_K_VALUES DRIVER_INFO ATTRIBUTE_INFO REFERENCE_COUNT FILE_SPACE_INFO",
    start=0,
)
DATASET = {Message.DATASPACE, Message.DATATYPE, Message.DATA_LAYOUT}
READ = DATASET | {Message.SYMBOL_TABLE, Message.CONTINUATION}
SKIPPED = {Message.NIL, Message.OLD_FILL_VALUE, Message.FILL_VALUE, Message.ATTRIBUTE, Message.OBJECT_COMMENT}
SKIPPED |= {Message.OLD_MODIFICATION_TIME, Message.MODIFICATION_TIME}

Layout = IntEnum("Layout", "COMPACT CONTIGUOUS CHUNKED VIRTUAL", start=0)
DatatypeClass = IntEnum(
    "DatatypeClass",
    "FIXED_POINT FLOATING_POINT TIME STRING BITFIELD OPAQUE COMPOUND REFERENCE ENUMERATED VARIABLE_LENGTH ARRAY "
    "COMPLEX",
    start=0,
)


def _datatype_messages() -> dict[bytes, np.dtype[Any]]:
    """Return the supported dtypes by Datatype message: version and class, bit field, size, properties (IV.A.2.d)."""
    dtypes = {}
    for big_endian, order in enumerate("<>"):
        for size in (1, 2, 4, 8):
            for signed, kind in ((0, "u"), (8, "i")):
                message = struct.pack("<BB2xI2H", 0x10, signed | big_endian, size, 0, 8 * size)
                dtypes[message] = np.dtype(f"{order}{kind}{size}")
        for size, exponent, mantissa in ((2, 5, 10), (4, 8, 23), (8, 11, 52)):  # IEEE 754, the leading bit implied
            message = struct.pack("<BBBxI", 0x11, 0x20 | big_endian, 8 * size - 1, size)
            message += struct.pack("<2H4BI", 0, 8 * size, mantissa, exponent, 0, mantissa, 2 ** (exponent - 1) - 1)
            dtypes[message] = np.dtype(f"{order}f{size}")
    return dtypes


DTYPES = _datatype_messages()


def read_datasets(content: bytes | bytearray) -> dict[str, Array]:
    """Return every dataset of an HDF5 file.

    Args:
        content: the content of the file.

    Returns:
        A mapping from paths such as ``'layers/dense/vars/0'`` to arrays of integers or floating-point numbers, in
        native byte order.  Groups are read breadth first.  The arrays do not share memory with ``content``.

    Raises:
        ValueError: if the content is not HDF5, is damaged, or has what Keras does not write: new-style groups,
            soft or external links, two links to one object, filters, other data layouts or datatypes.
    """
    file = _File(content)
    arrays: dict[str, Array] = {}
    objects = [("", file.read_superblock())]
    for path, address in objects:  # a group appends its links
        try:
            messages = file.read_object_header(address)
            if Message.SYMBOL_TABLE in messages:
                objects += file.read_group(path, messages[Message.SYMBOL_TABLE])
            else:
                arrays[path] = file.read_dataset(messages)
        except ValueError as error:
            raise ValueError(f"{path or '/'!r}: {error}") from None
    return arrays


class _File:
    """The bytes of a file, and a method for each structure."""

    def __init__(self, content: bytes | bytearray) -> None:
        self.content = memoryview(content)
        self.structures = 0
        self.data_bytes = 0
        self.linked: set[int] = set()  # addresses of object headers

    def count(self, structures: int) -> None:
        """Add to the number of structures, and raise ``ValueError`` if it exceeds the limit."""
        self.structures += structures
        if self.structures > MAX_STRUCTURES:
            raise ValueError(f"the file has more than {MAX_STRUCTURES:,} structures.")

    def block(self, address: int, size: int, signature: bytes = b"") -> memoryview:
        """Return a part of the file; raise ``ValueError`` if it exceeds the file or has another signature."""
        self.count(1)
        if size > len(self.content) - address:
            raise ValueError(f"{size:,} bytes at address {address:,} exceed the file of {len(self.content):,} bytes.")
        block = self.content[address : address + size]
        if block[: len(signature)] != signature:
            raise ValueError(f"expected {signature!r} at address {address:,}.")
        return block

    def read_superblock(self) -> int:
        """Return the address of the root group's object header (II.A)."""
        if bytes(self.content[:8]) != SIGNATURE:
            raise ValueError("the file does not begin with the signature of HDF5.")
        superblock = self.block(0, 96)
        if superblock[8] != 0:
            raise ValueError(f"the superblock has version {superblock[8]}; Keras writes version 0 (libver='earliest').")
        base, _, end, driver, _, root = _unpack("6Q", superblock, 24)
        if (bytes(superblock[9:16]), base, driver) != (b"\0\0\0\0\x08\x08\0", 0, UNDEFINED):
            raise ValueError("the superblock has other versions, address sizes, base address or driver than Keras's.")
        if end > len(self.content):
            raise ValueError(f"the file is truncated: it has {len(self.content):,} of {end:,} bytes.")
        self.content = self.content[:end]
        self.linked.add(root)
        return int(root)

    def read_object_header(self, address: int) -> dict[Message, memoryview]:
        """Return the bodies of the messages that describe an object (IV.A.1.a)."""
        version, missing, size = _unpack("BxH4xI", self.block(address, 16))
        if version != 1:
            raise ValueError("its object header does not have version 1 (h5py's libver='earliest').")
        messages: dict[Message, memoryview] = {}
        blocks = [(address + 16, size)]
        for block in blocks:  # a Continuation message appends one
            for message, body in self._read_messages(*block):
                missing -= 1
                if message == Message.CONTINUATION:  # IV.A.2.q
                    blocks.append(_unpack("2Q", body))
                elif message in messages:
                    raise ValueError(f"its object header has two {message.name} messages.")
                elif message in READ:
                    messages[message] = body
            if missing < 0:  # blocks may form a circle
                break
        if missing != 0:
            raise ValueError("its object header has more or fewer messages than it declares.")
        return messages

    def _read_messages(self, address: int, size: int) -> Iterator[tuple[Message, memoryview]]:
        """Yield the type and the body of every message in one block of an object header."""
        block = self.block(address, size)
        end = 0
        while end < size:
            self.count(1)
            number, length, flags = _unpack("HHB3x", block, end)
            message = Message(number)
            if message not in READ and message not in SKIPPED:
                raise ValueError(f"its object header has a message that Keras does not write: {message.name}.")
            if message in READ and flags & SHARED:
                raise ValueError(f"its {message.name} message is shared with other objects.")
            start, end = end + 8, end + 8 + length
            if end > size:
                raise ValueError(f"its {message.name} message is truncated.")
            yield message, block[start:end]

    def read_group(self, path: str, symbol_table: memoryview) -> Iterator[tuple[str, int]]:
        """Yield the path of every object in a group, and the address of its object header."""
        b_tree, heap = _unpack("2Q", symbol_table)
        size, address = _unpack("8xQ8xQ", self.block(heap, 32, b"HEAP\0"))  # signature and version
        names = self.block(address, size)
        previous = b""
        for offset, header, cache_type in self._read_symbol_table(b_tree):
            encoded, terminator, _ = bytes(names[offset : offset + MAX_PATH + 1]).partition(b"\0")
            name = encoded.decode()
            path_of_link = f"{path}/{name}" if path else name
            if not terminator or len(path_of_link) > MAX_PATH:
                raise ValueError(f"the path of an object in it is longer than {MAX_PATH} characters.")
            if encoded <= previous or "/" in name or name == ".":
                raise ValueError(f"the name {name!r} is not valid, or not in the order of names.")
            if cache_type not in (0, 1):  # 0: nothing is cached; 1: the addresses in a group's Symbol Table message
                raise ValueError(f"{name!r} is a soft link.")
            if header in self.linked:
                raise ValueError(f"{name!r} is a second link to an object.")
            if len(self.linked) == MAX_OBJECTS:
                raise ValueError(f"the file has more than {MAX_OBJECTS:,} groups and datasets.")
            self.linked.add(header)
            previous = encoded
            yield path_of_link, header

    def _read_symbol_table(self, b_tree: int) -> Iterator[tuple[Any, ...]]:
        """Yield name offset, object header address and cache type of every symbol table entry (III.B, III.C)."""
        nodes = [b_tree]
        for level in range(self.block(b_tree, 6, b"TREE\0")[5], -1, -1):  # signature and type
            nodes = [child for node in nodes for child in self._read_children(node, level)]
        for node in nodes:
            (used,) = _unpack("6xH", self.block(node, 8, b"SNOD\1"))  # signature and version
            self.count(used)
            yield from struct.iter_unpack("<QQI20x", self.block(node + 8, 40 * used))

    def _read_children(self, node: int, level: int) -> list[int]:
        """Return the addresses of a B-tree node's children (III.A.1)."""
        node_level, used = _unpack("5xBH", self.block(node, 24, b"TREE\0"))
        if node_level != level:
            raise ValueError(f"its B-tree node at address {node:,} has level {node_level}; expected {level}.")
        self.count(used)
        return [child for _key, child in struct.iter_unpack("<2Q", self.block(node + 24, 16 * used))]

    def read_dataset(self, messages: dict[Message, memoryview]) -> Array:
        """Return a dataset's array."""
        if set(messages) != DATASET:
            raise ValueError("it is neither a group nor a dataset.")
        shape, dtype = _shape(messages[Message.DATASPACE]), _dtype(messages[Message.DATATYPE])
        address, size = _contiguous(messages[Message.DATA_LAYOUT])
        if size != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"its DATA_LAYOUT declares {size:,} bytes, its shape and dtype another number.")
        self.data_bytes += size
        if self.data_bytes > len(self.content):
            raise ValueError(f"the datasets declare {self.data_bytes:,} bytes, more than the file has.")
        data = self.block(address, size) if size else b""
        return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _unpack(fields: str, block: memoryview, offset: int = 0) -> tuple[Any, ...]:
    """Return the fields at the offset, in the notation of ``struct``."""
    try:
        return struct.unpack_from(f"<{fields}", block, offset)
    except struct.error:
        raise ValueError("a structure of the file is truncated.") from None


def _shape(dataspace: memoryview) -> tuple[int, ...]:
    """Return the shape in a Dataspace message."""
    version, rank = _unpack("BB", dataspace)
    if version != 1:
        raise ValueError(f"its DATASPACE message has version {version}; Keras writes version 1.")
    return _unpack(f"{rank}Q", dataspace, 8)


def _dtype(datatype: memoryview) -> np.dtype[Any]:
    """Return the dtype in a Datatype message."""
    for message, dtype in DTYPES.items():
        if datatype[: len(message)] == message:
            return dtype
    datatype_class = DatatypeClass(_unpack("B", datatype)[0] % 16)  # the upper four bits are the version
    raise ValueError(f"its datatype is {datatype_class.name}; expected an integer or IEEE floating-point datatype.")


def _contiguous(layout: memoryview) -> tuple[int, int]:
    """Return the address and the size in bytes in a Data Layout message."""
    version, number = _unpack("BB", layout)
    layout_class = Layout(number)
    if (version, layout_class) != (3, Layout.CONTIGUOUS):
        raise ValueError(f"its data layout is {layout_class.name}, version {version}; expected CONTIGUOUS, version 3.")
    address, size = _unpack("2Q", layout, 2)
    return address, size

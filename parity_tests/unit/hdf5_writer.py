"""Write the structures of an HDF5 file one by one, as the specification describes them or damaged on purpose."""

import struct
from collections.abc import Iterable

UNDEFINED = 2**64 - 1
LEAF_K, INTERNAL_K = 4, 16  # half the capacities of symbol table nodes and of B-tree nodes
NIL, DATASPACE, DATATYPE, DATA_LAYOUT, CONTINUATION, SYMBOL_TABLE = 0, 1, 3, 8, 16, 17
FLOAT32 = bytes.fromhex("11201f00 04000000 00002000 17080017 7f000000")


def message(kind: int, body: bytes, flags: int = 0) -> bytes:
    """Return a message of a version 1 object header."""
    body += bytes(-len(body) % 8)
    return struct.pack("<HHB3x", kind, len(body), flags) + body


def dataspace(*shape: int) -> bytes:
    return message(DATASPACE, struct.pack(f"<BB6x{len(shape)}Q", 1, len(shape), *shape))


def layout(address: int, size: int) -> bytes:
    return message(DATA_LAYOUT, struct.pack("<BB2Q", 3, 1, address, size))


class Writer:
    """The content of a file, to which every method appends one structure and returns its address."""

    def __init__(self) -> None:
        self.content = bytearray(96)

    def append(self, structure: bytes) -> int:
        address = len(self.content)
        self.content += structure
        return address

    def header(self, messages: bytes, count: int, version: int = 1) -> int:
        return self.append(struct.pack("<BxH2I4x", version, count, 1, len(messages)) + messages)

    def dataset(self, shape: tuple[int, ...], address: int = UNDEFINED, size: int = 0) -> int:
        """Append the header of a float32 dataset."""
        return self.header(dataspace(*shape) + message(DATATYPE, FLOAT32) + layout(address, size), 3)

    def heap(self, names: bytes, version: int = 0) -> int:
        data = self.append(names)
        return self.append(struct.pack("<4sB3x3Q", b"HEAP", version, len(names), 1, data))

    def symbol_node(self, entries: Iterable[tuple[int, int]], version: int = 1, cache_type: int = 0) -> int:
        """Append a symbol table node: (offset of the name, address of the object header) of each link."""
        packed = [struct.pack("<2QI20x", *entry, cache_type) for entry in entries]
        node = struct.pack("<4sBxH", b"SNOD", version, len(packed)) + b"".join(packed)
        return self.append(node.ljust(8 + 2 * LEAF_K * 40, b"\0"))

    def tree_node(self, level: int, children: Iterable[int], node_type: int = 0, last_key: int = 0) -> int:
        """Append a B-tree node; without a last key it is valid for readers that do not search for names."""
        packed = [struct.pack("<2Q", 0, child) for child in children]
        node = struct.pack("<4sBBH2Q", b"TREE", node_type, level, len(packed), UNDEFINED, UNDEFINED)
        node += b"".join(packed) + struct.pack("<Q", last_key)
        return self.append(node.ljust(32 + 2 * INTERNAL_K * 16, b"\0"))

    def symbol_table(self, tree: int, heap: int) -> int:
        """Append the header of a group."""
        return self.header(message(SYMBOL_TABLE, struct.pack("<2Q", tree, heap)), 1)

    def group(self, links: Iterable[tuple[bytes, int]], cache_type: int = 0) -> int:
        """Append a group of (name, address of the object header); all links are in one symbol table node."""
        names, entries = bytearray(8), []
        for name, address in links:
            entries.append((len(names), address))
            names += name + b"\0"
        node = self.symbol_node(entries, 1, cache_type)
        last_key = entries[-1][0] if entries else 0
        return self.symbol_table(self.tree_node(0, [node], last_key=last_key), self.heap(bytes(names)))

    def file(self, root: int) -> bytes:
        """Return the file with that root group."""
        superblock = b"\x89HDF\r\n\x1a\n" + struct.pack("<8B2HI", 0, 0, 0, 0, 0, 8, 8, 0, LEAF_K, INTERNAL_K, 0)
        superblock += struct.pack("<6Q24x", 0, UNDEFINED, len(self.content), UNDEFINED, 0, root)
        return superblock + bytes(self.content[96:])

"""Read thousands of HDF5 files whose structures are damaged, each with limits on time and memory.

``main`` and ``main_fractal_heaps`` run in processes of their own, which ``test_hdf5_fuzz.py`` starts.  Every seed gives
one mutant of one of the files of ``make_files``, which have the structures of both generations of the format: symbol
tables, as in Keras's files, and the fractal heaps and version 2 B-trees of ``libver="latest"``.  A mutant has other
values in one to three fields (signatures, versions, addresses, offsets, sizes, counts, message types, names), or other
bytes anywhere.  Reading it must return arrays or raise ``ValueError``.  The seed is printed before the mutant is read,
so that the test knows which mutant ended the process.

The arrays are not compared with h5py's: one changed byte, in the free list of a local heap, makes libhdf5 1.14 loop.
"""

import io
import json
import random
import struct
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import h5py
import numpy as np

from parity_tests.robustness.damage import damage_bytes, limit_memory, limited_time
from parity_tests.robustness.fuzz import make_model
from scratch.saving import weights
from scratch.saving.hdf5_reader import read_datasets

MEMORY = 200_000_000  # bytes that reading may allocate
SIGNATURES = [
    b"TREE",
    b"SNOD",
    b"HEAP",
    b"OHDR",
    b"OCHK",
    b"FRHP",
    b"FHDB",
    b"FHIB",
    b"BTHD",
    b"BTLF",
    b"BTIN",
    b"GCOL",
]


class Field(NamedTuple):
    """A field of a structure: its first byte and its number of bytes."""

    offset: int
    size: int


class Base(NamedTuple):
    """A valid file, its fields, and the addresses of its structures."""

    name: str
    content: bytes
    fields: list[Field]
    addresses: list[int]


# --- valid files --------------------------------------------------------------------------------------------------


def make_files() -> list[Base]:
    """Return the valid files: two with symbol tables only, one with both generations, one of the latest."""
    model = weights.to_hdf5(make_model())
    files = {"model": model, "earliest": _write("earliest", False), "mixed": _write("earliest", True)}
    files["latest"] = _write("latest", True)
    bases = []
    for name, content in files.items():
        fields = list(_latest_fields(content))
        if content[8] == 0:
            fields += _superblock_fields() + list(_group_fields(content, 96))
        addresses = [offset for offset, _ in _structures(content)] + [96, 0, len(content), 2**64 - 1]
        bases.append(Base(name, content, fields, addresses))
    return bases


def _write(libver: str, dense: bool) -> bytes:
    """Return a file with groups of up to 300 links, many attributes and many dtypes; ``dense`` for fractal heaps."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=libver) as file:
        for i in range(300):
            file[f"many/{i}"] = np.float32(i)
        for kind in ("i1", ">i2", "u4", "i8", "f2", ">f4", "f8"):
            file[f"a/b/{kind}"] = np.arange(12).astype(kind).reshape(3, 4)
        for i in range(20):
            file["a"].attrs[f"attribute {i}"] = np.arange(i)
        if dense:
            group = file.create_group("dense", track_order=True)
            for i in range(20):
                group[f"link {i}"] = h5py.SoftLink("/a")
                group.attrs[f"attribute {i}"] = "text"
    return buffer.getvalue()


def _structures(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and the signature of every structure that has one."""
    for signature in SIGNATURES:
        offset = content.find(signature)
        while offset >= 0:
            yield offset, signature
            offset = content.find(signature, offset + 1)


def _latest_fields(content: bytes) -> Iterator[Field]:
    """Yield the bytes that follow every signature, as fields of each size: the new structures are not aligned."""
    for offset, _ in _structures(content):
        yield Field(offset, 4)
        for start in range(offset + 4, min(offset + 160, len(content) - 8)):
            yield Field(start, (1, 2, 4, 8)[start % 4])


def _superblock_fields() -> list[Field]:
    single = [Field(i, 1) for i in range(8, 16)]
    return [Field(0, 8), *single, Field(16, 2), Field(18, 2), *(Field(i, 8) for i in range(24, 96, 8))]


def _group_fields(content: bytes, root: int) -> Iterator[Field]:
    """Yield the fields of all object headers, B-trees, symbol table nodes and heaps below a group."""
    headers = [root]
    for header in headers:
        if content[header : header + 4] == b"OHDR":
            continue
        yield from (Field(header, 1), Field(header + 2, 2), Field(header + 4, 4), Field(header + 8, 4))
        blocks = [(header + 16, struct.unpack_from("<I", content, header + 8)[0])]
        for start, size in blocks:
            offset = start
            while offset < start + size:
                kind, length = struct.unpack_from("<2H", content, offset)
                body = offset + 8
                yield from (Field(offset, 2), Field(offset + 2, 2), Field(offset + 4, 1))
                yield from (Field(i, 1) for i in range(body, body + min(length, 8)))
                yield from (Field(i, 8) for i in (body, body + 2, body + 8, body + 10) if i + 8 <= body + length)
                if kind == 16:
                    blocks.append(struct.unpack_from("<2Q", content, body))
                elif kind == 17:
                    tree, heap = struct.unpack_from("<2Q", content, body)
                    headers += yield from _symbol_table_fields(content, tree, heap)
                offset = body + length


def _symbol_table_fields(content: bytes, tree: int, heap: int) -> Iterator[Field]:
    """Yield the fields of a group's heap, B-tree and symbol table nodes; return its object headers."""
    yield from (Field(heap, 4), Field(heap + 4, 1), Field(heap + 8, 8), Field(heap + 16, 8), Field(heap + 24, 8))
    names, headers = struct.unpack_from("<Q", content, heap + 24)[0], []
    nodes = [tree]
    for node in nodes:
        (used,) = struct.unpack_from("<H", content, node + 6)
        yield from (Field(node, 4), Field(node + 6, 2))
        if content[node : node + 4] == b"TREE":
            yield from (Field(node + 4, 1), Field(node + 5, 1))
            yield from (Field(i, 8) for i in range(node + 8, node + 32 + 16 * used, 8))
            nodes += [struct.unpack_from("<Q", content, node + 32 + 16 * i)[0] for i in range(used)]
            continue
        for entry in range(node + 8, node + 8 + 40 * used, 40):
            name, header = struct.unpack_from("<2Q", content, entry)
            yield from (Field(entry, 8), Field(entry + 8, 8), Field(entry + 16, 4), Field(entry + 24, 8))
            yield Field(names + name, 1)
            headers.append(header)
    return headers


# --- mutants ------------------------------------------------------------------------------------------------------


def make_mutant(r: random.Random, base: Base) -> bytes:
    """Return the file with other values in a few fields, or with other bytes."""
    content = bytearray(base.content)
    for _ in range(r.choice((1, 1, 1, 2, 3))):
        field = r.choice(base.fields)
        new = r.choice(SIGNATURES) if field.size == 4 and r.random() < 0.1 else _number(r, base, field)
        content[field.offset : field.offset + field.size] = new
    if r.random() < 0.1:
        return damage_bytes(r, bytes(content))
    return bytes(content)


def _number(r: random.Random, base: Base, field: Field) -> bytes:
    """Return a number that is likely to be wrong in an interesting way."""
    bits = 8 * field.size
    old = int.from_bytes(base.content[field.offset : field.offset + field.size], "little")
    other = r.choice(base.fields)
    near = (old + r.choice((-40, -16, -8, -1, 1, 2, 8, 16, 40)), old ^ 1 << r.randrange(bits), 2 * old)
    sizes = (0, 1, 2, 8, 255, len(base.content), len(base.content) - field.offset, 2**31, 2 ** (bits - 1), 2**bits - 1)
    copied = int.from_bytes(base.content[other.offset : other.offset + field.size], "little")
    address = r.choice(base.addresses) + r.choice((0, 0, 0, 8, -8))
    new = r.choice((r.choice(near), r.choice(sizes), copied, address, field.offset, r.randrange(2**bits)))
    return (new % 2**bits).to_bytes(field.size, "little")


def fractal_heap_mutants(base: Base) -> Iterator[bytes]:
    """Yield a mutant for each byte of the headers and blocks of the fractal heaps: libhdf5 1.14 crashes on many."""
    for offset, signature in _structures(base.content):
        if signature in (b"FRHP", b"FHDB", b"BTHD", b"BTLF"):
            for i in range(offset, min(offset + 160, len(base.content))):
                content = bytearray(base.content)
                content[i] ^= 0xFF
                yield bytes(content)


def check_mutant(content: bytes) -> str:
    """Read one mutant within the limits, and return whether it was ``read`` or ``rejected``."""
    message, arrays = None, {}
    with limited_time():
        try:
            arrays = read_datasets(content)
        except ValueError as error:
            message = str(error)
    assert message is None or message.isprintable(), message
    assert sum(array.nbytes for array in arrays.values()) <= len(content)
    for array in arrays.values():
        assert array.dtype.isnative
        assert array.dtype.kind in "iuf"
        if array.size > 1:  # a search for each single number would take too long
            assert array.tobytes() in content or array.byteswap().tobytes() in content
    return "read" if message is None else "rejected"


def prepare() -> None:
    """Check the valid files, for which all modules are imported, and limit the memory that mutants may take."""
    for base in make_files():
        assert check_mutant(base.content) == ("read" if base.name in ("model", "earliest") else "rejected")
    limit_memory(MEMORY)


def main(first: int, count: int) -> None:
    """Read the mutants of these seeds, and print how many of each file were read and how many rejected."""
    bases = make_files()
    prepare()
    results: Counter[str] = Counter()
    for seed in range(first, first + count):
        base = bases[seed % len(bases)]
        mutant = make_mutant(random.Random(seed), base)
        print(seed, flush=True)
        results[f"{base.name} {check_mutant(mutant)}"] += 1
    print(json.dumps(results))


def main_fractal_heaps() -> None:
    """Read the mutants of the fractal heaps, and print how many of each file were read and how many rejected."""
    bases = make_files()
    prepare()
    results: Counter[str] = Counter()
    for base in bases:
        for i, mutant in enumerate(fractal_heap_mutants(base)):
            print(f"{base.name} {i}", flush=True)
            results[f"{base.name} {check_mutant(mutant)}"] += 1
    print(json.dumps(results))

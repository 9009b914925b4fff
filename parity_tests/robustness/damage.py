"""Damage the content of files at random, and repeatably: each function is given a random generator."""

import copy
import faulthandler
import io
import random
import resource
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SECONDS = 2.0  # of processor time, to read one file
TIMEOUT = 120  # seconds after which the process ends itself; the machine may be busy

NESTED_LISTS = "replace by nested lists"  # marks a value of a JSON tree; see damage_json_text


def damage_bytes(r: random.Random, good: bytes) -> bytes:
    """Change, insert, delete or copy some bytes, most often near bytes that are not zero."""
    content = bytearray(good)
    nonzero = [i for i, byte in enumerate(good) if byte] or [0]
    for _ in range(r.choice((1, 1, 1, 2, 4, 16))):
        i = r.choice(nonzero) if r.random() < 0.7 else r.randrange(len(good))
        i = min(i, max(len(content) - 1, 0))
        way = r.randrange(7)
        if way <= 1 and content:
            content[i] ^= 1 << r.randrange(8)
        elif way == 2 and content:
            content[i] = r.choice((0, 255, r.randrange(256)))
        elif way == 3:  # a size, an offset or a count
            width = r.choice((1, 2, 4, 8))
            number = r.choice(
                (0, 1, 2 ** (8 * width) - 1, 2 ** (8 * width - 1), r.randrange(2 ** (8 * width)), len(good))
            )
            order = r.choice(("little", "big"))
            content[i & -width : (i & -width) + width] = (number % 2 ** (8 * width)).to_bytes(width, order)
        elif way == 4:
            del content[i : i + r.choice((1, 4, 64, len(content)))]
        elif way == 5:
            content[i:i] = r.randbytes(r.choice((1, 8, 100)))
        else:
            start, length = r.randrange(len(good)), r.randrange(1, 300)
            content[i : i + length] = good[start : start + length]
    return bytes(content)


def damage_json(r: random.Random, tree: Any) -> Any:
    """Return a copy of a JSON tree in which some values are replaced or missing."""
    tree = copy.deepcopy(tree)
    places: list[tuple[Any, Any]] = []

    def visit(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            visit(node[key])

    visit(tree)
    for _ in range(r.choice((1, 1, 2, 5))):
        node, key = r.choice(places)
        other, other_key = r.choice(places)
        taken = (
            other.get(other_key) if isinstance(other, dict) else other[other_key] if other_key < len(other) else None
        )
        new = r.choice(
            (None, True, False, 0, -1, 3, 10**9, 10**17, 0.5, 1e308, "", "relu", "\ud800", NESTED_LISTS, [], {}, taken)
        )
        if isinstance(node, dict) and r.random() < 0.2:
            node.pop(key, None)
        elif isinstance(node, dict) or key < len(node):
            node[key] = copy.deepcopy(new)
    return tree


def nest_lists(r: random.Random, text: str) -> bytes:
    """Replace the marks of ``damage_json`` in a JSON text by lists within lists."""
    depth = r.choice((5, 500, 900, 100_000))
    return text.replace(f'"{NESTED_LISTS}"', "[" * depth + "]" * depth).encode()


def damage_hdf5(r: random.Random, good: bytes) -> bytes:
    """Return a valid HDF5 file with other objects, attributes, links or arrays than Keras writes."""
    buffer = io.BytesIO(good)
    with h5py.File(buffer, "r+") as file:
        paths: list[str] = []
        file.visit(paths.append)
        for _ in range(r.choice((1, 1, 3))):
            path = r.choice([path for path in paths if path in file] or ["new"])
            way = r.randrange(6)
            if way == 0 and path in file:
                for i in range(r.choice((1, 20))):
                    file[path].attrs[f"a{i}"] = r.choice((1, "text", np.zeros(r.choice((1, 3000))), h5py.Empty("f4")))
            elif way == 1 and path in file:
                del file[path]
            elif way == 2:
                file[f"new{r.randrange(9**9)}/vars/0"] = np.zeros(r.choice(((), 3, (2, 2), (0, 4))))
            elif way == 3:
                file[f"link{r.randrange(9**9)}"] = r.choice((h5py.SoftLink("/layers"), h5py.ExternalLink("x.h5", "/")))
            elif path in file:
                replace_array(r, file, path)
    return buffer.getvalue()


def replace_array(r: random.Random, file: h5py.File, path: str) -> None:
    """Replace an array or a group of an HDF5 file by an array of another shape, dtype or layout."""
    del file[path]
    shape = r.choice(((6, 4), (4,), (4, 3), (), (10**5, 10**5), (2**28, 2**28), (0, 7)))
    dtype = r.choice(("<f4", ">f8", "<f2", "<i8", "S5", "f4,f4", "?"))
    options = r.choice(({}, {}, {"chunks": True, "compression": "gzip"}, {"maxshape": (None,) * len(shape)}))
    file.create_dataset(path, shape, dtype, **(options if shape and 0 not in shape else {}))


def zipped(entries: dict[str, bytes], r: random.Random) -> bytes:
    """Return a zip archive of these entries, with correct checksums and constant dates."""
    buffer, method = io.BytesIO(), r.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in entries.items():
            file.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def unzipped(archive: bytes) -> dict[str, bytes]:
    """Return the entries of a zip archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return {name: file.read(name) for name in file.namelist()}


@contextmanager
def limited_time() -> Iterator[None]:
    """Fail if the ``with`` block takes too much processor time; end the process if it hangs."""
    faulthandler.dump_traceback_later(TIMEOUT, exit=True)
    start = time.process_time()
    yield
    spent = time.process_time() - start
    faulthandler.cancel_dump_traceback_later()
    assert spent < SECONDS, f"{spent:.1f} s for one file"


def limit_memory(allocated: int) -> None:
    """Let this process allocate no more bytes than these, in addition to those that it has."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + allocated, size + allocated))

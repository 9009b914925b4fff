"""Read thousands of damaged files, each with limits on time and memory.

Usage: ``python -m parity_tests.robustness.fuzz FIRST COUNT``.

Every seed makes one file: a good one of one of five kinds, damaged in one of many ways.  Reading it must either give
what is in it, as another reader confirms, or raise ``FileError``.  The seed is printed before the file is read, so that
whoever started the process knows which file ended it.
"""

import copy
import faulthandler
import gzip
import io
import json
import random
import resource
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scratch.datasets.idx import read_idx
from scratch.files import FileError
from scratch.layers import Activation, Dense, Flatten, Input, Softmax
from scratch.models import Sequential, load_model
from scratch.optimizers import SGD
from scratch.saving import config, npz, weights
from scratch.utils import set_random_seed

SECONDS = 2.0  # of processor time, for one file
MEMORY = 500_000_000  # bytes, on top of what the process has before
HANG = 120  # seconds after which the process ends itself; the machine may be busy

DEEP = "in the place of this"


def make_model() -> Sequential:
    """The model whose files are damaged."""
    set_random_seed(0)
    rng = np.random.default_rng(0)
    layers = [Input((3, 2)), Flatten(), Dense(4, "relu"), Activation("tanh"), Dense(3, use_bias=False), Softmax()]
    model = Sequential(layers, name="model", backend="numpy")
    model.compile(SGD(0.1, 0.9, nesterov=True), "categorical_crossentropy", ["accuracy"])
    model.train_on_batch(rng.normal(size=(5, 3, 2)), np.eye(3)[[0, 1, 2, 1, 0]])
    return model


# --- ways to damage bytes -----------------------------------------------------------------------------------------


def damage(r: random.Random, good: bytes) -> bytes:
    """A few bytes other, fewer, more, or in another place; mostly where there are any but zeros."""
    content = bytearray(good)
    telling = [i for i, byte in enumerate(good) if byte] or [0]
    for _ in range(r.choice((1, 1, 1, 2, 4, 16))):
        i = r.choice(telling) if r.random() < 0.7 else r.randrange(len(good))
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
    """The same tree, with one of its values or keys replaced or gone."""
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
            (None, True, False, 0, -1, 3, 10**9, 10**17, 0.5, 1e308, "", "relu", "\ud800", DEEP, [], {}, taken)
        )
        if isinstance(node, dict) and r.random() < 0.2:
            node.pop(key, None)
        elif isinstance(node, dict) or key < len(node):
            node[key] = copy.deepcopy(new)
    return tree


def nested(r: random.Random, text: str) -> bytes:
    """The text, with lists within lists where it has been marked."""
    depth = r.choice((5, 500, 900, 100_000))
    return text.replace(f'"{DEEP}"', "[" * depth + "]" * depth).encode()


def damage_hdf5(r: random.Random, good: bytes) -> bytes:
    """A sound HDF5 file with something in it that doesn't belong there."""
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
                del file[path]
                shape = r.choice(((6, 4), (4,), (4, 3), (), (10**5, 10**5), (2**28, 2**28), (0, 7)))
                dtype = r.choice(("<f4", ">f8", "<f2", "<i8", "S5", "f4,f4", "?"))
                options = r.choice(
                    ({}, {}, {"chunks": True, "compression": "gzip"}, {"maxshape": (None,) * len(shape)})
                )
                file.create_dataset(path, shape, dtype, **(options if shape and 0 not in shape else {}))
    return buffer.getvalue()


def zipped(entries: dict[str, bytes], r: random.Random) -> bytes:
    """An archive of these entries; the sums over their bytes are right, and the dates always the same."""
    buffer, method = io.BytesIO(), r.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in entries.items():
            file.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def unzipped(archive: bytes) -> dict[str, bytes]:
    """The entries of an archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return {name: file.read(name) for name in file.namelist()}


# --- the five kinds -----------------------------------------------------------------------------------------------


class Kind:
    """A kind of file: how it is damaged, and what reading it must come to."""

    def __init__(self, name: str, good: bytes) -> None:
        self.name, self.good = name, good

    def make(self, r: random.Random) -> bytes:
        """A damaged file."""
        return damage(r, self.good)

    def check(self, path: Path) -> None:
        """Read the file, and compare with another reader if that worked."""
        raise NotImplementedError


class Archive(Kind):
    """A .keras archive."""

    def make(self, r: random.Random) -> bytes:
        if r.random() < 0.3:
            return damage(r, self.good)
        entries = unzipped(self.good)
        text, numbers = entries["config.json"], entries["model.weights.h5"]
        way = r.randrange(6)
        if way <= 2:
            entries["config.json"] = nested(r, json.dumps(damage_json(r, json.loads(text))))
        elif way == 3:
            entries["config.json"] = damage(r, text)
        elif way == 4:
            entries["model.weights.h5"] = damage(r, numbers)
        else:
            entries["model.weights.h5"] = damage_hdf5(r, numbers)
        return zipped(entries, r)

    def check(self, path: Path) -> None:
        model = load_model(path, backend="numpy")
        with zipfile.ZipFile(path) as file:
            same_weights(model, io.BytesIO(file.read("model.weights.h5")))
        text = config.to_json(model)  # what was read can be written
        assert config.to_json(_again(model, path)) == text
        if model.built and model.input_shape is not None:
            out = model(np.zeros((2, *map(int, model.input_shape[1:]))))
            assert out.shape == (2, *model.compute_output_shape(model.input_shape)[1:])


def _again(model: Sequential, path: Path) -> Sequential:
    model.save(path)
    again = load_model(path, backend="numpy")
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    return again


class Weights(Kind):
    """A .weights.h5 file."""

    def make(self, r: random.Random) -> bytes:
        return damage_hdf5(r, self.good) if r.random() < 0.2 else damage(r, self.good)

    def check(self, path: Path) -> None:
        model = make_model()
        before = [W.tobytes() for W in model.get_weights()]
        try:
            model.load_weights(path)
        except FileError:
            assert [W.tobytes() for W in model.get_weights()] == before
            raise
        same_weights(model, path)


def same_weights(model: Sequential, file: Any) -> None:
    """The model has the file's numbers, as h5py finds them, as far as they fit into its dtype."""
    with h5py.File(file, "r") as opened, np.errstate(over="ignore"):
        for path, W in weights.variables(model).items():
            np.testing.assert_array_equal(W, opened[path][()].astype(W.dtype))


class Arrays(Kind):
    """An .npz file."""

    def make(self, r: random.Random) -> bytes:
        if r.random() < 0.5:
            return damage(r, self.good)
        entries = unzipped(self.good)
        name = r.choice(list(entries))
        head = entries[name][:128]
        if r.random() < 0.5:
            head = damage(r, head)
        else:  # another number, dtype or order
            old, new = r.choice(
                ((b"(6, 4)", b"(4, 6)"), (b"6", b"60000"), (b"<f4", b">f4"), (b"<f4", b"|O8"), (b"4", b"-4"))
            )
            head = head.replace(old, new, 1).replace(b"False", r.choice((b"False", b"True ")))
        entries[name] = head + entries[name][128:]
        return zipped(entries, r)

    def check(self, path: Path) -> None:
        arrays = npz.read_arrays(path)
        with np.load(path, allow_pickle=False) as expected:
            assert list(arrays) == list(expected.files)
            for name, array in arrays.items():
                assert array.dtype.isnative
                np.testing.assert_array_equal(array, expected[name])


class Idx(Kind):
    """An IDX file, or a gzipped one."""

    def make(self, r: random.Random) -> bytes:
        raw = gzip.decompress(self.good) if self.name == "gzip" else self.good
        if r.random() < 0.3:
            sizes = [r.choice((0, 1, 5, 28, 2**31, 2**32 - 1)) for _ in range(3)]
            raw = raw[:4] + struct.pack(">3I", *sizes) + raw[16:]
        elif r.random() < 0.5:
            raw = damage(r, raw)
        if self.name == "idx":
            return raw if raw != self.good else damage(r, raw)
        packed = gzip.compress(raw, mtime=0)
        return damage(r, packed) if r.random() < 0.6 or raw == self.good else packed * r.choice((1, 2))

    def check(self, path: Path) -> None:
        array = read_idx(path)
        content = path.read_bytes()
        raw = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        assert raw[:4] == bytes((0, 0, 8, array.ndim))
        assert raw[4:] == struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def make_kinds(folder: Path) -> list[Kind]:
    """The five kinds, each with a good file."""
    model = make_model()
    paths = [folder / f"good{suffix}" for suffix in (".keras", ".weights.h5", ".npz")]
    model.save(paths[0])
    model.save_weights(paths[1])
    model.save_weights(paths[2])
    numbers, arrays = (path.read_bytes() for path in paths[1:])
    entries = unzipped(paths[0].read_bytes()) | {"metadata.json": b"{}"}
    idx = b"\0\0\x08\x03" + struct.pack(">3I", 5, 6, 7) + np.random.default_rng(0).bytes(210)
    return [
        Archive(".keras", zipped(entries, random.Random(0))),
        Weights(".weights.h5", numbers),
        Arrays(".npz", arrays),
        Idx("idx", idx),
        Idx("gzip", gzip.compress(idx, mtime=0)),
    ]


def main(first: int, count: int) -> None:
    """Read that many files, and print how many of each kind were good and how many refused."""
    warnings.simplefilter("ignore")  # of an optimizer's numbers that are left out, and the like
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = make_kinds(folder)
        for kind in kinds:  # the good file is good; and all that is imported on the way is
            (folder / f"file{kind.name}").write_bytes(kind.good)
            kind.check(folder / f"file{kind.name}")
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        found: Counter[str] = Counter()
        for seed in range(first, first + count):
            kind = kinds[seed % len(kinds)]
            path = folder / f"file{kind.name}"
            path.write_bytes(kind.make(random.Random(seed)))
            print(seed, flush=True)
            faulthandler.dump_traceback_later(HANG, exit=True)
            start, message = time.process_time(), None
            try:
                kind.check(path)
            except FileError as error:
                message = str(error)
            spent = time.process_time() - start
            assert spent < SECONDS, f"{spent:.1f} s for one file"
            assert message is None or (message.startswith(str(path)) and "\n" not in message), message
            found[f"{kind.name} {'read' if message is None else 'refused'}"] += 1
        faulthandler.cancel_dump_traceback_later()
    print(json.dumps(found))


if __name__ == "__main__":
    faulthandler.enable()
    main(int(sys.argv[1]), int(sys.argv[2]))

"""Read thousands of damaged files, each with limits on time and memory.

Usage: ``python -m parity_tests.robustness.fuzz FIRST COUNT``.

Every seed gives one file: a valid file of one of five formats, damaged in one of many ways.  Reading it must return its
content, as another reader confirms, or raise ``FileError``.  The seed is printed before the file is read, so that the
test knows which file ended the process.
"""

import faulthandler
import gzip
import io
import json
import random
import struct
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from parity_tests.robustness.damage import (
    damage_bytes,
    damage_hdf5,
    damage_json,
    limit_memory,
    limited_time,
    nest_lists,
    unzipped,
    zipped,
)
from scratch.datasets.idx import read_idx
from scratch.files import FileError
from scratch.layers import Activation, Dense, Flatten, Input, Softmax
from scratch.models import Sequential, load_model
from scratch.optimizers import SGD
from scratch.saving import config, npz, weights
from scratch.utils import set_random_seed

MEMORY = 500_000_000  # bytes that reading may allocate


def make_model() -> Sequential:
    """Return the model whose files are damaged."""
    set_random_seed(0)
    rng = np.random.default_rng(0)
    layers = [Input((3, 2)), Flatten(), Dense(4, "relu"), Activation("tanh"), Dense(3, use_bias=False), Softmax()]
    model = Sequential(layers, name="model", backend="numpy")
    model.compile(SGD(0.1, 0.9, nesterov=True), "categorical_crossentropy", metrics=["accuracy"])
    model.train_on_batch(rng.normal(size=(5, 3, 2)), np.eye(3)[[0, 1, 2, 1, 0]])
    return model


class Format:
    """A file format: how a file is damaged, and how its reader is checked."""

    def __init__(self, name: str, good: bytes) -> None:
        self.name, self.good = name, good

    def make(self, r: random.Random) -> bytes:
        """Return a damaged file."""
        return damage_bytes(r, self.good)

    def check(self, path: Path) -> None:
        """Read the file, and compare the result with that of another reader; or raise a ``FileError``."""
        raise NotImplementedError


class Archive(Format):
    """The .keras archive."""

    def make(self, r: random.Random) -> bytes:
        if r.random() < 0.3:
            return damage_bytes(r, self.good)
        entries = unzipped(self.good)
        text, weights_h5 = entries["config.json"], entries["model.weights.h5"]
        way = r.randrange(6)
        if way <= 2:
            entries["config.json"] = nest_lists(r, json.dumps(damage_json(r, json.loads(text))))
        elif way == 3:
            entries["config.json"] = damage_bytes(r, text)
        elif way == 4:
            entries["model.weights.h5"] = damage_bytes(r, weights_h5)
        else:
            entries["model.weights.h5"] = damage_hdf5(r, weights_h5)
        return zipped(entries, r)

    def check(self, path: Path) -> None:
        model = load_model(path, backend="numpy")
        with zipfile.ZipFile(path) as file:
            assert_same_weights(model, io.BytesIO(file.read("model.weights.h5")))
        assert config.to_json(save_and_load(model, path)) == config.to_json(model)
        if model.built and model.input_shape is not None:
            out = model(np.zeros((2, *map(int, model.input_shape[1:]))))
            assert out.shape == (2, *model.compute_output_shape(model.input_shape)[1:])


def save_and_load(model: Sequential, path: Path) -> Sequential:
    """Save and load a model, and check that its weights are the same."""
    model.save(path)
    loaded = load_model(path, backend="numpy")
    for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    return loaded


class Weights(Format):
    """The .weights.h5 file."""

    def make(self, r: random.Random) -> bytes:
        return damage_hdf5(r, self.good) if r.random() < 0.2 else damage_bytes(r, self.good)

    def check(self, path: Path) -> None:
        model = make_model()
        before = [W.tobytes() for W in model.get_weights()]
        try:
            model.load_weights(path)
        except FileError:
            assert [W.tobytes() for W in model.get_weights()] == before
            raise
        assert_same_weights(model, path)


def assert_same_weights(model: Sequential, file: Any) -> None:
    """Check that a model has the weights that h5py reads from a file, in the model's dtype.

    h5py rejects a few more files than scratch: it also reads structures without influence on the arrays, such as lists
    of free space.
    """
    try:
        with h5py.File(file, "r") as opened:
            expected = {path: opened[path][()] for path in weights.variables(model)}
    except (KeyError, OSError):
        return
    with np.errstate(over="ignore"):
        for path, W in weights.variables(model).items():
            np.testing.assert_array_equal(W, expected[path].astype(W.dtype))


class Arrays(Format):
    """The .npz file."""

    def make(self, r: random.Random) -> bytes:
        if r.random() < 0.5:
            return damage_bytes(r, self.good)
        entries = unzipped(self.good)
        name = r.choice(list(entries))
        head = entries[name][:128]
        if r.random() < 0.5:
            head = damage_bytes(r, head)
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


class Idx(Format):
    """The IDX file, compressed by gzip or not."""

    def make(self, r: random.Random) -> bytes:
        raw = gzip.decompress(self.good) if self.name == "gzip" else self.good
        if r.random() < 0.3:
            sizes = [r.choice((0, 1, 5, 28, 2**31, 2**32 - 1)) for _ in range(3)]
            raw = raw[:4] + struct.pack(">3I", *sizes) + raw[16:]
        elif r.random() < 0.5:
            raw = damage_bytes(r, raw)
        if self.name == "idx":
            return raw if raw != self.good else damage_bytes(r, raw)
        packed = gzip.compress(raw, mtime=0)
        return damage_bytes(r, packed) if r.random() < 0.6 or raw == self.good else packed * r.choice((1, 2))

    def check(self, path: Path) -> None:
        array = read_idx(path)
        content = path.read_bytes()
        raw = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        assert raw[:4] == bytes((0, 0, 8, array.ndim))
        assert raw[4:] == struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def make_formats(folder: Path) -> list[Format]:
    """Return the five formats, each with a valid file."""
    model = make_model()
    paths = [folder / f"good{suffix}" for suffix in (".keras", ".weights.h5", ".npz")]
    model.save(paths[0])
    model.save_weights(paths[1])
    model.save_weights(paths[2])
    weights_h5, arrays = (path.read_bytes() for path in paths[1:])
    entries = unzipped(paths[0].read_bytes()) | {"metadata.json": b"{}"}
    idx = b"\0\0\x08\x03" + struct.pack(">3I", 5, 6, 7) + np.random.default_rng(0).bytes(210)
    return [
        Archive(".keras", zipped(entries, random.Random(0))),
        Weights(".weights.h5", weights_h5),
        Arrays(".npz", arrays),
        Idx("idx", idx),
        Idx("gzip", gzip.compress(idx, mtime=0)),
    ]


def check_file(tested: Format, path: Path) -> str:
    """Read one damaged file within the limits, and return whether it was ``read`` or ``rejected``."""
    message = None
    with limited_time():
        try:
            tested.check(path)
        except FileError as error:
            message = str(error)
    assert message is None or (message.startswith(str(path)) and "\n" not in message), message
    return "read" if message is None else "rejected"


def main(first: int, count: int) -> None:
    """Read the files of these seeds, and print how many of each format were read and how many rejected."""
    warnings.simplefilter("ignore")  # an optimizer state that is not loaded, for example
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        formats = make_formats(folder)
        for valid in formats:  # also imports all modules before the memory is limited
            (folder / f"file{valid.name}").write_bytes(valid.good)
            valid.check(folder / f"file{valid.name}")
        limit_memory(MEMORY)
        results: Counter[str] = Counter()
        for seed in range(first, first + count):
            damaged = formats[seed % len(formats)]
            path = folder / f"file{damaged.name}"
            path.write_bytes(damaged.make(random.Random(seed)))
            print(seed, flush=True)
            results[f"{damaged.name} {check_file(damaged, path)}"] += 1
    print(json.dumps(results))


if __name__ == "__main__":
    faulthandler.enable()
    main(int(sys.argv[1]), int(sys.argv[2]))

"""Archives from an untrusted source: each of many invalid ones is rejected quickly, with one sentence."""

import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from parity_tests.robustness.saved_model import trained_model, write_zip
from scratch.files import FileError
from scratch.models import load_model

Entries = dict[str, bytes]
Change = Callable[[Entries], Entries]


def with_config(change: Callable[[Any], object]) -> Change:
    """Replace config.json by the bytes that ``change`` returns, or by the config that it has changed in place."""

    def make(entries: Entries) -> Entries:
        config = json.loads(entries["config.json"])
        changed = change(config)
        text = changed if isinstance(changed, bytes) else json.dumps(config).encode()
        return entries | {"config.json": text}

    return make


def layer(config: Any, i: int) -> Any:
    """Return the config of the i-th layer."""
    return config["config"]["layers"][i]["config"]


def with_weights(change: Callable[[h5py.File], object]) -> Change:
    """Change the file of weights in place."""

    def make(entries: Entries) -> Entries:
        buffer = io.BytesIO(entries["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            change(file)
        return entries | {"model.weights.h5": buffer.getvalue()}

    return make


def replace(file: h5py.File, path: str, **options: Any) -> None:
    """Replace an array."""
    del file[path]
    file.create_dataset(path, **options)


def virtual(file: h5py.File) -> None:
    """Replace an array by a view of another file."""
    layout = h5py.VirtualLayout((8, 6), "float32")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (8, 6))
    del file["layers/dense/vars/0"]
    file.create_virtual_dataset("layers/dense/vars/0", layout)


def link(target: object) -> Callable[[h5py.File], None]:
    """Replace an array by a link."""

    def change(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = target

    return change


def circle(entries: Entries) -> Entries:
    """Make the first B-tree node of a group's names its own child."""
    content = bytearray(entries["model.weights.h5"])
    node = content.index(b"TREE")
    content[node + 5] = 1  # the level
    content[node + 32 : node + 40] = node.to_bytes(8, "little")
    return entries | {"model.weights.h5": bytes(content)}


W = "layers/dense/vars/0"
OUTSIDE = [("/etc/passwd", 0, 192)]
ARCHIVES: dict[str, tuple[Change, str]] = {
    "no config": (lambda e: {"model.weights.h5": e["model.weights.h5"]}, r"has no config\.json"),
    "no weights": (lambda e: {"config.json": e["config.json"]}, r"has no model\.weights\.h5"),
    "not JSON": (with_config(lambda c: b"{"), "config.json is not JSON as Keras writes it"),
    "not UTF-8": (with_config(lambda c: b"\xff\xfe\xff"), "config.json is not JSON as Keras writes it"),
    "NaN": (with_config(lambda c: c["compile_config"]["optimizer"]["config"].update(learning_rate=np.nan)), "NaN"),
    "infinite": (
        with_config(lambda c: json.dumps(c).replace('"learning_rate": 0.1', '"learning_rate": 1e999').encode()),
        "learning_rate must be a finite number",
    ),
    "nested lists": (
        with_config(lambda c: b"[" * 100_000 + b"]" * 100_000),
        "config.json is not JSON as Keras writes it",
    ),
    "nested lists in a layer": (
        with_config(lambda c: json.dumps(c).replace('"tanh"', "[" * 900 + "]" * 900).encode()),
        "activation=a list",
    ),
    "large": (with_config(lambda c: b" " * (1 << 23)), "config.json has 8,388,608 bytes; expected at most 5,000,000"),
    "large integer": (
        with_config(lambda c: json.dumps(c).replace("null", "9" * 5000).encode()),
        "is too large a number",
    ),
    "list": (with_config(lambda c: b"[]"), "Expected the class_name and the config of the model; got a list"),
    "layers is null": (with_config(lambda c: c["config"].update(layers=None)), "a list of at most 5,000 layers"),
    "many layers": (
        with_config(lambda c: c["config"].update(layers=c["config"]["layers"] * 650)),
        "a list of at most 5,000 layers",
    ),
    "layer is a number": (
        with_config(lambda c: c["config"]["layers"].append(3)),
        "Expected the class_name and the config of the layer; got 3",
    ),
    "no units": (with_config(lambda c: layer(c, 2).pop("units")), r"The layer 'dense' \(Dense\) has no units"),
    "units": (with_config(lambda c: layer(c, 2).update(units=2.5)), "'dense'.*units must be an integer"),
    "many units": (with_config(lambda c: layer(c, 2).update(units=10**15)), "has shape .*; the model needs"),
    "use_bias": (with_config(lambda c: layer(c, 2).update(use_bias="no")), "'dense'.*use_bias='no'"),
    "large input": (
        with_config(lambda c: layer(c, 0).update(batch_shape=[None, 10**15])),
        "has shape .*; the model needs",
    ),
    "shape": (with_config(lambda c: layer(c, 0).update(batch_shape=[None, -4, 2])), "batch_shape=a list"),
    "duplicate name": (with_config(lambda c: layer(c, 6).update(name="dense")), "already has a layer named 'dense'"),
    "control character": (with_config(lambda c: layer(c, 2).update(name="a\0b")), "is not a name in Keras"),
    "surrogate": (with_config(lambda c: layer(c, 2).update(name="\ud800")), "is not a name in Keras"),
    "module": (
        with_config(lambda c: c["config"]["layers"][2].update(module="os", class_name="system")),
        "is a 'system' of 'os', which scratch does not support",
    ),
    "class name is a list": (
        with_config(lambda c: c["config"]["layers"][2].update(class_name=["Dense"])),
        "The layer 'dense' is a .*list of 'keras.layers', which scratch does not support",
    ),
    "registered": (
        with_config(lambda c: c["config"]["layers"][2].update(registered_name="mine>Dense")),
        "The layer 'dense' is a 'Dense' of 'keras.layers'.*registered as 'mine>Dense'",
    ),
    "lambda": (
        with_config(lambda c: layer(c, 2).update(activation={"class_name": "__lambda__", "config": {"value": "4wEA"}})),
        "activation='__lambda__'",
    ),
    "momentum": (
        with_config(lambda c: c["compile_config"]["optimizer"]["config"].update(momentum=2)),
        "momentum must be a finite number, between 0 and 1",
    ),
    "no loss": (
        with_config(lambda c: c["compile_config"].pop("loss")),
        "Unknown loss '': choose one of categorical_crossentropy, ",
    ),
    "two losses": (
        with_config(lambda c: c["compile_config"].update(loss=["mse", "mae"])),
        "Expected the class_name and the config of the loss; got a list",
    ),
    "loss without reduction": (
        with_config(lambda c: c["compile_config"]["loss"]["config"].update(reduction="none")),
        "compile needs a loss that is one number per batch",
    ),
    "metrics is a name": (
        with_config(lambda c: c["compile_config"].update(metrics="all")),
        "The metrics must be a list",
    ),
    "compile_config is a list": (with_config(lambda c: c.update(compile_config=[1])), "compile_config must hold"),
    "optimizer is a name": (
        with_config(lambda c: c["compile_config"].update(optimizer="adam")),
        "Expected the class_name and the config of the optimizer; got 'adam'",
    ),
    "not HDF5": (lambda e: e | {"model.weights.h5": b"PK" * 500}, "weights cannot be read"),
    "truncated": (lambda e: e | {"model.weights.h5": e["model.weights.h5"][:3000]}, "weights cannot be read"),
    "missing layer": (with_weights(lambda f: f.pop("layers/dense_2")), "has no array 'layers/dense_2/vars/0'"),
    "additional layer": (
        with_weights(lambda f: f.create_dataset("layers/dense_3/vars/0", data=[1.0])),
        "has an array 'layers/dense_3/vars/0', which the model does not have",
    ),
    "shape of weight": (
        with_weights(lambda f: replace(f, W, data=np.ones((6, 8)))),
        r"has shape \(6, 8\); the model needs",
    ),
    "integers": (with_weights(lambda f: replace(f, W, data=np.ones((8, 6), int))), "must hold floating-point numbers"),
    "strings": (with_weights(lambda f: replace(f, W, data=[b"a", b"b"])), "its datatype is VARIABLE_LENGTH"),
    "records": (with_weights(lambda f: replace(f, W, data=np.zeros(3, "f4,f4"))), "its datatype is COMPOUND"),
    "empty dataset": (
        with_weights(lambda f: replace(f, W, data=h5py.Empty("f4"))),
        "its DATASPACE message has version 2",
    ),
    "declared size": (
        with_weights(lambda f: replace(f, W, shape=(10**6, 10**6), dtype="f4")),
        "the datasets declare 4,000,000,000,[0-9]* bytes, more than",
    ),
    "declared chunks": (
        with_weights(lambda f: replace(f, W, shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))),
        "its data layout is CHUNKED",
    ),
    "gzip": (
        with_weights(lambda f: replace(f, W, data=np.zeros((3000, 1000), "f4"), compression="gzip")),
        "a message that Keras does not write: FILTER_PIPELINE",
    ),
    "external data": (
        with_weights(lambda f: replace(f, W, shape=(8, 6), dtype="f4", external=OUTSIDE)),
        "a message that Keras does not write: EXTERNAL_DATA_FILES",
    ),
    "virtual": (with_weights(virtual), "its data layout is VIRTUAL"),
    "soft link": (with_weights(link(h5py.SoftLink("/layers/dense_2/vars/0"))), "'0' is a soft link"),
    "external link": (
        with_weights(link(h5py.ExternalLink("/etc/passwd", "/"))),
        "a message that Keras does not write: LINK",
    ),
    "group in itself": (
        with_weights(lambda f: f["layers"].__setitem__("again", f["layers"])),
        "'again' is a second link to an object",
    ),
    "circle of nodes": (circle, "has level 1; expected 0"),
    "negative steps": (
        with_weights(lambda f: replace(f, "optimizer/vars/0", data=np.int64(-1))),
        "optimizer/vars/0 must be the number of steps, an integer of 0 or more; got -1",
    ),
    "learning rate is NaN": (
        with_weights(lambda f: replace(f, "optimizer/vars/1", data=np.float32(np.nan))),
        "optimizer/vars/1, the learning rate, must be a finite number",
    ),
    "shape of velocity": (
        with_weights(lambda f: replace(f, "optimizer/vars/2", data=np.ones(3))),
        r"'optimizer/vars/2' has shape \(3,\); the model needs \(8, 6\)",
    ),
    "parent folder": (lambda e: e | {"../../evil": b"x"}, "has an entry with a path outside the archive: '../../evil'"),
    "absolute path": (lambda e: e | {"/etc/evil": b"x"}, "has an entry with a path outside the archive: '/etc/evil'"),
}


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> Entries:
    """The entries of a valid archive."""
    path = tmp_path_factory.mktemp("valid") / "model.keras"
    model = trained_model()
    names = ["flatten", "dense", "re_lu", "dense_1", "activation", "dense_2", "softmax"]
    for part, name in zip(model.layers, names, strict=True):
        part.name = name
    model.save(path)
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.mark.parametrize("name", ARCHIVES)
def test_invalid_archive_is_rejected(name: str, entries: Entries, tmp_path: Path) -> None:
    change, message = ARCHIVES[name]
    path = write_zip(tmp_path / "model.keras", change(entries))
    start = time.process_time()
    with pytest.raises(FileError, match=message) as error:
        load_model(path, backend="numpy")
    assert time.process_time() - start < 2
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400 + len(str(path))


def test_valid_archive_is_loaded(entries: Entries, tmp_path: Path) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        assert load_model(write_zip(tmp_path / "model.keras", entries, method), backend="numpy").built


def test_invalid_zip_is_rejected(entries: Entries, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"

    def assert_rejected(message: str) -> None:
        with pytest.raises(FileError, match=message) as error:
            load_model(path)
        assert str(error.value).startswith(str(path))

    assert_rejected("does not exist")
    path.mkdir()
    assert_rejected("is not a file")
    path.rmdir()
    os.mkfifo(path)
    assert_rejected("is not a file")
    path.unlink()
    path.write_bytes(b"")
    assert_rejected(r"is not a readable \.keras file")
    write_zip(path, entries, zipfile.ZIP_LZMA)
    assert_rejected("is encrypted, or not compressed by deflate")
    write_zip(path, entries | {"model.weights.h5": bytes(70_000_000)}, zipfile.ZIP_DEFLATED)
    assert_rejected("claims to unpack to 70,0")
    write_zip(path, {"config.json": b"1", "config.jsoN": b"2"})
    path.write_bytes(path.read_bytes().replace(b"jsoN", b"json"))
    assert_rejected(r"has two entries named 'config\.json'")
    with zipfile.ZipFile(path, "w") as file:
        info = zipfile.ZipInfo("config.json")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    assert_rejected("has a symbolic link")
    write_zip(path, entries)
    content = bytearray(path.read_bytes())
    content[content.index(b"keras.layers")] ^= 1
    path.write_bytes(content)
    assert_rejected("Bad CRC-32")

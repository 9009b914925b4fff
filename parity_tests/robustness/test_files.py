"""Models as files, with nothing but scratch: they come back as they were, and what is no such file says so."""

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from scratch.files import FileError
from scratch.layers import Activation, Dense, Flatten, Input, ReLU, Softmax
from scratch.losses import SparseCategoricalCrossentropy
from scratch.models import Sequential, load_model
from scratch.optimizers import SGD
from scratch.saving import hdf5, npz

backends = pytest.mark.parametrize("backend", ["numpy", "numba"])
X = np.random.default_rng(1).normal(size=(30, 4, 2)).astype("float32")
Y = np.arange(30) % 3


def trained(backend: str = "numpy", dtype: str = "float32", momentum: float = 0.9) -> Sequential:
    """A model with a bit of everything, after a few steps."""
    layers = [
        Input((4, 2)),
        Flatten(),
        Dense(6, "tanh", kernel_initializer="he_normal"),
        ReLU(),
        Dense(5, use_bias=False, dtype="float64"),
        Activation("sigmoid"),
        Dense(3),
        Softmax(),
    ]
    model = Sequential(layers, name="digits", backend=backend, dtype=dtype)
    model.compile(
        SGD(0.1, momentum, clipnorm=1.0), SparseCategoricalCrossentropy(reduction="sum"), metrics=["accuracy"]
    )
    model.fit(X, Y, batch_size=7, verbose=0)
    return model


def assert_same(a: Sequential, b: Sequential) -> None:
    """The same numbers, and after more training still the same, bit for bit."""
    for _ in range(2):
        assert [W.dtype for W in a.get_weights()] == [W.dtype for W in b.get_weights()]
        assert [W.tobytes() for W in a.get_weights()] == [W.tobytes() for W in b.get_weights()]
        assert a.optimizer is not None
        assert b.optimizer is not None
        assert [v.tobytes() for v in a.optimizer.variables] == [v.tobytes() for v in b.optimizer.variables]
        np.testing.assert_array_equal(a.predict(X, verbose=0), b.predict(X, verbose=0))
        histories = [model.fit(X, Y, batch_size=7, verbose=0, shuffle=False).history for model in (a, b)]
        assert histories[0] == histories[1]


@backends
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_an_archive_holds_all_that_training_needs(backend: str, dtype: str, momentum: float, tmp_path: Path) -> None:
    model = trained(backend, dtype, momentum)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras", backend=backend)
    assert (loaded.name, loaded.backend, loaded.dtype) == (model.name, backend, np.dtype(dtype))
    assert [(type(layer), layer.name, layer.dtype) for layer in loaded.layers] == [
        (type(layer), layer.name, layer.dtype) for layer in model.layers
    ]
    assert_same(loaded, model)


@backends
def test_weights_go_into_a_model_of_the_same_layers(backend: str, tmp_path: Path) -> None:
    model = trained(backend)
    model.save_weights(tmp_path / "w.weights.h5")
    model.save_weights(tmp_path / "w.npz")
    other = trained(backend)  # other names and other numbers
    other.load_weights(tmp_path / "w.npz")
    assert [W.tobytes() for W in model.get_weights()] == [W.tobytes() for W in other.get_weights()]
    other.load_weights(tmp_path / "w.weights.h5")
    assert_same(other, model)


def test_an_npz_is_for_numpy(tmp_path: Path) -> None:
    model = trained()
    model.save_weights(tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as arrays:
        assert arrays.files == ["dense/W", "dense/b", "dense_1/W", "dense_2/W", "dense_2/b"]
        np.testing.assert_array_equal(arrays["dense_1/W"], model.get_weights()[2])


def test_weights_alone_go_into_a_model_that_is_not_compiled(tmp_path: Path) -> None:
    model, other = Sequential([Dense(2, input_shape=(3,))]), Sequential([Dense(2, input_shape=(3,))])
    model.compile(SGD(0.1, 0.5), "categorical_crossentropy")
    model.save_weights(tmp_path / "w.weights.h5")
    other.load_weights(tmp_path / "w.weights.h5")
    assert [W.tobytes() for W in model.get_weights()] == [W.tobytes() for W in other.get_weights()]
    other.compile(SGD(0.1), "categorical_crossentropy")
    with pytest.warns(UserWarning, match="has 4 variables of an optimizer, this one has 2: they are left out"):
        other.load_weights(tmp_path / "w.weights.h5")


@pytest.mark.parametrize("name", ["model.keras", "w.weights.h5", "w.npz"])
def test_a_file_is_replaced_only_if_it_may_be(name: str, tmp_path: Path) -> None:
    model, path = trained(), tmp_path / name
    save = model.save if name.endswith(".keras") else model.save_weights
    save(path)
    before = path.read_bytes()
    with pytest.raises(FileError, match=r"exists already; pass overwrite=True, or another name\."):
        save(path, overwrite=False)
    assert path.read_bytes() == before
    save(path)
    with pytest.raises(FileError, match=r"can't be written: No such file or directory"):
        save(tmp_path / "nowhere" / name)


@pytest.mark.parametrize("name", ["model.h5", "model", "w.h5", "w.keras"])
def test_the_name_says_what_a_file_is(name: str, tmp_path: Path) -> None:
    model = trained()
    with pytest.raises(FileError, match=r"must end in \.weights\.h5, which Keras opens, or in \.npz"):
        model.save_weights(tmp_path / name)
    with pytest.raises(FileError, match=r"must end in \.weights\.h5, which Keras opens, or in \.npz"):
        model.load_weights(tmp_path / name)
    if not name.endswith(".keras"):
        with pytest.raises(FileError, match=r"must end in \.keras"):
            model.save(tmp_path / name)
        with pytest.raises(FileError, match=r"must end in \.keras"):
            load_model(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_model_without_weights_has_none_to_save_or_load(tmp_path: Path) -> None:
    model = Sequential([Dense(2)])
    for work in (model.save_weights, model.load_weights):
        with pytest.raises(ValueError, match="has no weights yet: call it on data, or give an input_shape"):
            work(tmp_path / "w.npz")


# --- without Keras ------------------------------------------------------------------------------------------------

WITHOUT_KERAS = """
import sys
import numpy as np

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("keras", "tensorflow", "jax", "torch"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Nothing())
from scratch.models import load_model

model = load_model(sys.argv[1], backend="numpy")
model.save(sys.argv[1])
model.save_weights(sys.argv[2])
model.load_weights(sys.argv[2])
print(sorted({name.split(".")[0] for name in sys.modules} & {"keras", "tensorflow", "jax", "torch", "pickle5"}))
"""


def test_files_need_no_keras(tmp_path: Path) -> None:
    model, path = trained(), tmp_path / "model.keras"
    model.save(path)
    command = [sys.executable, "-c", WITHOUT_KERAS, str(path), str(tmp_path / "w.weights.h5")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("[]\n", "")
    assert_same(load_model(path, backend="numpy"), model)


# --- archives from someone else -----------------------------------------------------------------------------------


def archive(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def entries_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def with_config(change: Callable[[Any], object]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    """Another config.json: what ``change`` returns, or what it leaves behind."""

    def make(entries: dict[str, bytes]) -> dict[str, bytes]:
        config = json.loads(entries["config.json"])
        changed = change(config)
        text = changed if isinstance(changed, bytes) else json.dumps(config).encode()
        return entries | {"config.json": text}

    return make


def layer(config: Any, i: int) -> Any:
    return config["config"]["layers"][i]["config"]


def with_weights(change: Callable[[h5py.File], object]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    """Other weights: the file after ``change``."""

    def make(entries: dict[str, bytes]) -> dict[str, bytes]:
        buffer = io.BytesIO(entries["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            change(file)
        return entries | {"model.weights.h5": buffer.getvalue()}

    return make


def replace(file: h5py.File, path: str, **options: Any) -> None:
    del file[path]
    file.create_dataset(path, **options)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((8, 6), "float32")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (8, 6))
    del file["layers/dense/vars/0"]
    file.create_virtual_dataset("layers/dense/vars/0", layout)


def link(target: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = target

    return change


def circle(entries: dict[str, bytes]) -> dict[str, bytes]:
    """A tree of names whose first node is its own right neighbour: HDF5 would go round until memory is full."""
    content = bytearray(entries["model.weights.h5"])
    node = content.index(b"TREE")
    content[node + 16 : node + 24] = node.to_bytes(8, "little")
    return entries | {"model.weights.h5": bytes(content)}


W = "layers/dense/vars/0"
OUTSIDE = [("/etc/passwd", 0, 192)]
ARCHIVES: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = {
    "no config": (lambda e: {"model.weights.h5": e["model.weights.h5"]}, r"has no config\.json"),
    "no weights": (lambda e: {"config.json": e["config.json"]}, r"has no model\.weights\.h5"),
    "not JSON": (with_config(lambda c: b"{"), "config.json is not JSON as Keras writes it"),
    "not UTF-8": (with_config(lambda c: b"\xff\xfe\xff"), "config.json is not JSON as Keras writes it"),
    "NaN": (with_config(lambda c: c["compile_config"]["optimizer"]["config"].update(learning_rate=np.nan)), "NaN"),
    "infinite": (
        with_config(lambda c: json.dumps(c).replace('"learning_rate": 0.1', '"learning_rate": 1e999').encode()),
        "learning_rate must be a finite number",
    ),
    "deep": (with_config(lambda c: b"[" * 100_000 + b"]" * 100_000), "config.json is not JSON as Keras writes it"),
    "deep in a layer": (
        with_config(lambda c: json.dumps(c).replace('"tanh"', "[" * 900 + "]" * 900).encode()),
        "activation=a list",
    ),
    "long": (with_config(lambda c: b" " * (1 << 23)), "more than any model needs"),
    "digits": (with_config(lambda c: json.dumps(c).replace("null", "9" * 5000).encode()), "is too large a number"),
    "a list": (with_config(lambda c: b"[]"), "Expected the class_name and the config of the model; got a list"),
    "no layers": (with_config(lambda c: c["config"].update(layers=None)), "a list of at most 120 layers"),
    "layers": (
        with_config(lambda c: c["config"].update(layers=c["config"]["layers"] * 200)),
        "a list of at most 120 layers",
    ),
    "layer": (
        with_config(lambda c: c["config"]["layers"].append(3)),
        "Expected the class_name and the config of the layer; got 3",
    ),
    "no units": (with_config(lambda c: layer(c, 2).pop("units")), r"The layer 'dense' \(Dense\) has no units"),
    "units": (with_config(lambda c: layer(c, 2).update(units=2.5)), "'dense'.*units must be an integer"),
    "many units": (with_config(lambda c: layer(c, 2).update(units=10**15)), "has shape .*; the model needs"),
    "use_bias": (with_config(lambda c: layer(c, 2).update(use_bias="no")), "'dense'.*use_bias='no'"),
    "huge input": (
        with_config(lambda c: layer(c, 0).update(batch_shape=[None, 10**15])),
        "has shape .*; the model needs",
    ),
    "shape": (with_config(lambda c: layer(c, 0).update(batch_shape=[None, -4, 2])), "batch_shape=a list"),
    "taken name": (with_config(lambda c: layer(c, 6).update(name="dense")), "already has a layer named 'dense'"),
    "name": (with_config(lambda c: layer(c, 2).update(name="a\0b")), "is not a name in Keras"),
    "surrogate": (with_config(lambda c: layer(c, 2).update(name="\ud800")), "is not a name in Keras"),
    "module": (
        with_config(lambda c: c["config"]["layers"][2].update(module="os", class_name="system")),
        "is a 'system' of 'os', which scratch does not have",
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
        with_config(lambda c: c["compile_config"].update(loss=None)),
        "Expected the class_name and the config of the loss; got None",
    ),
    "no reduction": (
        with_config(lambda c: c["compile_config"]["loss"]["config"].update(reduction="none")),
        "compile needs a loss that is one number per batch",
    ),
    "metrics": (with_config(lambda c: c["compile_config"].update(metrics="all")), "The metrics should be a list"),
    "compile": (with_config(lambda c: c.update(compile_config=[1])), "compile_config should hold"),
    "optimizer": (
        with_config(lambda c: c["compile_config"].update(optimizer="adam")),
        "Expected the class_name and the config of the optimizer; got 'adam'",
    ),
    "not HDF5": (lambda e: e | {"model.weights.h5": b"PK" * 500}, "weights can't be read"),
    "truncated": (lambda e: e | {"model.weights.h5": e["model.weights.h5"][:3000]}, "weights can't be read"),
    "a layer less": (with_weights(lambda f: f.pop("layers/dense_2")), "has no array 'layers/dense_2/vars/0'"),
    "a layer more": (
        with_weights(lambda f: f.create_dataset("layers/dense_3/vars/0", data=[1.0])),
        "has an array 'layers/dense_3/vars/0', which the model has no place for",
    ),
    "other shape": (
        with_weights(lambda f: replace(f, W, data=np.ones((6, 8)))),
        r"has shape \(6, 8\); the model needs",
    ),
    "integers": (with_weights(lambda f: replace(f, W, data=np.ones((8, 6), int))), "should hold real numbers"),
    "texts": (with_weights(lambda f: replace(f, W, data=[b"a", b"b"])), "does not hold numbers"),
    "records": (with_weights(lambda f: replace(f, W, data=np.zeros(3, "f4,f4"))), "does not hold numbers"),
    "nothing": (with_weights(lambda f: replace(f, W, data=h5py.Empty("f4"))), "weights can't be read"),
    "claimed": (with_weights(lambda f: replace(f, W, shape=(10**6, 10**6), dtype="f4")), "another number"),
    "claimed chunks": (
        with_weights(lambda f: replace(f, W, shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))),
        "is packed, in pieces or in another file",
    ),
    "gzip": (
        with_weights(lambda f: replace(f, W, data=np.zeros((3000, 1000), "f4"), compression="gzip")),
        "is packed, in pieces or in another file",
    ),
    "outside": (with_weights(lambda f: replace(f, W, shape=(8, 6), dtype="f4", external=OUTSIDE)), "in another file"),
    "virtual": (with_weights(virtual), "in another file"),
    "soft link": (with_weights(link(h5py.SoftLink("/layers/dense_2/vars/0"))), "is a link to somewhere else"),
    "external link": (with_weights(link(h5py.ExternalLink("/etc/passwd", "/"))), "is a link to somewhere else"),
    "a circle": (
        with_weights(lambda f: f["layers"].__setitem__("again", f["layers"])),
        "is too deep|more than 10,000",
    ),
    "a circle of nodes": (circle, "has more names than one node holds"),
    "steps": (
        with_weights(lambda f: replace(f, "optimizer/vars/0", data=np.int64(-1))),
        "optimizer/vars/0 should be the number of steps; it is -1",
    ),
    "rate": (
        with_weights(lambda f: replace(f, "optimizer/vars/1", data=np.float32(np.nan))),
        "optimizer/vars/1, the learning rate, must be a finite number",
    ),
    "velocity": (
        with_weights(lambda f: replace(f, "optimizer/vars/2", data=np.ones(3))),
        r"'optimizer/vars/2' has shape \(3,\); the model needs \(8, 6\)",
    ),
    "escapes": (lambda e: e | {"../../evil": b"x"}, "has an entry whose name leads out of the archive: '../../evil'"),
    "absolute": (lambda e: e | {"/etc/evil": b"x"}, "has an entry whose name leads out of the archive: '/etc/evil'"),
}


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("good") / "model.keras"
    model = trained()
    names = ["flatten", "dense", "re_lu", "dense_1", "activation", "dense_2", "softmax"]
    for one, name in zip(model.layers, names, strict=True):
        one.name = name
    model.save(path)
    return entries_of(path)


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_that_are_refused(name: str, entries: dict[str, bytes], tmp_path: Path) -> None:
    make, message = ARCHIVES[name]
    path = archive(tmp_path / "model.keras", make(entries))
    start = time.process_time()
    with pytest.raises(FileError, match=message) as error:
        load_model(path, backend="numpy")
    assert time.process_time() - start < 2
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400 + len(str(path))


def test_the_archive_that_those_are_made_of_is_good(entries: dict[str, bytes], tmp_path: Path) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        assert load_model(archive(tmp_path / "model.keras", entries, method), backend="numpy").built


def test_a_backend_is_not_the_file_s_fault(entries: dict[str, bytes], tmp_path: Path) -> None:
    path = archive(tmp_path / "model.keras", entries)
    with pytest.raises(ValueError, match=r"^Unknown backend 'cuda'"):
        load_model(path, backend="cuda")


def test_as_many_layers_as_a_file_may_have(tmp_path: Path) -> None:
    model = Sequential([Input((2,)), *(Activation("relu") for _ in range(111)), *(Dense(2) for _ in range(9))])
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    model_with_more = Sequential([Activation("relu") for _ in range(121)])
    with pytest.raises(FileError, match="has 121 layers; an archive holds 120"):
        model_with_more.save(tmp_path / "more.keras")
    assert [W.tobytes() for W in loaded.get_weights()] == [W.tobytes() for W in model.get_weights()]


def test_zips_that_are_refused(entries: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "model.keras"

    def refused(message: str) -> None:
        with pytest.raises(FileError, match=message) as error:
            load_model(path)
        assert str(error.value).startswith(str(path))

    refused("does not exist")
    path.mkdir()
    refused("is not a file")
    path.rmdir()
    os.mkfifo(path)
    refused("is not a file")
    path.unlink()
    path.write_bytes(b"")
    refused(r"is not a readable \.keras file")
    archive(path, entries, zipfile.ZIP_LZMA)
    refused("packed by anything but deflate")
    archive(path, entries | {"model.weights.h5": bytes(70_000_000)}, zipfile.ZIP_DEFLATED)
    refused("claims to unpack to 70,0")
    archive(path, {"config.json": b"1", "config.jsoN": b"2"})
    path.write_bytes(path.read_bytes().replace(b"jsoN", b"json"))
    refused(r"has two entries named 'config\.json'")
    with zipfile.ZipFile(path, "w") as file:
        info = zipfile.ZipInfo("config.json")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    refused("has a symbolic link")
    archive(path, entries)
    content = bytearray(path.read_bytes())
    content[content.index(b"keras.layers")] ^= 1
    path.write_bytes(content)
    refused("Bad CRC-32")


# --- .npz from someone else ---------------------------------------------------------------------------------------


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def saved(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (saved(np.array([{}])), "is not an array of plain numbers"),
        (saved(np.array(["text"])), "is not an array of plain numbers"),
        (saved(np.zeros(3, "f4,f4")), "is not an array of plain numbers"),
        (saved(np.zeros(3, complex)), "is not an array of plain numbers"),
        (b"", "is not an array of plain numbers"),
        (b"\x93NUMPY", "is not an array of plain numbers"),
        (
            npy("{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,), }"),
            "is not an array of plain numbers",
        ),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }"), "0 bytes follow"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", b"\0" * 9), "9 bytes follow"),
        (npy("{'descr': '<f1', 'fortran_order': False, 'shape': (2,), }", b"\0" * 2), "2 bytes follow"),
        (npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'1, ' * 70}), }}", b"\0" * 4), "not a readable"),
    ],
)
def test_arrays_that_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", {"x.npy": content})
    with pytest.raises(FileError, match=message) as error:
        npz.read_arrays(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "first"), [("w.weights.h5", "layers/dense/vars/0"), ("w.npz", "dense/W")])
def test_weights_of_another_model_change_nothing(name: str, first: str, tmp_path: Path) -> None:
    model, other = trained(), Sequential([Dense(2, input_shape=(3,)), Dense(7)])
    other.save_weights(tmp_path / name)
    before = [W.tobytes() for W in model.get_weights()]
    with pytest.raises(FileError, match=rf"'{first}' has shape \(3, 2\); the model needs \(8, 6\)"):
        model.load_weights(tmp_path / name)
    (tmp_path / name).write_bytes(b"no such file")
    with pytest.raises(FileError, match=f"{name}.*can't be read|{name} is not a readable"):
        model.load_weights(tmp_path / name)
    (tmp_path / name).unlink()
    with pytest.raises(FileError, match=f"{name} does not exist"):
        model.load_weights(tmp_path / name)
    assert [W.tobytes() for W in model.get_weights()] == before


def test_an_optimizer_that_makes_no_sense_leaves_the_weights_alone(tmp_path: Path) -> None:
    model = trained()
    model.save_weights(tmp_path / "w.weights.h5")
    with h5py.File(tmp_path / "w.weights.h5", "r+") as file:
        file[W][...] = 3
        file["optimizer/vars/0"][...] = -3
    before = [array.tobytes() for array in (*model.get_weights(), *model.optimizer.variables)]  # type: ignore[union-attr]
    with pytest.raises(FileError, match="should be the number of steps"):
        model.load_weights(tmp_path / "w.weights.h5")
    assert [array.tobytes() for array in (*model.get_weights(), *model.optimizer.variables)] == before  # type: ignore[union-attr]


def test_hdf5_keeps_every_plain_array() -> None:
    arrays = {"a/0": np.arange(6.0).reshape(2, 3), "a/1": np.float32(3) * np.ones(()), "b/c/0": np.array([1, 2])}
    back = hdf5.from_bytes(hdf5.to_bytes(arrays, {"a": "name", "empty": "x"}))
    assert {k: (v.dtype, v.tolist()) for k, v in back.items()} == {k: (v.dtype, v.tolist()) for k, v in arrays.items()}


@pytest.mark.parametrize("name", ["a_file/x.keras", "n" * 300 + ".keras"])
def test_a_place_where_nothing_can_be_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "a_file").write_text("")
    with pytest.raises(FileError, match=r"x\.keras can't be written|n\.keras can't be written"):
        trained().save(tmp_path / name)
    with pytest.raises(FileError, match=r"does not exist|can't be read"):
        load_model(tmp_path / name)


def test_more_than_there_is_memory_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(content: bytes) -> None:
        raise MemoryError

    trained().save(tmp_path / "x.keras")
    monkeypatch.setattr(hdf5, "from_bytes", no_memory)
    with pytest.raises(FileError, match=r"x\.keras: there is not enough memory"):
        load_model(tmp_path / "x.keras")

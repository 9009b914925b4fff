"""Models saved and loaded by scratch alone: a loaded model has the bits of the saved one, also after more training."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from parity_tests.robustness.saved_model import X, Y, trained_model
from scratch.files import FileError
from scratch.layers import Activation, Dense, Input
from scratch.models import Sequential, load_model
from scratch.optimizers import SGD
from scratch.saving import config, hdf5

backends = pytest.mark.parametrize("backend", ["numpy", "numba"])


def assert_same(a: Sequential, b: Sequential) -> None:
    """Check that two models have the same bits, and have them after another epoch of training, too."""
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
def test_loaded_archive_continues_training(backend: str, dtype: str, momentum: float, tmp_path: Path) -> None:
    model = trained_model(backend, dtype, momentum)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras", backend=backend)
    assert (loaded.name, loaded.backend, loaded.dtype) == (model.name, backend, np.dtype(dtype))
    assert [(type(layer), layer.name, layer.dtype) for layer in loaded.layers] == [
        (type(layer), layer.name, layer.dtype) for layer in model.layers
    ]
    assert_same(loaded, model)


@backends
def test_weights_load_into_model_with_same_layers(backend: str, tmp_path: Path) -> None:
    model = trained_model(backend)
    model.save_weights(tmp_path / "w.weights.h5")
    model.save_weights(tmp_path / "w.npz")
    other = trained_model(backend)  # other layer names, other weights
    other.load_weights(tmp_path / "w.npz")
    assert [W.tobytes() for W in model.get_weights()] == [W.tobytes() for W in other.get_weights()]
    other.load_weights(tmp_path / "w.weights.h5")
    assert_same(other, model)


@backends
def test_weights_of_an_archive_load_into_model_with_same_layers(backend: str, tmp_path: Path) -> None:
    """With the optimizer's state, if the model is compiled."""
    model, other = trained_model(backend, momentum=0.9), trained_model(backend, momentum=0.9)
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    other.load_weights(tmp_path / "model.keras")
    assert_same(other, model)


def test_invalid_archives_of_weights_change_nothing(tmp_path: Path) -> None:
    model = trained_model()
    before = model.get_weights()
    (tmp_path / "text.keras").write_text("no archive")
    Sequential([Dense(2, input_shape=(3,))]).save(tmp_path / "other.keras")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    for name, message in (
        ("text.keras", r"is not a readable \.keras file"),
        ("other.keras", r"The array 'layers/dense/vars/0' has shape \(3, 2\); the model needs"),
        ("empty.keras", r"has no model\.weights\.h5, which every \.keras file of Keras 3 has"),
        ("missing.keras", "does not exist"),
    ):
        with pytest.raises(FileError, match=f"{name}.*{message}"):
            model.load_weights(tmp_path / name)
        for a, b in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)


def test_numpy_reads_npz(tmp_path: Path) -> None:
    model = trained_model()
    model.save_weights(tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as arrays:
        assert arrays.files == ["dense/W", "dense/b", "dense_1/W", "dense_2/W", "dense_2/b"]
        np.testing.assert_array_equal(arrays["dense_1/W"], model.get_weights()[2])


def test_npz_of_numpy_may_have_fortran_ordered_arrays(tmp_path: Path) -> None:
    model, W, b = Sequential([Dense(2, input_shape=(3,))]), np.arange(6.0).reshape(3, 2), np.zeros(2)
    np.savez(tmp_path / "w.npz", **{"dense/W": np.asfortranarray(W), "dense/b": b})
    model.load_weights(tmp_path / "w.npz")
    np.testing.assert_array_equal(model.get_weights()[0], W)


def test_weights_load_without_matching_optimizer(tmp_path: Path) -> None:
    model, other = Sequential([Dense(2, input_shape=(3,))]), Sequential([Dense(2, input_shape=(3,))])
    model.compile(SGD(0.1, 0.5), "categorical_crossentropy")
    model.save_weights(tmp_path / "w.weights.h5")
    other.load_weights(tmp_path / "w.weights.h5")
    assert [W.tobytes() for W in model.get_weights()] == [W.tobytes() for W in other.get_weights()]
    other.compile(SGD(0.1), "categorical_crossentropy")
    with pytest.warns(UserWarning, match="has 4 optimizer variables, but the model's optimizer has 2: .* not loaded"):
        other.load_weights(tmp_path / "w.weights.h5")


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_run_eagerly_is_saved(run_eagerly: bool, tmp_path: Path) -> None:
    model = Sequential([Dense(2, input_shape=(3,))])
    model.compile("sgd", "categorical_crossentropy")
    model.run_eagerly = run_eagerly
    model.save(tmp_path / "model.keras")
    assert load_model(tmp_path / "model.keras").run_eagerly is run_eagerly
    assert load_model(tmp_path / "model.keras", compile=False).run_eagerly is False


def test_unbuilt_model_with_custom_initializer_is_not_saved(tmp_path: Path) -> None:
    """The file would describe another model: it has neither the initializer nor the weights."""
    model = Sequential([Dense(2, kernel_initializer=lambda shape, rng: np.full(shape, 3.0), name="d")])
    with pytest.raises(FileError, match="The layer 'd': kernel_initializer is a function that Keras does not have"):
        model.save(tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["model.keras", "w.weights.h5", "w.npz"])
def test_existing_file_is_replaced_only_with_overwrite(name: str, tmp_path: Path) -> None:
    model, path = trained_model(), tmp_path / name
    save = model.save if name.endswith(".keras") else model.save_weights
    save(path)
    before = path.read_bytes()
    with pytest.raises(FileError, match="already exists; pass overwrite=True to replace it, or another filepath"):
        save(path, overwrite=False)
    assert path.read_bytes() == before
    save(path)
    with pytest.raises(FileError, match="can't be written: No such file or directory"):
        save(tmp_path / "nowhere" / name)


@pytest.mark.parametrize("name", ["model.h5", "model", "w.h5", "w.keras"])
def test_file_names_with_wrong_suffix(name: str, tmp_path: Path) -> None:
    model = trained_model()
    with pytest.raises(FileError, match=r"must end in \.weights\.h5, which Keras opens, or in \.npz"):
        model.save_weights(tmp_path / name)
    if not name.endswith(".keras"):
        with pytest.raises(FileError, match=r"a file with weights must end in \.weights\.h5, \.keras or \.npz"):
            model.load_weights(tmp_path / name)
    if not name.endswith(".keras"):
        with pytest.raises(FileError, match=rf"{name}: .* must end in \.keras; pass '{Path(name).stem}\.keras'\.$"):
            model.save(tmp_path / name)
        with pytest.raises(FileError, match=r"must end in \.keras"):
            load_model(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_unbuilt_model_has_no_weights_to_save_or_load(tmp_path: Path) -> None:
    model = Sequential([Dense(2)])
    for method in (model.save_weights, model.load_weights):
        with pytest.raises(ValueError, match="has no weights yet: call it on data, or give an input_shape"):
            method(tmp_path / "w.npz")


WITHOUT_KERAS = """
import sys
import numpy as np

class BlockKeras:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("keras", "tensorflow", "jax", "torch"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, BlockKeras())
from scratch.models import load_model

model = load_model(sys.argv[1], backend="numpy")
model.save(sys.argv[1])
model.save_weights(sys.argv[2])
model.load_weights(sys.argv[2])
print(sorted({name.split(".")[0] for name in sys.modules} & {"keras", "tensorflow", "jax", "torch", "pickle5"}))
"""


def test_files_do_not_need_keras(tmp_path: Path) -> None:
    model, path = trained_model(), tmp_path / "model.keras"
    model.save(path)
    command = [sys.executable, "-c", WITHOUT_KERAS, str(path), str(tmp_path / "w.weights.h5")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("[]\n", "")
    assert_same(load_model(path, backend="numpy"), model)


def test_unknown_backend_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    trained_model().save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"^Unknown backend 'cuda'"):
        load_model(tmp_path / "model.keras", backend="cuda")


def test_maximum_number_of_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Sequential([Input((2,)), *(Activation("relu") for _ in range(111)), *(Dense(2) for _ in range(9))])
    model.save(tmp_path / "model.keras")
    monkeypatch.setattr(config, "MAX_LAYERS", 120)
    loaded = load_model(tmp_path / "model.keras")
    assert [W.tobytes() for W in loaded.get_weights()] == [W.tobytes() for W in model.get_weights()]
    monkeypatch.setattr(config, "MAX_LAYERS", 119)
    with pytest.raises(FileError, match="has 120 layers; an archive holds at most 119"):
        model.save(tmp_path / "more.keras")
    with pytest.raises(FileError, match="a list of at most 119 layers"):
        load_model(tmp_path / "model.keras")


def test_maximum_size_of_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained_model()
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        size = archive.getinfo("config.json").file_size
    monkeypatch.setattr(config, "MAX_BYTES", size)
    load_model(tmp_path / "model.keras")
    monkeypatch.setattr(config, "MAX_BYTES", size - 1)
    message = f"config.json has {size:,} bytes; expected at most {size - 1:,}"
    with pytest.raises(FileError, match=message):
        model.save(tmp_path / "model.keras")
    with pytest.raises(FileError, match=message):
        load_model(tmp_path / "model.keras")


def test_hdf5_round_trip_of_plain_arrays() -> None:
    arrays = {"a/0": np.arange(6.0).reshape(2, 3), "a/1": np.float32(3) * np.ones(()), "b/c/0": np.array([1, 2])}
    back = hdf5.from_bytes(hdf5.to_bytes(arrays, {"a": "name", "empty": "x"}))
    assert {k: (v.dtype, v.tolist()) for k, v in back.items()} == {k: (v.dtype, v.tolist()) for k, v in arrays.items()}


@pytest.mark.parametrize("name", ["a_file/x.keras", "n" * 300 + ".keras"])
def test_paths_that_cannot_be_written_or_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "a_file").write_text("")
    with pytest.raises(FileError, match=r"(x|n)\.keras can't be written"):
        trained_model().save(tmp_path / name)
    with pytest.raises(FileError, match=r"does not exist|can't be read"):
        load_model(tmp_path / name)


def test_memory_error_while_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(content: bytes) -> None:
        raise MemoryError

    trained_model().save(tmp_path / "x.keras")
    monkeypatch.setattr(hdf5, "from_bytes", no_memory)
    with pytest.raises(FileError, match=r"x\.keras: there is not enough memory"):
        load_model(tmp_path / "x.keras")

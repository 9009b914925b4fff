"""Invalid files of weights, .npz and .weights.h5, are rejected with one sentence and change nothing."""

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from parity_tests.robustness.saved_model import state, trained_model, write_zip
from scratch.files import FileError
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.saving import npz


def npy(header: str, data: bytes = b"") -> bytes:
    """Return an .npy file with a given header."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def saved(array: Any) -> bytes:
    """Return the .npy file that NumPy writes, with a pickle if the array needs one."""
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
def test_invalid_npz_is_rejected(content: bytes, message: str, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.npz", {"x.npy": content})
    with pytest.raises(FileError, match=message) as error:
        npz.read_arrays(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "first"), [("w.weights.h5", "layers/dense/vars/0"), ("w.npz", "dense/W")])
def test_weights_of_another_model_change_nothing(name: str, first: str, tmp_path: Path) -> None:
    model, other = trained_model(), Sequential([Dense(2, input_shape=(3,)), Dense(7)])
    other.save_weights(tmp_path / name)
    before = state(model)
    with pytest.raises(FileError, match=rf"'{first}' has shape \(3, 2\); the model needs \(8, 6\)"):
        model.load_weights(tmp_path / name)
    (tmp_path / name).write_bytes(b"not a file of weights")
    with pytest.raises(FileError, match=f"{name}.* cannot be read|{name} is not a readable"):
        model.load_weights(tmp_path / name)
    (tmp_path / name).unlink()
    with pytest.raises(FileError, match=f"{name} does not exist"):
        model.load_weights(tmp_path / name)
    assert state(model) == before


def test_invalid_optimizer_state_changes_nothing(tmp_path: Path) -> None:
    model = trained_model()
    model.save_weights(tmp_path / "w.weights.h5")
    with h5py.File(tmp_path / "w.weights.h5", "r+") as file:
        file["layers/dense/vars/0"][...] = 3
        file["optimizer/vars/0"][...] = -3
    before = state(model)
    with pytest.raises(FileError, match="must be the number of steps"):
        model.load_weights(tmp_path / "w.weights.h5")
    assert state(model) == before

"""The lab's export: the masks that it records, what it leaves as it was, and its errors."""

import base64
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scratch.callbacks import BackupAndRestore
from scratch.datasets.mnist import Dataset
from scratch.lab.messages import unpack
from scratch.lab.methods import call
from scratch.lab.recording import recording
from scratch.lab.session import Session, View
from scratch.lab.texts import LabError
from scratch.layers import Dense, Dropout
from scratch.models import Sequential
from scratch.utils import Array, set_random_seed

UNITS = 32


def digits(train: int = 200) -> Dataset:
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(train + 60, 8, 8), dtype=np.uint8)
    labels = rng.integers(10, size=train + 60).astype(np.uint8)
    return Dataset((images[:train], labels[:train]), (images[train:], labels[train:]), "random")


def make_model(rate: float = 0.5) -> Sequential:
    set_random_seed(0)
    hidden = Dense(UNITS, "relu", input_shape=(64,), name="hidden")
    model = Sequential([hidden, Dropout(rate, name="dropout"), Dense(10, "softmax", name="last")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def open_view(session: Session) -> View:
    view = View(session)
    call(view, {"method": "digit.pick", "set": "test", "index": 0})
    return view


@pytest.fixture
def view() -> Iterator[View]:
    session = Session(make_model(), digits())
    yield open_view(session)
    session.close()


def recorded(content: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the message in an exported page."""
    found = re.search(rb'id="recording">([^<]+)<', content)
    assert found
    return unpack(gzip.decompress(base64.b64decode(found[1])))


@pytest.mark.parametrize("rate", [0.5, 0.0])
def test_the_mask_of_dropout_is_recorded(rate: float) -> None:
    session = Session(make_model(rate), digits())
    view = open_view(session)
    header, arrays = recorded(recording(view, call))
    snapshot = header["present"]
    call(view, {"method": "trace", "snapshot": snapshot})
    for name in ("dropout/out", "dropout/dx"):
        request = {"method": "explain", "name": name, "snapshot": snapshot}
        kept = [call(view, {**request, "index": [0, j]})[0]["kept"] for j in range(UNITS)]
        assert arrays[f"explain|{snapshot}|{name}|kept"].tolist() == [kept]
    mask, x = arrays[f"explain|{snapshot}|dropout/out|kept"], arrays[f"tensor|{snapshot}|hidden/out|value"]
    assert mask[x == 0].any()  # a 0 that was kept: the tensors alone do not say so
    assert mask[x == 0].all() == (rate == 0)
    session.close()


def test_an_export_leaves_the_basis_of_the_representation_as_it_was(view: View) -> None:
    representation = view.session.representation
    recording(view, call)
    assert representation.basis is None

    def failing(view: View, request: Any) -> Any:
        if request["method"] == "trace":
            raise MemoryError
        return call(view, request)

    with pytest.raises(MemoryError):
        recording(view, failing)
    assert representation.basis is None
    call(view, {"method": "representation"})
    basis = representation.basis
    recording(view, call)
    assert representation.basis is basis is not None


def test_a_network_that_is_too_large_for_a_page_is_one_sentence(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    count = view.session.model.count_params()
    monkeypatch.setattr("scratch.lab.recording.MAX_PARAMETERS", count - 1)
    sentence = f"at most {count - 1:,} parameters, and this network has {count:,}; save the model instead."
    with pytest.raises(LabError, match=re.escape(sentence)) as caught:
        recording(view, call)
    assert f"{count:,} 個" in caught.value.text("ja")
    monkeypatch.setattr("scratch.lab.recording.MAX_PARAMETERS", count)
    assert recording(view, call)


def kept_backup(folder: Path) -> BackupAndRestore:
    return BackupAndRestore(folder, "auto", delete_checkpoint=False)


def test_a_training_that_failed_before_its_first_step_is_one_sentence(tmp_path: Path) -> None:
    other = Session(make_model(), digits(100), backup=kept_backup(tmp_path))
    other.training.started.wait()
    other.close()
    session = Session(make_model(), digits(), backup=kept_backup(tmp_path))  # which is the backup of another training
    with pytest.raises(LabError, match=r"The training has stopped; restart it"):
        recording(open_view(session), call)
    session.close()

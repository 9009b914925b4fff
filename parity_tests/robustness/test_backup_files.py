"""The files of ``BackupAndRestore``: backups that do not fit, are damaged or cannot be written."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.robustness.interrupted import Data, everything, fit, interrupt, new_model
from scratch.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
)
from scratch.files import FileError
from scratch.layers import Flatten
from scratch.models import Sequential
from scratch.saving.npz import read_arrays, write_arrays

DIFFERENCES: list[tuple[Callable[[], Sequential], dict[str, Any], str]] = [
    (lambda: new_model(units=7), {}, r"layer 1 was Dense, relu, W float32 \(4, 6\), b float32 \(6,\) and is now Dense"),
    (lambda: new_model("numba"), {}, "backend was numpy and is now numba"),
    (lambda: new_model(momentum=0.9), {}, "optimizer was SGD, momentum=0.0, .* and is now SGD, momentum=0.9"),
    (new_model, {"batch_size": 5}, "batch_size was 10 and is now 5"),
    (new_model, {"shuffle": False}, "shuffle was True and is now False"),
    (
        new_model,
        {"validation_split": 0.0},
        r"x was float64 \(48, 4\) with .* \(60, 4\) .*, and 3 more that differ\. Use",
    ),
    (new_model, {"epochs": 1}, r"latest.npz cannot be resumed from \(it is at epoch 2, and epochs=1\)\. Use the"),
]


@pytest.mark.parametrize(("make", "options", "message"), DIFFERENCES)
def test_a_run_with_other_arguments_is_rejected(
    make: Callable[[], Sequential], options: dict[str, Any], message: str, blobs: Data, tmp_path: Path
) -> None:
    interrupt(new_model(), blobs, BackupAndRestore(tmp_path / "b"), CSVLogger(tmp_path / "table.csv"), at=(2, 0))
    table, backup = (tmp_path / "table.csv").read_text(), (tmp_path / "b/latest.npz").read_bytes()
    model = make()
    before = everything(model)
    with pytest.raises(FileError, match=message):
        fit(model, blobs, BackupAndRestore(tmp_path / "b"), CSVLogger(tmp_path / "table.csv"), **options)
    assert everything(model) == before
    assert (tmp_path / "table.csv").read_text() == table
    assert (tmp_path / "b/latest.npz").read_bytes() == backup


def test_other_data_settings_callbacks_and_layers_are_rejected(blobs: Data, tmp_path: Path) -> None:
    def backup(seed: int = 1) -> BackupAndRestore:
        return BackupAndRestore(tmp_path / "b", settings={"seed": seed})

    interrupt(new_model(), blobs, backup(), at=(2, 0))
    x, y = blobs
    with pytest.raises(
        FileError, match=r"x was float64 \(48, 4\) with checksum \w{8} and is now float64 \(48, 4\) with"
    ):
        fit(new_model(), (np.where(x == x[3, 2], 0, x), y), backup())
    with pytest.raises(FileError, match=r"b/latest.npz is the backup of another training: seed was 1 and is now 2\. "):
        fit(new_model(), blobs, backup(seed=2))
    with pytest.raises(FileError, match="callbacks was History and is now EarlyStopping, History"):
        fit(new_model(), blobs, backup(), EarlyStopping())
    model = new_model()
    model.add(Flatten())
    with pytest.raises(FileError, match="layer 3 was None and is now Flatten, linear"):
        fit(model, blobs, backup())


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "not a zip", "another npz", "wrong inside"])
def test_a_damaged_backup_is_rejected(damage: str, blobs: Data, tmp_path: Path) -> None:
    interrupt(new_model(), blobs, BackupAndRestore(tmp_path, double_checkpoint=True), at=(2, 0))
    file, previous = tmp_path / "latest.npz", tmp_path / "previous.npz"
    content = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "not a zip":
        file.write_text("These are not the weights you are looking for.")
    elif damage == "another npz":
        write_arrays(file, {"x": np.zeros(3)})
    else:  # a readable backup of another version of scratch
        arrays = read_arrays(file)
        text = arrays["state"].tobytes().replace(b'"iterations"', b'"steps_done"')
        write_arrays(file, {**arrays, "state": np.frombuffer(text, np.uint8)})
    saved = previous.read_bytes()
    previous.unlink()
    model = new_model()
    before = everything(model)
    with pytest.raises(FileError, match=r"latest\.npz .* [Dd]elete the folder .* to start again\.$"):
        fit(model, blobs, BackupAndRestore(tmp_path))
    assert everything(model) == before
    if damage == "wrong inside":
        return
    previous.write_bytes(saved)
    with pytest.warns(UserWarning, match="Resuming from the previous backup"):
        interrupt(model, blobs, BackupAndRestore(tmp_path, double_checkpoint=True), at=(1, 0))
    assert file.read_bytes() == saved  # has replaced the damaged backup
    fit(model, blobs, BackupAndRestore(tmp_path, double_checkpoint=True))
    whole = new_model()
    fit(whole, blobs)
    assert everything(model) == everything(whole)


def test_killed_between_the_renames_of_a_double_checkpoint(blobs: Data, tmp_path: Path) -> None:
    """The last backup is already named previous.npz, and the next is not written yet."""
    interrupt(new_model(), blobs, BackupAndRestore(tmp_path, double_checkpoint=True), at=(2, 0))
    os.replace(tmp_path / "latest.npz", tmp_path / "previous.npz")
    model, whole = new_model(), new_model()
    assert fit(model, blobs, BackupAndRestore(tmp_path)).history == fit(whole, blobs).history
    assert everything(model) == everything(whole)


def test_temporary_files_of_killed_processes_are_removed(blobs: Data, tmp_path: Path) -> None:
    for folder, extension in (("log", "csv"), ("models", "keras"), ("backup", "npz")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f".scratch-{'0123abcd' * 2}.part.{extension}").write_bytes(b"half a fi")
    callbacks = CSVLogger(tmp_path / "log/log.csv"), ModelCheckpoint(tmp_path / "models/{epoch}.keras")
    interrupt(new_model(), blobs, *callbacks, BackupAndRestore(tmp_path / "backup"), at=(1, 0))
    files = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert files == {"log/log.csv", "models/1.keras", "backup/latest.npz"}


def test_full_disk_keeps_the_last_backup(blobs: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(epoch: int, logs: dict[str, float]) -> None:
        if epoch == 2:
            monkeypatch.setattr(os, "fsync", full)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = tmp_path / "backup"
    with pytest.raises(FileError, match=r"latest.npz can't be written: No space left on device; the previous file is"):
        fit(new_model(), blobs, BackupAndRestore(folder), LambdaCallback(on_epoch_begin=fill))
    monkeypatch.undo()
    assert os.listdir(folder) == ["latest.npz"]
    model, whole = new_model(), new_model()
    assert fit(model, blobs, BackupAndRestore(folder)).history == fit(whole, blobs).history
    assert everything(model) == everything(whole)


def test_full_disk_keeps_the_csv_file(blobs: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the CSV file cannot be written when the run is resumed, nothing is changed: file, backup and model."""
    folder, table = tmp_path / "backup", tmp_path / "log.csv"
    interrupt(new_model(), blobs, CSVLogger(table), BackupAndRestore(folder), at=(2, 1))
    lines = table.read_text()
    assert lines

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    model = new_model()
    before = everything(model)
    with pytest.raises(
        FileError, match=r"log\.csv can't be written: No space left on device; the previous file is kept"
    ):
        fit(model, blobs, CSVLogger(table), BackupAndRestore(folder))
    assert everything(model) == before
    assert table.read_text() == lines
    monkeypatch.undo()
    fit(new_model(), blobs, CSVLogger(table), BackupAndRestore(folder))
    fit(new_model(), blobs, CSVLogger(tmp_path / "whole.csv"))
    assert table.read_text() == (tmp_path / "whole.csv").read_text()


def test_a_folder_that_disappears_or_cannot_be_created(blobs: Data, tmp_path: Path) -> None:
    def remove(epoch: int, logs: dict[str, float]) -> None:
        if epoch == 1:
            shutil.rmtree(tmp_path / "backup")

    with pytest.raises(FileError, match=r"backup/latest.npz can't be written: No such file or directory"):
        fit(new_model(), blobs, BackupAndRestore(tmp_path / "backup"), LambdaCallback(on_epoch_begin=remove))
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"The folder .*/file can't be created: File exists"):
        fit(new_model(), blobs, BackupAndRestore(tmp_path / "file"))


def test_wrong_arguments(tmp_path: Path, blobs: Data) -> None:
    with pytest.raises(ValueError, match="backup_dir must name a folder; got an empty name"):
        BackupAndRestore("")
    with pytest.raises(
        ValueError, match=r"Unrecognized save_freq: batch\. Expected save_freq are 'epoch' or integer values"
    ):
        BackupAndRestore(tmp_path, "batch")
    with pytest.raises(ValueError, match="save_freq must be an integer, 1 or more; got 0"):
        BackupAndRestore(tmp_path, 0)

    class Odd(Callback):
        def get_state(self) -> dict[str, Any]:
            return {"odd": {1, 2}}

    with pytest.raises(ValueError, match=r"get_state\(\) must return numbers, texts, .*; got {1, 2}"):
        fit(new_model(), blobs, BackupAndRestore(tmp_path), Odd())

"""A training that was interrupted and started again ends as if it had never been, bit for bit."""

import errno
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scratch.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    ModelCheckpoint,
    backup,
)
from scratch.cli import main
from scratch.files import FileError
from scratch.layers import Dense, Flatten
from scratch.models import Sequential, load_model
from scratch.optimizers import SGD
from scratch.saving.npz import read_arrays, write_arrays
from scratch.utils import clear_session, set_random_seed

Data = tuple[np.ndarray, np.ndarray]
BATCH, EPOCHS, STEPS = 10, 4, 5  # of the 60 blobs 12 are held out


class Interrupt(Callback):
    """Ends a training after a certain batch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.where = epoch, batch

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if (self.epoch, batch) == self.where:
            raise KeyboardInterrupt


def new_model(backend: str = "numpy", units: int = 6, **sgd: Any) -> Sequential:
    """What a new process would have: the same names, the same seed."""
    clear_session()
    set_random_seed(5)
    model = Sequential([Dense(units, "relu", input_shape=(4,)), Dense(3, "softmax")], backend=backend)
    model.compile(SGD(**{"learning_rate": 0.1, **sgd}), "categorical_crossentropy", ["accuracy"])
    return model


def fit(model: Sequential, data: Data, *callbacks: Callback, **options: Any) -> History:
    options = {"batch_size": BATCH, "epochs": EPOCHS, "validation_split": 0.2, "verbose": 0, **options}
    return model.fit(*data, callbacks=callbacks, **options)


def interrupt(model: Sequential, data: Data, *callbacks: Callback, at: tuple[int, int], **options: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, *callbacks, Interrupt(*at), **options)


def everything(model: Sequential) -> list[bytes | str]:
    """All bits of a model that training changes."""
    assert model.optimizer is not None
    bits = [array.tobytes() for array in (*model.get_weights(), *model.optimizer.variables)]
    return [*bits, str(model.rng.bit_generator.state)]


@pytest.mark.parametrize(("backend", "momentum"), [*itertools.product(("numpy", "numba"), (0.0, 0.9))])
def test_resumed_is_bit_identical(backend: str, momentum: float, blobs: Data, tmp_path: Path) -> None:
    def start(name: str) -> tuple[Sequential, list[Callback]]:
        callbacks = [CSVLogger(tmp_path / name), EarlyStopping(patience=1, restore_best_weights=True)]
        return new_model(backend, momentum=momentum), callbacks

    whole, callbacks = start("whole.csv")
    expected = fit(whole, blobs, *callbacks)
    for save_freq, where in itertools.product(("epoch", 3, "auto"), ((0, 3), (1, 4), (3, 2))):
        for at in sorted({(0, 3), where}):  # the second goes on from the first's backup
            model, callbacks = start("resumed.csv")
            interrupt(model, blobs, BackupAndRestore(tmp_path / "backup", save_freq), *callbacks, at=at)
        model, callbacks = start("resumed.csv")
        history = fit(model, blobs, BackupAndRestore(tmp_path / "backup", save_freq), *callbacks)
        assert everything(model) == everything(whole), (save_freq, where)
        assert (history.history, history.epoch) == (expected.history, expected.epoch)
        assert (tmp_path / "resumed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
        assert sorted(os.listdir(tmp_path)) == ["resumed.csv", "whole.csv"]  # the backup has gone


def test_it_goes_on_in_the_middle(blobs: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the steps that are not in the backup are done again, and that is said in one line."""
    interrupt(new_model(), blobs, BackupAndRestore(tmp_path / "backup", 3), at=(1, 2))
    steps: list[int] = []
    spy = LambdaCallback(on_train_batch_begin=lambda batch, logs: steps.append(batch))
    model = new_model()
    fit(model, blobs, BackupAndRestore(tmp_path / "backup", 3), spy, verbose=2)
    assert steps == [1, 2, 3, 4, *range(5), *range(5)]
    assert model.start is None  # it does not hold on to the data
    assert f"Resumed at epoch 2, batch 2, from {tmp_path / 'backup'}.\n" in capsys.readouterr().out


def test_auto_costs_two_per_cent(blobs: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of its own: a backup that takes one second, after every five batches of ten seconds."""
    seconds, backups = 0, []

    def write(file: Path, arrays: dict[str, np.ndarray]) -> None:
        nonlocal seconds
        seconds += 1
        assert model.optimizer is not None
        backups.append(model.optimizer.iterations)

    def work(batch: int, logs: dict[str, float]) -> None:
        nonlocal seconds
        seconds += 10

    interrupt(new_model(), blobs, BackupAndRestore(tmp_path / "resumed"), at=(1, 0))
    monkeypatch.setattr(backup, "time", SimpleNamespace(perf_counter=lambda: seconds))
    monkeypatch.setattr(backup, "write_arrays", write)
    model = new_model()
    fit(model, blobs, BackupAndRestore(tmp_path / "new", "auto"), LambdaCallback(on_train_batch_begin=work))
    assert backups == [0, 5, 10, 15, 20]
    backups.clear()
    seconds, model = 0, new_model()
    fit(model, blobs, BackupAndRestore(tmp_path / "resumed", "auto"), LambdaCallback(on_train_batch_begin=work))
    assert backups == [6, 11, 16]


def test_a_training_that_was_stopped_does_not_go_on(blobs: Data, tmp_path: Path) -> None:
    """Killed between the last epoch and the end, for example while the model is being saved."""

    def stop(epoch: int, logs: dict[str, float]) -> None:
        model.stop_training = epoch == 1

    def interrupt(logs: dict[str, float]) -> None:
        raise KeyboardInterrupt

    model, stopper = new_model(), LambdaCallback(on_epoch_end=stop)
    with pytest.raises(KeyboardInterrupt):
        fit(model, blobs, BackupAndRestore(tmp_path), stopper, LambdaCallback(on_train_end=interrupt))
    ended = everything(model)
    told: list[dict[str, float]] = []
    model = new_model()
    history = fit(model, blobs, BackupAndRestore(tmp_path), stopper, LambdaCallback(on_train_end=told.append))
    assert everything(model) == ended
    assert history.epoch == [0, 1]
    assert told == [{name: values[-1] for name, values in history.history.items()}]


def test_stopped_in_the_middle_of_an_epoch(blobs: Data, tmp_path: Path) -> None:
    """And killed in its validation: the steps since the last backup are done again, and it is stopped again."""

    def stop(batch: int, logs: dict[str, float]) -> None:
        assert model.optimizer is not None
        model.stop_training = model.optimizer.iterations >= STEPS + 2

    def interrupt_the_second(logs: dict[str, float]) -> None:
        if model.stop_training:
            raise KeyboardInterrupt

    stopper = LambdaCallback(on_train_batch_end=stop)
    model = new_model()
    expected, ended = fit(model, blobs, stopper).history, everything(model)
    model = new_model()
    with pytest.raises(KeyboardInterrupt):
        fit(model, blobs, BackupAndRestore(tmp_path, 1), stopper, LambdaCallback(on_test_begin=interrupt_the_second))
    model = new_model()
    assert fit(model, blobs, BackupAndRestore(tmp_path, 1), stopper).history == expected
    assert everything(model) == ended


def test_what_changes_on_the_way_is_restored(blobs: Data, tmp_path: Path) -> None:
    """A learning rate that a callback lowers, numbers of its own in the logs, NaN among them."""

    def lower(epoch: int, logs: dict[str, Any]) -> None:
        assert model.optimizer is not None
        model.optimizer.learning_rate = np.float32(0.1) / np.float32(epoch + 2)
        logs |= {"rate": model.optimizer.learning_rate, "nothing": float("nan")}

    schedule = LambdaCallback(on_epoch_end=lower)
    model = new_model()
    expected, ended = fit(model, blobs, schedule).history, everything(model)
    model = new_model()
    interrupt(model, blobs, schedule, BackupAndRestore(tmp_path), at=(2, 1))
    model = new_model()
    history = fit(model, blobs, BackupAndRestore(tmp_path), schedule).history
    assert everything(model) == ended
    assert str(history) == str(expected)  # np.float32(…) and nan included


def test_an_interrupted_table_that_was_appended_to(blobs: Data, tmp_path: Path) -> None:
    """The lines of the interrupted training are replaced, those from before it stay."""
    file = tmp_path / "table.csv"
    fit(new_model(), blobs, CSVLogger(file), epochs=1)
    before = file.read_text()
    interrupt(new_model(), blobs, CSVLogger(file, append=True), BackupAndRestore(tmp_path / "b", 7), at=(2, 3))
    assert len(file.read_text().splitlines()) == 4
    fit(new_model(), blobs, CSVLogger(file, append=True), BackupAndRestore(tmp_path / "b", 7))
    fit(new_model(), blobs, CSVLogger(tmp_path / "alone.csv"))
    lines = (tmp_path / "alone.csv").read_text().splitlines(keepends=True)
    assert file.read_text() == before + "".join(lines[1:])


def test_checkpoints_go_on(blobs: Data, tmp_path: Path) -> None:
    """The best value so far and the count of batches come back: the same files are written."""

    def checkpoints(folder: str) -> list[Callback]:
        some = ModelCheckpoint(tmp_path / folder / "{epoch}-{batch}.keras", save_freq=4)
        return [some, ModelCheckpoint(tmp_path / folder / "{epoch}.keras", "loss", mode="max", save_best_only=True)]

    fit(new_model(), blobs, *checkpoints("whole"))
    interrupt(new_model(), blobs, *checkpoints("resumed"), BackupAndRestore(tmp_path / "backup"), at=(2, 0))
    fit(new_model(), blobs, *checkpoints("resumed"), BackupAndRestore(tmp_path / "backup"))
    files = ["1-4.keras", "1.keras", "2-3.keras", "3-2.keras", "4-1.keras", "4-5.keras"]
    assert sorted(os.listdir(tmp_path / "whole")) == sorted(os.listdir(tmp_path / "resumed")) == files


def test_more_epochs_than_before(blobs: Data, tmp_path: Path) -> None:
    whole = new_model()
    fit(whole, blobs, epochs=6)
    interrupt(new_model(), blobs, BackupAndRestore(tmp_path), at=(2, 0))
    model = new_model()
    fit(model, blobs, BackupAndRestore(tmp_path), epochs=6)
    assert everything(model) == everything(whole)


def test_delete_checkpoint(blobs: Data, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    fit(new_model(), blobs, BackupAndRestore(tmp_path, delete_checkpoint=False, double_checkpoint=True))
    assert sorted(os.listdir(tmp_path)) == ["latest.npz", "notes.txt", "previous.npz"]
    model = new_model()
    history = fit(model, blobs, BackupAndRestore(tmp_path))  # nothing is left to do
    assert history.epoch == [0, 1, 2, 3]
    assert model.optimizer.iterations == EPOCHS * STEPS
    assert os.listdir(tmp_path) == ["notes.txt"]


SMALLER = slice(0, 50)
OTHERS: list[tuple[Callable[[], Sequential], dict[str, Any], str]] = [
    (lambda: new_model(units=7), {}, r"layer 1 was Dense, relu, W float32 \(4, 6\), b float32 \(6,\) and is now Dense"),
    (lambda: new_model("numba"), {}, "backend was numpy and is now numba"),
    (lambda: new_model(momentum=0.9), {}, "optimizer was SGD, momentum=0.0, .* and is now SGD, momentum=0.9"),
    (new_model, {"batch_size": 5}, "batch_size was 10 and is now 5"),
    (new_model, {"shuffle": False}, "shuffle was True and is now False"),
    (
        new_model,
        {"validation_split": 0.0},
        r"x was float64 \(48, 4\) with .* \(60, 4\) .*, and 3 more that differ\. Start",
    ),
    (new_model, {"epochs": 1}, r"latest.npz can't be gone on from \(it is 2 epochs on, and epochs=1\)\. Start with"),
]


@pytest.mark.parametrize(("make", "options", "message"), OTHERS)
def test_a_backup_of_another_training(
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


def test_other_data_settings_layers_and_callbacks(blobs: Data, tmp_path: Path) -> None:
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
def test_a_backup_that_cannot_be_read(damage: str, blobs: Data, tmp_path: Path) -> None:
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
    else:  # readable, with what a later version of the program might have written
        arrays = read_arrays(file)
        text = arrays["state"].tobytes().replace(b'"iterations"', b'"steps_done"')
        write_arrays(file, {**arrays, "state": np.frombuffer(text, np.uint8)})
    saved = previous.read_bytes()
    previous.unlink()
    model = new_model()
    before = everything(model)
    with pytest.raises(FileError, match=r"latest\.npz .* [Dd]elete the folder .* to begin anew\.$"):
        fit(model, blobs, BackupAndRestore(tmp_path))
    assert everything(model) == before
    if damage == "wrong inside":
        return
    previous.write_bytes(saved)
    with pytest.warns(UserWarning, match="Going on from the backup before it"):
        interrupt(model, blobs, BackupAndRestore(tmp_path, double_checkpoint=True), at=(1, 0))
    assert file.read_bytes() == saved  # in the place of the one that can't be read
    fit(model, blobs, BackupAndRestore(tmp_path, double_checkpoint=True))
    whole = new_model()
    fit(whole, blobs)
    assert everything(model) == everything(whole)


def test_killed_between_two_backups_of_a_pair(blobs: Data, tmp_path: Path) -> None:
    """The last has been put aside, and the next is not there yet."""
    interrupt(new_model(), blobs, BackupAndRestore(tmp_path, double_checkpoint=True), at=(2, 0))
    os.replace(tmp_path / "latest.npz", tmp_path / "previous.npz")
    model, whole = new_model(), new_model()
    assert fit(model, blobs, BackupAndRestore(tmp_path)).history == fit(whole, blobs).history
    assert everything(model) == everything(whole)


def test_leftovers_of_a_killed_writer_go(blobs: Data, tmp_path: Path) -> None:
    other = tmp_path / ".log.csv.bak.0123abcd.part"  # of another file, which somebody else may be writing
    other.touch()
    for name in ("latest.npz", "log.csv", "epoch 1.keras"):
        (tmp_path / f".{name}.0123abcd.part").write_bytes(b"half a fi")
    callbacks = CSVLogger(tmp_path / "log.csv"), ModelCheckpoint(tmp_path / "epoch {epoch}.keras")
    interrupt(new_model(), blobs, *callbacks, BackupAndRestore(tmp_path), at=(1, 0))
    assert sorted(os.listdir(tmp_path)) == [other.name, "epoch 1.keras", "latest.npz", "log.csv"]


def test_full_disk_keeps_the_last_backup(blobs: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(epoch: int, logs: dict[str, float]) -> None:
        if epoch == 2:
            monkeypatch.setattr(os, "fsync", full)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = tmp_path / "backup"
    with pytest.raises(FileError, match=r"latest.npz can't be written: No space left on device; the file before it is"):
        fit(new_model(), blobs, BackupAndRestore(folder), LambdaCallback(on_epoch_begin=fill))
    monkeypatch.undo()
    assert os.listdir(folder) == ["latest.npz"]
    model, whole = new_model(), new_model()
    assert fit(model, blobs, BackupAndRestore(folder)).history == fit(whole, blobs).history
    assert everything(model) == everything(whole)


def test_full_disk_keeps_the_table(blobs: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the table can't be written when it is gone on with, it stays, and nobody is told to delete the backup."""
    folder, table = tmp_path / "backup", tmp_path / "log.csv"
    interrupt(new_model(), blobs, CSVLogger(table), BackupAndRestore(folder), at=(2, 1))
    lines = table.read_text()
    assert lines

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        FileError, match=r"log\.csv can't be written: No space left on device; the file before it is kept"
    ):
        fit(new_model(), blobs, CSVLogger(table), BackupAndRestore(folder))
    assert table.read_text() == lines
    monkeypatch.undo()
    fit(new_model(), blobs, CSVLogger(table), BackupAndRestore(folder))
    fit(new_model(), blobs, CSVLogger(tmp_path / "whole.csv"))
    assert table.read_text() == (tmp_path / "whole.csv").read_text()


def test_a_folder_that_goes_or_cannot_be(blobs: Data, tmp_path: Path) -> None:
    def remove(epoch: int, logs: dict[str, float]) -> None:
        if epoch == 1:
            shutil.rmtree(tmp_path / "backup")

    with pytest.raises(FileError, match=r"backup/latest.npz can't be written: No such file or directory"):
        fit(new_model(), blobs, BackupAndRestore(tmp_path / "backup"), LambdaCallback(on_epoch_begin=remove))
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"The folder .*/file can't be made: File exists"):
        fit(new_model(), blobs, BackupAndRestore(tmp_path / "file"))


def test_wrong_arguments(tmp_path: Path, blobs: Data) -> None:
    with pytest.raises(ValueError, match="backup_dir must name a folder; got an empty name"):
        BackupAndRestore("")
    with pytest.raises(ValueError, match="save_freq must be 'epoch' or a number of batches; got 'batch'"):
        BackupAndRestore(tmp_path, "batch")
    with pytest.raises(ValueError, match="save_freq must be a whole number, 1 or more; got 0"):
        BackupAndRestore(tmp_path, 0)

    class Odd(Callback):
        def get_state(self) -> dict[str, Any]:
            return {"odd": {1, 2}}

    with pytest.raises(ValueError, match=r"A backup can't hold {1, 2}: get_state\(\) may return numbers, texts"):
        fit(new_model(), blobs, BackupAndRestore(tmp_path), Odd())


def test_the_program(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupted, tried with other options, gone on with: as a person would."""
    monkeypatch.chdir(tmp_path)

    def run(*options: str) -> tuple[int, str, str]:
        clear_session()
        files = ["--save", "model.keras", "--history", "history.csv"]
        status = main(["--data", small, "--epochs", "3", "--hidden", "20", *files, *options])
        return status, *capsys.readouterr()

    def interrupt(callback: CSVLogger, epoch: int, logs: dict[str, float]) -> None:
        on_epoch_end(callback, epoch, logs)
        if epoch == 1:
            raise KeyboardInterrupt

    assert run()[0] == 0
    expected, table = everything(load_model("model.keras"))[:-1], Path("history.csv").read_text()
    on_epoch_end = CSVLogger.on_epoch_end
    with monkeypatch.context() as patch:
        patch.setattr(CSVLogger, "on_epoch_end", interrupt)
        status, out, _ = run("--resume", "backup")
    assert status == 130
    assert out.endswith("To resume from the last backup, run the same command again.\n")
    for option, value, message in [
        ("--seed", "1", "--seed was 0 and is now 1. Start with the arguments it was made with, or delete the folder"),
        ("--learning-rate", "1", "--learning-rate was 0.01 and is now 1.0. Start with"),
        ("--hidden", "30", "--hidden was [20] and is now [30], and 2 more that differ. Start with"),
    ]:
        status, _, err = run("--resume", "backup", option, value)
        assert status == 2
        assert err.startswith(f"python -m scratch: backup/latest.npz is the backup of another training: {message}")
        assert err.count("\n") == 1
    for name in ("model.keras", "history.csv"):
        Path(f".{name}.0123abcd.part").write_bytes(b"half a mod")  # a process was killed while it was saving
    status, out, _ = run("--resume", "backup")
    assert status == 0
    assert re.search(r"\nResumed at epoch \d, batch \d, from backup\.\n", out)
    assert "\nModel: model.keras\nTest loss" in out
    assert everything(load_model("model.keras"))[:-1] == expected
    assert Path("history.csv").read_text() == table
    assert sorted(os.listdir()) == ["history.csv", "model.keras", "small.npz"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit to the size of files")
def test_the_program_when_the_disk_is_full(small: str, tmp_path: Path) -> None:
    """Files of a process of its own can't grow beyond 300 kB, which the article's network needs more than."""
    program = "import resource, sys, scratch.cli as program; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000,) * 2)"
    command = [
        sys.executable,
        "-c",
        f"{program}; sys.exit(program.main())",
        "--data",
        small,
        "--backend",
        "numpy",
        "--quiet",
    ]
    command += ["--epochs", "1"]
    (tmp_path / "model.keras").write_bytes(b"the last good model")
    for options, file in ((["--resume", "backup"], "backup/latest.npz"), (["--save", "model.keras"], "model.keras")):
        ended = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert (
            ended.stderr == f"python -m scratch: {file} can't be written: File too large; the file before it is kept.\n"
        )
    assert (tmp_path / "model.keras").read_bytes() == b"the last good model"
    assert os.listdir(tmp_path / "backup") == []

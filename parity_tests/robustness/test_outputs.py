"""The output files of the commands: refused before the work, written atomically, and kept elsewhere if saving fails."""

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from parity_tests.cli import main as compare
from parity_tests.robustness.interrupted import Data, fit, new_model
from scratch import plots
from scratch.callbacks import CSVLogger, History, LambdaCallback, ModelCheckpoint
from scratch.cli import main, outputs
from scratch.datasets import mnist
from scratch.files import FileError
from scratch.layers import Layer
from scratch.models import Sequential, load_model
from scratch.saving import config

Capture = pytest.CaptureFixture[str]
FEW = ["--epochs", "1", "--hidden", "", "--backend", "numpy", "--quiet"]


@pytest.fixture
def folder(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder, which is not the one of ``small`` and not the home; return it."""
    for name in ("work", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MNIST_PATH", small)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a model is trained or data is loaded."""

    def fail(*arguments: Any, **named: Any) -> None:
        pytest.fail("refused too late")

    monkeypatch.setattr(Sequential, "fit", fail)
    monkeypatch.setattr(mnist, "load", fail)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a function after whose call no file in a folder of this name can be written."""
    fsync, folders = os.fsync, set()

    def full(descriptor: int) -> None:
        if folders & set(Path(os.readlink(f"/proc/self/fd/{descriptor}")).parts):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    return folders.add


# --- refused before ---


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--save", "pipe.keras"], "pipe.keras can't be written: it is not a regular file; name a file in an"),
        (["--history", "pipe.keras"], "pipe.keras can't be written: it is not a regular file; name a file in an"),
        (["--plot", "/proc/picture.png"], "/proc/picture.png can't be written: No such file or directory; name a"),
        (["--history", "n" * 256], f"{'n' * 256} can't be written: File name too long; name a file in an existing"),
        (["--save", "loop.keras"], "loop.keras can't be written: Too many levels of symbolic links; name a file in"),
        (["--history", "data.npz", "--data", "data.npz"], "--data and --history name the same file, 'data.npz'; name"),
        (["--history", "link", "--data", "data.npz"], "--data and --history name the same file, 'link'; name another"),
        (["--save", "a.keras", "--resume", "./a.keras"], "--resume and --save name the same file, 'a.keras'; name"),
        (["--history", "b/latest.npz", "--resume", "b"], "a backup and --history name the same file, 'b/latest.npz'"),
    ],
)
def test_outputs_are_refused_before_the_training(
    options: list[str], message: str, folder: Path, capsys: Capture
) -> None:
    os.mkfifo("pipe.keras")
    Path("loop.keras").symlink_to("loop.keras")
    Path("link").symlink_to("data.npz")
    Path("data.npz").write_bytes(b"digits")
    Path("b").mkdir()
    before = sorted(os.listdir())
    assert main([*FEW, *options]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"python -m scratch: {message}")
    assert err.count("\n") == 1
    assert sorted(os.listdir()) == before
    assert Path("data.npz").read_bytes() == b"digits"


@pytest.mark.usefixtures("folder")
def test_the_limits_of_an_archive_are_checked_before_the_training(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        pytest.fail("refused too late")

    monkeypatch.setattr(Sequential, "fit", fail)
    monkeypatch.setattr(config, "MAX_LAYERS", 2)
    assert main([*FEW, "--hidden", "4,4", "--save", "deep.keras"]) == 2
    expected = "python -m scratch: deep.keras: The model has 6 layers; an archive holds at most 2.\n"
    assert capsys.readouterr().err == expected


class Unknown(Layer):
    """A layer that Keras does not have."""


def test_checkpoints_are_refused_before_the_first_epoch(blobs: Data, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    epochs: list[int] = []
    count = LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    model = new_model()
    for path, message in {
        tmp_path / "file/{epoch}.keras": r"The folder .*file can't be created: File exists",
        tmp_path / ("n" * 250 + ".keras"): "can't be written: File name too long",
    }.items():
        with pytest.raises(FileError, match=message):
            fit(model, blobs, ModelCheckpoint(path), count)
    model.add(Unknown(name="own"))
    with pytest.raises(FileError, match=r"m\.keras: .*own"):
        fit(model, blobs, ModelCheckpoint(tmp_path / "m.keras"), count)
    assert not epochs
    fit(model, blobs, ModelCheckpoint(tmp_path / "{epoch}/m.weights.h5", save_weights_only=True), count, epochs=2)
    assert epochs == [0, 1]
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*")} == {"1/m.weights.h5", "2/m.weights.h5"}


@pytest.mark.usefixtures("no_training")
def test_the_report_is_refused_before_the_comparison(tmp_path: Path, capsys: Capture) -> None:
    for path in (tmp_path, tmp_path / ("n" * 256)):
        assert compare(["--report", str(path)]) == 2
        assert "can't be written: " in capsys.readouterr().err


# --- full disk at the end ---


def test_the_model_is_kept_elsewhere_if_saving_fails(
    folder: Path, full_disk: Callable[[str], None], capsys: Capture
) -> None:
    (folder / "model.keras").write_bytes(b"the last good model")
    full_disk("work")
    assert main([*FEW, "--save", "model.keras"]) == 2
    out, err = capsys.readouterr()
    assert re.fullmatch(r"Test loss .*, test accuracy .*\.\n", out)
    found = re.fullmatch(
        r"python -m scratch: model\.keras can't be written: No space left on device; the previous file is kept\. "
        r"The model was saved as (.*/home/scratch-\w+/model\.keras) instead\.\n",
        err,
    )
    assert found
    assert load_model(found[1], backend="numpy").count_params() == 7850
    assert Path("model.keras").read_bytes() == b"the last good model"


@pytest.mark.usefixtures("folder")
def test_the_model_is_saved_if_the_result_cannot_be_printed() -> None:
    with open("/dev/full", "w", buffering=1) as full, contextlib.redirect_stdout(full):
        assert main([*FEW, "--save", "model.keras"]) == 2
        with contextlib.suppress(OSError):
            full.close()
    assert load_model("model.keras", backend="numpy").count_params() == 7850


def test_legal_file_names(folder: Path) -> None:
    names = ["two\nlines.keras", os.fsdecode(b"\xff.csv")]
    assert main([*FEW, "--save", names[0], "--history", names[1]]) == 0
    assert sorted(os.listdir(folder)) == sorted(names)


def test_the_first_place_with_room_is_used(
    folder: Path, full_disk: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If there is none, the error is that of the file itself, and no folder is left."""
    model = new_model()
    monkeypatch.setattr(outputs.tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(outputs, "MEMORY", str(tmp_path / "memory"))
    full_disk("work")
    full_disk("home")
    with pytest.raises(FileError, match=r"The model was saved as .*/temporary/scratch-\w+/m\.keras instead\.$"):
        outputs.save_model(model.save, "m.keras")
    full_disk("temporary")
    with pytest.raises(FileError, match=r"^m\.keras can't be written: No space left on device\.$"):
        outputs.save_model(model.save, "m.keras")
    assert not os.listdir(tmp_path / "home")
    assert len(os.listdir(tmp_path / "temporary")) == 1
    assert not os.listdir(folder)


# --- atomic ---


def cut_off(*arguments: Any, **named: Any) -> None:
    """Write half a picture, as ``Figure.savefig`` does if the process runs out of memory."""
    Path(arguments[1]).write_bytes(b"half")
    raise MemoryError


def test_pictures_are_atomic_in_every_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("curves", "confusion", "mistakes", "weights"):
        monkeypatch.setattr(plots, f"_draw_{name}", lambda *arguments: None)  # drawing them takes seconds
    arguments = History(), np.zeros((3, 2, 2)), np.arange(3), np.eye(3), np.ones((4, 3))
    (tmp_path / "plot.png").write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(Figure, "savefig", cut_off)
        with pytest.raises(MemoryError):
            plots.plot_training(tmp_path / "plot.png", *arguments)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"plot.png": b"old"}
    beginnings = {"png": b"\x89PNG", "PDF": b"%PDF", "svg": b"<?xml", "Jpg": b"\xff\xd8\xff"}
    assert [f".{suffix.lower()}" for suffix in beginnings] == list(outputs.PLOT_FORMATS)
    for suffix, beginning in beginnings.items():
        plots.plot_training(tmp_path / f"plot.{suffix}", *arguments)
        assert (tmp_path / f"plot.{suffix}").read_bytes().startswith(beginning)


def test_a_line_that_the_disk_has_no_room_for_is_removed(
    blobs: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of the file's size lies within the third line."""
    import resource

    table, limits = tmp_path / "log.csv", resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(epoch: int, logs: dict[str, float]) -> None:
        if epoch == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (table.stat().st_size + 5, limits[1]))

    try:
        with pytest.raises(FileError, match=r"log\.csv can't be written: No space left on device"):
            fit(new_model(), blobs, CSVLogger(table), LambdaCallback(on_epoch_begin=limit))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    lines = table.read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["epoch", "0", "1"]
    assert len({line.count(",") for line in lines}) == 1

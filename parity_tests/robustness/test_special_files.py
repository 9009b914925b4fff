"""FIFOs, devices and sockets in place of input files: an error, without waiting or filling the memory."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from parity_tests.robustness.tiny_mnist import TRAIN_IMAGES, Arrays, is_same, replace_mnist, write_idx, write_npz
from scratch.cli import main
from scratch.datasets import download, mnist
from scratch.files import FileError
from scratch.layers import Dense
from scratch.models import Sequential

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs FIFOs and devices"),
    pytest.mark.timeout(60),  # reading from a FIFO without a writer waits forever
]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Return a tiny data set that counts as MNIST during the test."""
    return replace_mnist(monkeypatch)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def nothing(path: Path) -> None:
    path.symlink_to("/dev/null")


def listening_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the test in an empty folder: the name of a socket is limited to 100 bytes."""
    monkeypatch.chdir(tmp_path)
    return


special = pytest.mark.parametrize("create", [fifo, zeros, nothing, listening_socket])


@special
def test_commands_refuse_special_files(
    create: Callable[[Path], None], in_folder: None, arrays: Arrays, capsys: Capture
) -> None:
    Sequential([Dense(10, "softmax", input_shape=(784,))], backend="numpy").save("model.keras")
    write_npz(Path("tiny.npz"), arrays)
    for name in ("bad.npz", "bad.keras", "bad.png"):
        create(Path(name))
    for words, name in (
        (["--data", "bad.npz"], "bad.npz"),
        (["evaluate", "bad.keras", "--data", "tiny.npz"], "bad.keras"),
        (["evaluate", "model.keras", "--data", "bad.npz"], "bad.npz"),
        (["predict", "bad.keras", "bad.png"], "bad.keras"),
        (["predict", "model.keras", "bad.png"], "bad.png"),
    ):
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.endswith(f": {name} is not a file.\n")


@special
def test_a_special_file_among_idx_files(create: Callable[[Path], None], in_folder: None, arrays: Arrays) -> None:
    folder = write_idx(Path("idx"), arrays)
    (folder / TRAIN_IMAGES).unlink()
    create(folder / TRAIN_IMAGES)
    with pytest.raises(FileError, match=f"idx/{TRAIN_IMAGES} is not a file."):
        mnist.load(folder)


@special
def test_special_files_in_the_caches(
    create: Callable[[Path], None], arrays: Arrays, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(isolated)
    Path(".keras/datasets").mkdir(parents=True)
    create(Path(".keras/datasets/mnist.npz"))
    folder = write_idx(isolated / "scratch-keras" / "mnist", arrays, compress=True)
    file = folder / f"{TRAIN_IMAGES}.gz"
    file.rename("complete.gz")
    monkeypatch.chdir(folder)
    create(Path(file.name))
    monkeypatch.setattr(download, "find_answering", lambda mirrors: ["http://mirror/"])
    monkeypatch.setattr(download, "download_file", lambda target, *rest: (isolated / "complete.gz").rename(target))
    assert is_same(mnist.load(), arrays)
    assert file.is_file()


def test_an_empty_path_is_an_error(isolated: Path) -> None:
    with pytest.raises(ValueError, match=r"path must name a file or a folder; got an empty name\."):
        mnist.load_data("")

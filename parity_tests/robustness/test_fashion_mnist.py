"""``fashion_mnist.load_data``: a given path, Keras's cache, our cache, a download, and what is said without any."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from parity_tests.robustness.tiny_mnist import Arrays, damage, replace_mnist, write_idx, write_npz
from scratch.datasets import download, fashion_mnist
from scratch.datasets.idx import FILE_NAMES, to_idx
from scratch.files import FileError


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Return a tiny data set whose checksums count as Fashion-MNIST's; no mirror answers."""
    tiny = replace_mnist(monkeypatch)
    sums = {key: hashlib.md5(gzip.compress(to_idx(array), mtime=0)).hexdigest() for key, array in tiny.items()}
    monkeypatch.setattr(fashion_mnist, "CHECKSUMS", sums)
    monkeypatch.setattr(fashion_mnist, "MIRRORS", ())
    monkeypatch.delenv("FASHION_MNIST_PATH", raising=False)
    return tiny


def write_original(folder: Path, arrays: Arrays) -> Path:
    """Write the four compressed files, with the bytes that the checksums are of."""
    folder.mkdir(parents=True)
    for key, name in FILE_NAMES.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(to_idx(arrays[key]), mtime=0))
    return folder


def assert_loaded(arrays: Arrays, path: Path | None = None) -> None:
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data(path)
    loaded = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    for key, array in arrays.items():
        np.testing.assert_array_equal(loaded[key], array)


def test_a_given_path(arrays: Arrays, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (write_npz(isolated / "fashion.npz", arrays), write_idx(isolated / "idx", arrays)):
        assert_loaded(arrays, path)
        monkeypatch.setenv("FASHION_MNIST_PATH", str(path))
        assert_loaded(arrays)
    with pytest.raises(FileError, match="nowhere does not exist"):
        fashion_mnist.load_data(isolated / "nowhere")
    with pytest.raises(ValueError, match=r"^path must name a file or a folder; got an empty name"):
        fashion_mnist.load_data("")


def test_the_cache_of_keras_then_ours(arrays: Arrays, isolated: Path, caplog: pytest.LogCaptureFixture) -> None:
    ours = write_original(download.cache_folder("fashion-mnist"), arrays)
    assert_loaded(arrays)
    theirs = write_original(isolated / ".keras" / "datasets" / "fashion-mnist", arrays)
    for file in ours.iterdir():
        damage(file)
    assert_loaded(arrays)
    assert not caplog.messages
    damage(theirs / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(FileError, match=r"^Fashion-MNIST is not in Keras's cache \(.*could not be downloaded"):
        fashion_mnist.load_data()
    assert "differs from Fashion-MNIST's original (MD5). Trying a download next." in caplog.messages[0]


def test_without_any_source(arrays: Arrays, isolated: Path) -> None:
    with pytest.raises(FileError, match=r"Connect to a network, or pass path=… or set FASHION_MNIST_PATH to a folder"):
        fashion_mnist.load_data()


def test_a_download_accepts_the_largest_file() -> None:
    assert download.MAX_BYTES > 26_421_880  # train-images-idx3-ubyte.gz

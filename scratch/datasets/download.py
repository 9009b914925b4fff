"""Download files from the first mirror that has them undamaged."""

import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ANSWER_TIMEOUT = 3.0  # seconds within which a mirror must answer a request
READ_TIMEOUT = 3.0  # seconds without data after which a download has failed

log = logging.getLogger(__name__)


def find_answering(mirrors: Sequence[str]) -> list[str]:
    """Return the mirrors that answer a request, with any status, within ``ANSWER_TIMEOUT``.

    A name server that does not answer can block a request for half a minute, and no socket timeout ends that wait.  So
    each mirror is asked in a daemon thread, which is abandoned after the timeout.
    """
    import requests

    has_answered = dict.fromkeys(mirrors, False)

    def ask(mirror: str) -> None:
        try:
            requests.head(mirror, timeout=ANSWER_TIMEOUT)
            has_answered[mirror] = True
        except requests.RequestException:
            pass

    threads = [threading.Thread(target=ask, args=[mirror], daemon=True) for mirror in mirrors]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + ANSWER_TIMEOUT
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [mirror for mirror in mirrors if has_answered[mirror]]


def download_file(file: Path, mirrors: list[str], find_fault: Callable[[Path], str | None]) -> None:
    """Download a file to a temporary name beside it, check it, and rename it.

    Args:
        file: the target; its name is also that of the file on a mirror.
        mirrors: addresses of folders.  A mirror that fails is removed from the list, so that its timeout is waited for
            only once.
        find_fault: returns a sentence about what is wrong with the downloaded file, or None.

    Raises:
        ConnectionError: if no mirror has the file undamaged.
        OSError: if the folder cannot be written to.
    """
    import pooch
    import requests

    if not mirrors:
        raise ConnectionError(f"{file.name} could not be downloaded: no mirror answers.")
    descriptor, name = tempfile.mkstemp(prefix=file.name, suffix=".part", dir=file.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        for mirror in list(mirrors):
            downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=(ANSWER_TIMEOUT, READ_TIMEOUT))
            try:
                downloader(mirror + file.name, part, None)
                fault = find_fault(part)
            except requests.RequestException as error:
                fault = _describe(error)
            if fault is None:
                part.replace(file)
                return
            next_step = "Trying the next mirror." if len(mirrors) > 1 else "That was the last mirror."
            log.warning("%s: %s %s", mirror + file.name, fault, next_step)
            mirrors.remove(mirror)
    finally:
        part.unlink(missing_ok=True)
    raise ConnectionError(f"{file.name} could not be downloaded: no mirror has a complete copy.")


def _describe(error: Exception) -> str:
    """Return one sentence about a failed request."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"The server answered {error.response.status_code} {error.response.reason}."
    # requests has no exception class for a read timeout within a response body.
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"No data arrived for {READ_TIMEOUT:g} s."
    return "The connection was closed early."

"""Files that say which labs run, so that another command can stop one, and a restarted one keeps its address."""

import contextlib
import json
import os
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pooch

HOST = "127.0.0.1"


def folder() -> Path:
    """Return the folder of the files: in ``XDG_RUNTIME_DIR``, or in the user's cache."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime, "scratch-keras-lab") if runtime else Path(pooch.os_cache("scratch-keras")) / "lab"


def remember(port: int, token: str) -> None:
    """Write the file of a lab, which only the user can read; without a writable folder there is none."""
    with contextlib.suppress(OSError):  # the lab works; only --stop does not find it
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(_file(port), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"port": port, "token": token}, file)


def forget(port: int) -> None:
    """Remove the file of a lab that has ended."""
    with contextlib.suppress(OSError):
        _file(port).unlink(missing_ok=True)


def token_of(port: int) -> str | None:
    """Return the token of an ended lab that used this port, with which a page that is still open connects again."""
    found = _read(_file(port))
    return found["token"] if found else None


def stop(port: int | None) -> list[int]:
    """Stop the lab of a port, or all labs; return their ports."""
    files = [_file(port)] if port else sorted(folder().glob("*.json"))
    stopped = []
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for found in filter(None, map(_read, files)):
        try:
            opener.open(f"http://{HOST}:{found['port']}/stop?token={found['token']}", data=b"", timeout=10).close()
            stopped.append(found["port"])
        except (URLError, OSError, ValueError):
            forget(found["port"])  # it was killed
    return stopped


def _file(port: int) -> Path:
    return folder() / f"{port}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
        return found if isinstance(found["port"], int) and isinstance(found["token"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None

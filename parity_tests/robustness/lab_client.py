"""A lab in a process of its own, and a tab of it, for tests."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from websockets.sync.client import ClientConnection, connect

from scratch.lab.messages import unpack

Answer = tuple[dict[str, Any], dict[str, np.ndarray]]


class LabFailedError(Exception):
    """The lab has answered with an error; the message is its sentence."""


class Lab:
    """A running lab.

    Attributes:
        process: its process.
        url: the address that it has printed.
    """

    def __init__(self, *words: str, **environment: str) -> None:
        command = [sys.executable, "-m", "scratch", "lab", "--no-browser", *words]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.url = next((word for word in self.line.split() if word.startswith("http://")), "")

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.url).query)["token"][0]

    @contextmanager
    def tab(self, token: str | None = None, origin: str | None = None, **options: Any) -> Iterator["Tab"]:
        address = f"ws://{self.host}/ws?token={token or self.token}"
        with connect(address, origin=origin or f"http://{self.host}", max_size=None, proxy=None, **options) as socket:
            yield Tab(socket)

    def stop(self) -> str:
        """End the lab, and return what it has written to the standard error."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.communicate(timeout=30)[1]

    def __enter__(self) -> "Lab":
        assert self.url, self.process.communicate(timeout=30)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


class Tab:
    """A tab: calls methods, and keeps the events that come in between."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.count = socket, 0
        self.events: list[Answer] = []

    def __call__(self, method: str, **fields: Any) -> Answer:
        """Call a method, and return its result and arrays."""
        self.count += 1
        header, arrays = self.answer(json.dumps({"id": self.count, "method": method, **fields}))
        assert header["id"] in (self.count, None)
        if "error" in header:
            raise LabFailedError(header["error"])
        return header["result"], arrays

    def answer(self, message: str | bytes) -> Answer:
        """Send a message, and return the answer."""
        self.socket.send(message)
        while True:
            header, arrays = self.receive()
            if "event" not in header:
                return header, arrays
            self.events.append((header, arrays))

    def event(self, name: str, **fields: Any) -> Answer:
        """Return the next event of that name and with these fields; earlier events are dropped."""
        while True:
            header, arrays = self.events.pop(0) if self.events else self.receive()
            if header.get("event") == name and all(header.get(key) == value for key, value in fields.items()):
                return header, arrays

    def receive(self) -> Answer:
        message = self.socket.recv(timeout=120)
        assert isinstance(message, bytes)
        return unpack(message)

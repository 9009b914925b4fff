"""``Connection``: the WebSocket of one tab."""

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from scratch.lab import methods
from scratch.lab.messages import Header, pack
from scratch.lab.session import Session, View
from scratch.lab.texts import LabError

MAX_WAITING = 64  # requests of one tab
log = logging.getLogger(__name__)


class Connection:
    """One tab: answers its requests, in order.

    Args:
        websocket: the accepted WebSocket.
        session: what all tabs share.
        executor: runs the methods, in one thread.
    """

    def __init__(self, websocket: WebSocket, session: Session, executor: ThreadPoolExecutor) -> None:
        self.websocket, self.view, self.executor = websocket, View(session), executor
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()

    async def serve(self) -> None:
        """Answer requests until the tab is closed."""
        try:
            while True:
                message = await self.websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if len(self._tasks) >= MAX_WAITING:
                    await self._send_error(None, LabError("busy"))
                    continue
                task = asyncio.create_task(self._answer(message.get("text")))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _answer(self, text: str | None) -> None:
        """Answer one request; an error becomes one sentence."""
        identity = None
        try:
            try:
                request = json.loads(text or "")
            except ValueError:
                raise LabError("not json") from None
            identity = request.get("id") if isinstance(request, dict) else None
            loop = asyncio.get_running_loop()
            result, arrays = await loop.run_in_executor(self.executor, methods.call, self.view, request)
            await self._send(pack({"id": identity, "result": result}, arrays))
        except (ValueError, OSError) as error:
            await self._send_error(identity, error)
        except Exception as error:  # a defect of ours must not end the training
            log.exception("The lab could not answer a request.")
            await self._send_error(identity, LabError("internal", error=f"{type(error).__name__}: {error}"))

    async def _send_error(self, identity: object, error: Exception) -> None:
        text = error.text(self.view.language) if isinstance(error, LabError) else str(error)
        header: Header = {"id": identity if isinstance(identity, int | str) else None, "error": text}
        await self._send(pack(header))

    async def _send(self, message: bytes) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # RuntimeError: the tab is closed already
            async with self._sending:
                await self.websocket.send_bytes(message)

"""``Connection``: the WebSocket of one tab."""

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from scratch.lab import methods
from scratch.lab.frames import Frame
from scratch.lab.messages import Header, pack
from scratch.lab.session import Session, View
from scratch.lab.states import State
from scratch.lab.texts import LabError

MAX_WAITING = 64  # requests of one tab
log = logging.getLogger(__name__)


class Connection:
    """One tab: answers its requests, in order, and sends it the events of the training.

    A frame is sent when the tab has acknowledged the last one (the method ``ack``), and always the newest: a slow tab
    gets fewer frames, and neither the training nor another tab waits for it.

    Args:
        websocket: the accepted WebSocket.
        session: what all tabs share.
        executors: run the quick and the slow methods, in one thread each.
    """

    def __init__(
        self, websocket: WebSocket, session: Session, executors: tuple[ThreadPoolExecutor, ThreadPoolExecutor]
    ) -> None:
        self.websocket, self.view, self.executors = websocket, View(session), executors
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()
        self._news = asyncio.Event()
        self._may_send_frame, self._frame_sent, self._status_sent = False, 0, ""
        self._generation, self._points = -1, 0  # of the curves, as the tab has them

    async def serve(self) -> None:
        """Answer requests until the tab is closed."""
        loop, session = asyncio.get_running_loop(), self.view.session

        def wake() -> None:  # called in the training's thread
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._news.set)

        def notify(event: Header) -> None:  # called in the thread of a method
            asyncio.run_coroutine_threadsafe(self._send(pack(event)), loop)

        self.view.notify = notify
        session.listeners.add(wake)
        events = asyncio.create_task(self._send_events())
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
            session.listeners.discard(wake)
            events.cancel()
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
            if isinstance(request, dict) and request.get("method") == "ack":
                self._may_send_frame = True
                self._news.set()
                return
            loop = asyncio.get_running_loop()
            is_slow = isinstance(request, dict) and request.get("method") in methods.SLOW
            result, arrays = await loop.run_in_executor(self.executors[is_slow], methods.call, self.view, request)
            await self._send(pack({"id": identity, "result": result}, arrays))
        except (ValueError, OSError) as error:
            await self._send_error(identity, error)
        except Exception as error:  # a defect of ours must not end the training
            log.exception("The lab could not answer a request.")
            await self._send_error(identity, LabError("internal", error=f"{type(error).__name__}: {error}"))

    async def _send_events(self) -> None:
        """Send the status when it has changed, and the newest frame when the tab is ready for it."""
        training = self.view.session.training
        while True:
            await self._news.wait()
            self._news.clear()
            frame = training.frame
            if self._may_send_frame and frame is not None and frame[0] != self._frame_sent:
                self._may_send_frame, self._frame_sent = False, frame[0]
                await self._send(self._packed(*frame))
            elif self._may_send_frame:
                training.frame_wanted = True
            status = methods.status(self.view)
            if str(status) != self._status_sent:
                self._status_sent = str(status)
                await self._send(pack({"event": "status", **status}))

    def _packed(self, number: int, state: State, frame: Frame) -> bytes:
        """Return a frame with the part of the curves that the tab lacks."""
        fields, arrays = frame
        curves = self.view.session.training.curves
        points = curves.since(self._generation, self._points)
        self._generation, self._points = points["generation"], points["from"] + len(points["points"])
        epochs = curves.epochs
        header = {"event": "frame", "number": number, **methods.frame_fields(state), **fields}
        return pack(header | {"curves": points, "epochs": epochs}, arrays)

    async def _send_error(self, identity: object, error: Exception) -> None:
        text = error.text(self.view.language) if isinstance(error, LabError) else str(error)
        header: Header = {"id": identity if isinstance(identity, int | str) else None, "error": text}
        await self._send(pack(header))

    async def _send(self, message: bytes) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # RuntimeError: the tab is closed already
            async with self._sending:
                await self.websocket.send_bytes(message)

"""The server of the lab: the page, its modules, and one WebSocket for each tab.

It binds to 127.0.0.1 only.  Every request must name this host (another name that a web page resolves to 127.0.0.1 would
pass otherwise), the page and the WebSocket need the token of the URL, and the WebSocket is opened only for our own page
(its ``Origin``), because a browser lets any page connect to any host.
"""

import hmac
import secrets
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from scratch.lab.connection import Connection
from scratch.lab.running import HOST
from scratch.lab.session import Session

STATIC = Path(__file__).parent / "static"
MAX_MESSAGE = 1 << 24  # bytes of a request: a photo of 12 MB in base64
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors {embedders}",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
FORBIDDEN = 4403  # WebSocket close code
ADVICE = "open the address that the command printed, or in a notebook the url of the page that show() returned"


class Server:
    """The lab's server; ``run`` serves until Ctrl-C, SIGTERM (in the main thread), ``stop`` or a request to stop.

    Args:
        session: the model, the data and the training.
        listener: a bound socket; see ``listen``.
        token: what the URL must contain; a new one if not given.
        embedders: the pages that may show the lab in a frame, as ``frame-ancestors`` of CSP lists them.
    """

    def __init__(
        self, session: Session, listener: socket.socket, token: str | None = None, embedders: str = "'none'"
    ) -> None:
        self.session, self.listener = session, listener
        self.token = token or secrets.token_urlsafe(16)
        self.port: int = listener.getsockname()[1]
        self.hosts = {f"{name}:{self.port}" for name in (HOST, "localhost")}
        self.connections: set[Connection] = set()
        self.executors = ThreadPoolExecutor(1, "lab"), ThreadPoolExecutor(1, "lab-keras")
        routes = [
            Route("/", self._page),
            Route("/stop", self._stop, methods=["POST"]),
            WebSocketRoute("/ws", self._socket),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        config = uvicorn.Config(
            _checked(Starlette(routes=routes), self.hosts, embedders),
            log_config=None,
            access_log=False,
            ws_max_size=MAX_MESSAGE,
            ws_per_message_deflate=False,  # the page is on the same machine
            timeout_graceful_shutdown=1,
            lifespan="off",
        )
        self._server = uvicorn.Server(config)

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    def run(self) -> None:
        """Serve until Ctrl-C, SIGTERM (in the main thread), ``stop`` or a request to stop."""
        try:
            self._server.run(sockets=[self.listener])
        finally:
            for executor in self.executors:
                executor.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """End ``run`` soon; may be called in any thread."""
        self._server.should_exit = True

    def is_permitted(self, request: HTTPConnection) -> bool:
        """Return whether a request has the token."""
        return hmac.compare_digest(request.query_params.get("token", "").encode(), self.token.encode())

    async def _page(self, request: Request) -> Response:
        if not self.is_permitted(request):
            return _forbidden(f"The address lacks the token of this lab: {ADVICE}.")
        return FileResponse(STATIC / "index.html")

    async def _stop(self, request: Request) -> Response:
        if not self.is_permitted(request):
            return _forbidden("The token is not that of this lab.")
        self.stop()
        return PlainTextResponse("The lab stops.")

    async def _socket(self, websocket: WebSocket) -> None:
        host, origin = websocket.headers.get("host", ""), websocket.headers.get("origin")
        if host not in self.hosts or origin != f"http://{host}" or not self.is_permitted(websocket):
            await websocket.close(FORBIDDEN)  # before it is accepted: the handshake is answered with status 403
            return
        await websocket.accept()
        connection = Connection(websocket, self.session, self.executors)
        self.connections.add(connection)
        try:
            await connection.serve()
        finally:
            self.connections.discard(connection)


def listen(port: int) -> socket.socket:
    """Return a socket that is bound to a port of 127.0.0.1; 0 chooses a free one.

    Raises:
        OSError: if the port is used or not permitted.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(64)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        message = (
            f"Port {port} cannot be used ({reason}); choose another with --port, or end a running lab with --stop."
        )
        raise OSError(message) from None
    return listener


def _forbidden(sentence: str) -> Response:
    return PlainTextResponse(sentence, 403)


def _checked(app: ASGIApp, hosts: set[str], embedders: str) -> ASGIApp:
    """Return the application behind a check of ``Host``, with the headers of every HTTP response."""
    headers = {name: value.format(embedders=embedders) for name, value in HEADERS.items()}

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        response: Callable[[Scope, Receive, Send], Awaitable[None]] = app
        if HTTPConnection(scope).headers.get("host", "") not in hosts:
            response = _forbidden(f"The host of the address is not this lab: {ADVICE}.")
        await response(scope, receive, send_with_headers)

    return checked

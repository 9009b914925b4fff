"""``show``: the lab's page in a notebook, on a model of the notebook's own process."""

import atexit
import contextlib
import html
import os
import threading
from typing import TYPE_CHECKING

from scratch.checks import check_integer
from scratch.datasets import mnist
from scratch.lab.packages import check_packages
from scratch.lab.texts import LANGUAGES, Language
from scratch.models import Sequential

if TYPE_CHECKING:  # imports the packages of the extra
    from scratch.lab.server import Server

# Pages that may show the lab in a frame: notebooks of this machine, in Jupyter and in VS Code.
EMBEDDERS = "http://127.0.0.1:* http://localhost:* https://127.0.0.1:* https://localhost:* vscode-webview: vscode-file:"
_open: set["Page"] = set()


class Page:
    """A lab in this process, which a notebook shows as the value of a cell; ``show`` returns it.

    Args:
        server: serves the page.
        height: of the frame in pixels.
        lang: language of the page; None is the browser's.

    Attributes:
        url: the address of the page, which can be opened in a browser too; it contains the token of the lab.
        is_closed: whether ``close`` has ended the lab.
    """

    def __init__(self, server: "Server", height: int, lang: Language | None) -> None:
        self._server, self.height, self.is_closed = server, height, False
        self.url = f"{server.url}&lang={lang}" if lang else server.url
        self._thread = threading.Thread(target=server.run, name="lab", daemon=True)
        self._thread.start()
        _open.add(self)
        atexit.register(self.close)

    @property
    def model(self) -> Sequential:
        """The model that the page shows and trains."""
        return self._server.session.model

    def close(self) -> None:
        """End the lab: the page says that the connection is lost, and the model can be trained by ``fit`` again.

        It waits for the end of the present step; if Ctrl-C interrupts it, call it again.
        """
        if self.is_closed:
            return
        self._server.stop()
        self._thread.join()
        self._server.session.close(timeout=None)
        _open.discard(self)
        atexit.unregister(self.close)
        self.is_closed = True  # last, so that a call after an interrupted one repeats all steps

    def _repr_html_(self) -> str:
        if self.is_closed:
            return "<p>This lab is closed; call <code>show</code> again.</p>"
        return (
            f'<iframe src="{html.escape(self.url)}" title="Study lab" width="100%" height="{self.height}" '
            'style="border: 0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"<study lab of model {self.model.name!r}, {'closed' if self.is_closed else 'open'}>"


def show(
    model: Sequential,
    data: mnist.Dataset | str | os.PathLike[str] | None = None,
    *,
    height: int = 900,
    lang: Language | None = None,
) -> Page:
    """Return the study lab's page of a model; as the last value of a notebook's cell, it is shown below the cell.

    The page trains this very model, in a thread of the notebook's process.  ``fit`` refuses to train it meanwhile;
    ``predict`` and ``evaluate`` use the weights of the moment.  A second call for the same model closes the first page.

    Args:
        model: a compiled classifier.
        data: digits, as ``scratch.datasets.mnist.load`` returns them, or the file or folder that it reads; by default
            MNIST.
        height: of the page in pixels.
        lang: ``'en'`` or ``'ja'``; by default the browser's language.

    Raises:
        ModuleNotFoundError: if the packages of the extra ``lab`` are not installed.
        ValueError: if the model or the data cannot be shown; nothing is changed then.
    """
    check_packages("scratch.lab.show")
    from scratch.lab.server import Server, listen
    from scratch.lab.session import Session, check_model

    height = check_integer("height", height, minimum=100)
    if lang not in (None, *LANGUAGES):
        raise ValueError(f"lang must be one of {', '.join(map(repr, LANGUAGES))}, or None; got {lang!r}.")
    if not isinstance(model, Sequential):
        raise ValueError(f"model must be a Sequential of scratch; got an object of type {type(model).__name__}.")
    digits = data if isinstance(data, mnist.Dataset) else mnist.load(data)
    check_model(model, digits, f"Model {model.name!r}")
    model.loss_and_optimizer("show")
    for page in [page for page in _open if page.model is model]:
        page.close()
    if model.fit_state is not None:
        raise ValueError(f"Model {model.name!r} is being trained by fit(); call show when that has ended.")
    with contextlib.ExitStack() as undo:
        listener = undo.enter_context(listen(0))
        session = Session(model, digits)
        undo.callback(session.close, timeout=None)
        page = Page(Server(session, listener, embedders=EMBEDDERS), height, lang)
        undo.pop_all()
    return page

"""``recording``: the present run of a lab as one HTML file that needs no server.

The file is the page itself.  What its modules ask for is in it: the answers to the same methods, for one digit and some
snapshots, which ``static/recording.js`` gives in place of ``static/connection.js``.  The modules refer to one another
through an import map, since a page that is opened from a folder cannot load files beside it.
"""

import base64
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scratch.lab.messages import pack
from scratch.lab.requests import Answer, Fields
from scratch.lab.session import View
from scratch.lab.texts import LabError
from scratch.layers import Dropout
from scratch.utils import Array

STATIC = Path(__file__).parent / "static"
PARAMETERS = 1_400_000  # of all recorded snapshots together, which take 12 bytes for each: a file of 17 MB
MOMENTS = 2, 20  # at least and at most
MAX_PARAMETERS = 5_000_000  # of the network: at two snapshots, a file of about 120 MB
Call = Callable[[View, Fields], Answer]


def recording(view: View, call: Call) -> bytes:
    """Return the HTML file of a run.

    Args:
        view: of the tab whose digit is recorded.
        call: answers a request, as ``methods.call`` does.

    Raises:
        LabError: if the tab has no digit yet, the network is too large, or the training failed before its first step.
    """
    if view.digit is None:
        raise LabError("no digit")
    count = view.session.model.count_params()
    if count > MAX_PARAMETERS:
        raise LabError("too large", limit=MAX_PARAMETERS, count=count)
    representation = view.session.representation
    basis = representation.basis
    try:
        answers = _answers(view, call)
    finally:
        representation.basis = basis  # if there was none, the recorded points have set one
    message = gzip.compress(pack(*answers), 6, mtime=0)
    page = _bundled()
    data = f'<script type="text/plain" id="recording">{base64.b64encode(message).decode()}</script>'
    return page.replace("<body>", f"<body>\n    {data}").encode()


def _answers(view: View, call: Call) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the results of all recorded requests by method, snapshot and tensor, and their arrays."""
    results: dict[str, Any] = {}
    arrays: dict[str, Array] = {}

    def record(method: str, snapshot: int | str = "", **fields: Any) -> Any:
        request = {"method": method, **fields} | ({} if snapshot == "" else {"snapshot": snapshot})
        key = f"{method}|{snapshot}|{fields.get('name', '')}"
        results[key], found = call(view, request)
        arrays.update({f"{key}|{name}": array for name, array in found.items()})
        return results[key]

    training = view.session.training
    training.started.wait()  # the first snapshot is that of the first step
    kept = training.snapshots.kept
    if not kept:
        raise LabError("stopped")
    count = int(np.clip(PARAMETERS // view.session.model.count_params(), *MOMENTS))
    chosen = [kept[i].id for i in np.unique(np.linspace(0, len(kept) - 1, count).round().astype(int))]
    results["snapshots||"] = {"snapshots": [s for s in record("snapshots")["snapshots"] if s["id"] in chosen]}
    for snapshot in chosen:
        record("frame.of", snapshot)
        record("representation", snapshot)
        for tensor in record("trace", snapshot)["tensors"]:
            name = tensor["name"]
            record("tensor", snapshot, name=name)
            explained = record("explain", snapshot, name=name, index=[0] * len(tensor["shape"]))
            if explained["formula"] == "dropout":  # a 0 does not say whether it was kept
                arrays[f"explain|{snapshot}|{name}|kept"] = _mask(view, snapshot, tensor)
    last = results["snapshots||"]["snapshots"][-1]
    place = {"state": "paused", "message": "", "epoch": last["epoch"], "step": last["step"]}
    hello = record("hello", lang=view.language)
    hello |= {"training": hello["training"] | place, "model": None}
    hello["data"]["source"] = re.sub(",? from .*", "", hello["data"]["source"])  # without a path of this machine
    curves = {"curves": training.curves.since(-1, 0), "epochs": training.curves.epochs}
    return {"results": results, "present": last["id"], **curves}, arrays


def _mask(view: View, snapshot: int, tensor: dict[str, Any]) -> Array:
    """Return which entries of its input a Dropout layer kept in the step, uint8."""
    layers = view.inspection(snapshot).network.layers
    keep = next(layer.keep for layer in layers if isinstance(layer, Dropout) and layer.name == tensor["layer"])
    return np.ones(tensor["shape"], np.uint8) if keep is None else keep.astype(np.uint8)


def _bundled() -> str:
    """Return the page with its styles, scripts, modules and icon in it."""
    icon = f"data:image/svg+xml;base64,{_base64((STATIC / 'icon.svg').read_text('utf-8'))}"
    modules = {}
    for path in sorted([*STATIC.glob("*.js"), *STATIC.glob("words/*.js")]):
        name = path.relative_to(STATIC).as_posix()
        source = re.sub(r'from "\./', 'from "lab/', path.read_text("utf-8")).replace("/static/icon.svg", icon)
        modules[f"lab/{name}"] = f"data:text/javascript;base64,{_base64(source)}"
    page = (STATIC / "index.html").read_text("utf-8").replace("/static/icon.svg", icon)
    for name in ("base.css", "views.css"):
        link = f'<link rel="stylesheet" href="/static/{name}">'
        page = page.replace(link, f"<style>{(STATIC / name).read_text('utf-8')}</style>")
    theme = f"<script>{(STATIC / 'theme.js').read_text('utf-8')}</script>"
    page = page.replace('<script src="/static/theme.js"></script>', theme)
    start = f'<script type="importmap">{json.dumps({"imports": modules})}</script>\n'
    start += '    <script type="module">import "lab/app.js";</script>'
    return page.replace('<script type="module" src="/static/app.js"></script>', start)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()

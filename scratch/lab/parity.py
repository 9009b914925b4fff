"""The methods that the process with Keras answers: comparison, bug hunt, diagnosis."""

import numpy as np

from scratch.lab.requests import Answer, Fields, check_range, take
from scratch.lab.session import View
from scratch.lab.texts import LabError
from scratch.saving.archive import to_bytes
from scratch.utils import Array

LEVELS = ("forward", "loss", "backward", "optimizer", "training")
HUNT_DIGITS = 3000  # training digits for the networks of a hunt
COMPARED = ("forward", "loss", "backward", "gradient", "update")


def compare(view: View, fields: Fields) -> Answer:
    """Compare the step on the tab's digit with Keras, tensor by tensor."""
    found = view.inspection(take(fields, "snapshot", int, optional=True))
    ours = {name: tensor.value for name, tensor in found.tensors.items() if tensor.kind in COMPARED}
    _report_start(view)
    arrays = {"x": found["x"], "y": _sendable(found.y), "model": np.frombuffer(to_bytes(found.network), np.uint8)}
    result, theirs = view.session.worker("compare", {}, arrays | {f"ours/{name}": a for name, a in ours.items()})
    view.compared = theirs | {f"ours/{name}": array for name, array in ours.items()}
    return result, {}


def compare_tensor(view: View, fields: Fields) -> Answer:
    """Return one tensor of the last comparison of this tab."""
    name = take(fields, "name", str)
    found = {key: view.compared.get(f"{key}/{name}") for key in ("ours", "keras", "bound")}
    arrays = {key: array for key, array in found.items() if array is not None}
    if "keras" not in arrays:
        raise LabError("unknown tensor", name=name)
    return {"name": name}, arrays


def hunt_levels(view: View, fields: Fields) -> Answer:
    """Return the levels."""
    return {"levels": [{"level": i, "topic": topic} for i, topic in enumerate(LEVELS, 1)]}, {}


def hunt_start(view: View, fields: Fields) -> Answer:
    """Make the hunt of a level and a seed; a hunt needs neither the tab's digit nor its network."""
    level, seed = take(fields, "level", int), take(fields, "seed", int)
    check_range("level", level, 1, len(LEVELS))
    check_range("seed", seed, 0, 2**31 - 1)
    _report_start(view)
    view.hunt = {"level": level, "seed": seed}
    images, labels = view.session.data.train
    digits = {"images": images[:HUNT_DIGITS], "labels": labels[:HUNT_DIGITS]}
    return view.session.worker("hunt", {"action": "start", **view.hunt}, digits)


def hunt_tensor(view: View, fields: Fields) -> Answer:
    """Return one tensor of the wrong network and of the right one."""
    return view.session.worker("hunt", {"action": "tensor", **_hunt(view), "name": take(fields, "name", str)}, {})


def hunt_answer(view: View, fields: Fields) -> Answer:
    """Return whether tensor and cause are right, and the wrong function beside the right one."""
    given = {"tensor": take(fields, "tensor", str), "cause": take(fields, "cause", str)}
    return view.session.worker("hunt", {"action": "answer", **_hunt(view), **given}, {})


def diagnose(view: View, fields: Fields) -> Answer:
    """Examine the learner's own file."""
    file = take(fields, "file", str)
    _report_start(view)
    return view.session.worker("diagnose", {"file": file}, {})


def _hunt(view: View) -> dict[str, int]:
    if not view.hunt:
        raise LabError("no hunt")
    return view.hunt


def _report_start(view: View) -> None:
    """Tell the tab that Keras is being started, which takes seconds, or computes."""
    phase = "computing" if view.session.worker.is_running else "starting"
    view.notify({"event": "compare.progress", "phase": phase})


def _sendable(array: Array) -> Array:
    """Return labels in a dtype that a message takes."""
    return array.astype(np.int32) if array.dtype.kind in "iu" else array

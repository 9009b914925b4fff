"""What a tab can ask for: one function for each method of the protocol, and the table ``METHODS``.

A function takes the tab's view and the fields of the request, and returns the fields of the result and its arrays.
All run in one thread, one after the other, but those in ``SLOW``, which have another; the training has its own.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from scratch import __version__
from scratch.lab import digits, parity
from scratch.lab.explanation import explain
from scratch.lab.recording import recording
from scratch.lab.requests import Answer, Fields, check_range, take
from scratch.lab.session import View
from scratch.lab.states import State, network_at
from scratch.lab.texts import LabError, language_of
from scratch.saving.archive import to_bytes

Method = Callable[[View, Fields], Answer]
MAX_LEARNING_RATE = 1_000_000


def hello(view: View, fields: Fields) -> Answer:
    """Return what there is: the layers, the data, the training."""
    view.language = language_of(fields.get("lang"))
    session = view.session
    layers = []
    for layer in session.model.layers:
        assert layer.input_shape is not None
        layers.append(
            {
                "name": layer.name,
                "type": type(layer).__name__,
                "activation": layer.activation,
                "input": list(layer.input_shape[1:]),
                "output": list(layer.compute_output_shape(layer.input_shape)[1:]),
                "params": {key: list(W.shape) for key, W in layer.params.items()},
            }
        )
    data = session.data
    described = {
        "source": data.source,
        "train": len(data.train[0]),
        "test": len(data.test[0]),
        "classes": session.classes,
        "shape": list(data.train[0].shape[1:]),
    }
    result = {"version": __version__, "model": session.source, "layers": layers, "data": described}
    described_digit, arrays = _described(view.digit) if view.digit else (None, {})
    return {
        **result,
        "training": status(view),
        "parity": session.worker.is_available(),
        "digit": described_digit,
    }, arrays


def _described(digit: digits.Digit) -> Answer:
    result = {"source": digit.source, "index": digit.index, "label": digit.label}
    return result, {"before": digit.before, "after": digit.after}


def digit_pick(view: View, fields: Fields) -> Answer:
    """Look at a digit of the data set."""
    set_name = take(fields, "set", str)
    if set_name not in ("train", "test"):
        raise LabError("bad field", field="set", expected="train, test", got=set_name)
    view.choose(digits.pick(view.session.data, set_name, take(fields, "index", int)))
    assert view.digit is not None
    return _described(view.digit)


def digit_prepare(view: View, fields: Fields) -> Answer:
    """Look at a drawing or a photo."""
    if "file" in fields:
        view.choose(digits.prepare_photo(take(fields, "file", str)))
    else:
        size = take(fields, "width", int), take(fields, "height", int)
        view.choose(digits.prepare_drawing(*size, take(fields, "pixels", str)))
    assert view.digit is not None
    return _described(view.digit)


def digit_label(view: View, fields: Fields) -> Answer:
    """Set the class of a drawing or a photo, the target of its step."""
    label, classes = take(fields, "label", int), view.session.classes
    if view.digit is None:
        raise LabError("no digit")
    check_range("label", label, 0, classes - 1)
    view.choose(replace(view.digit, label=label))
    return _described(view.digit)


def digit_mistakes(view: View, fields: Fields) -> Answer:
    """Return the test digits that the network is most confidently wrong about."""
    session, count = view.session, min(max(take(fields, "count", int), 1), 200)
    rows, images = digits.mistakes(session.network(fields.get("snapshot")), session.data, count)
    return {"mistakes": rows}, {"images": images}


def trace(view: View, fields: Fields) -> Answer:
    """Return the names and shapes of all tensors of one step on the digit, in the order of computation."""
    found = view.inspection(take(fields, "snapshot", int, optional=True), renew=True)
    tensors = []
    for tensor in found.tensors.values():
        limits = {"min": float(tensor.value.min()), "max": float(tensor.value.max())}
        shape = list(tensor.value.shape)
        tensors.append({"name": tensor.name, "kind": tensor.kind, "layer": tensor.layer, "shape": shape, **limits})
    assert view.digit is not None
    target = int(found["t"][0].argmax())
    result = {
        "tensors": tensors,
        "probabilities": found.probabilities.tolist(),
        "loss": float(found["loss"]),
        "label": view.digit.label,
        "target": target,
        "epoch": found.state.epoch,
        "step": found.state.step,
    }
    return result, {}


def tensor(view: View, fields: Fields) -> Answer:
    """Return the exact values of one tensor of the step."""
    name = take(fields, "name", str)
    value = view.inspection(take(fields, "snapshot", int, optional=True))[name]
    return {"name": name, "shape": list(value.shape), "dtype": value.dtype.name}, {"value": value}


def explain_value(view: View, fields: Fields) -> Answer:
    """Return where one value of the step comes from."""
    index = fields.get("index")
    if not isinstance(index, list) or not all(isinstance(i, int) and not isinstance(i, bool) for i in index):
        raise LabError("bad field", field="indices", expected="[0, …]", got=repr(index)[:40])
    return explain(view.inspection(take(fields, "snapshot", int, optional=True)), fields.get("name"), tuple(index))


def status(view: View) -> Fields:
    """Return the status of the training, with its message in the language of the tab."""
    found = view.session.training.status()
    message = found["message"]
    return found | {"message": message.text(view.language) if message else ""}


def train_play(view: View, fields: Fields) -> Answer:
    """Train until it is paused."""
    speed = take(fields, "steps_per_second", float, optional=True)
    if speed is not None:
        check_range("steps_per_second", speed, 0.01, 1_000_000)
    view.session.training.run_steps(math.inf, speed)
    return status(view), {}


def train_pause(view: View, fields: Fields) -> Answer:
    """Pause before the next step; a ``status`` event follows."""
    view.session.training.pause()
    return status(view), {}


def train_step(view: View, fields: Fields) -> Answer:
    """Take one step."""
    view.session.training.run_steps(1)
    return status(view), {}


def train_epoch(view: View, fields: Fields) -> Answer:
    """Train to the end of the epoch."""
    view.session.training.run_epoch()
    return status(view), {}


def train_learning_rate(view: View, fields: Fields) -> Answer:
    """Change the learning rate of the steps that follow."""
    value = take(fields, "value", float)
    check_range("value", value, 0, MAX_LEARNING_RATE)
    view.session.training.set_learning_rate(value)
    return status(view), {}


def train_restart(view: View, fields: Fields) -> Answer:
    """Begin again with new weights."""
    seed = take(fields, "seed", int)
    check_range("seed", seed, 0, 2**32 - 1)
    view.session.training.restart(seed)
    view.session.representation.basis = None  # that of other weights
    return status(view), {}


def list_snapshots(view: View, fields: Fields) -> Answer:
    """Return the snapshots, in order."""
    kept = view.session.training.snapshots.kept
    names = ("id", "epoch", "step", "loss", "accuracy")
    return {"snapshots": [{name: getattr(state, name) for name in names} for state in kept]}, {}


def frame_of(view: View, fields: Fields) -> Answer:
    """Return the frame of a snapshot; the training goes on."""
    session = view.session
    state = session.state(take(fields, "snapshot", int))
    frame, arrays = session.make_frame(state, session.training.initial)
    return frame_fields(state) | frame, arrays


def frame_fields(state: State) -> Fields:
    """Return the fields of a frame that say which state it shows."""
    place = {"epoch": state.epoch, "step": state.step, "learning_rate": float(state.optimizer.learning_rate)}
    return place | {"loss": state.loss, "accuracy": state.accuracy}


def representation(view: View, fields: Fields) -> Answer:
    """Return test digits as points in the main directions of the last hidden layer's outputs."""
    session = view.session
    refit = take(fields, "refit", bool, optional=True) or False
    state = session.state(take(fields, "snapshot", int, optional=True))
    name, points, basis = session.representation.points(state, refit)
    result = {"tensor": name, "epoch": state.epoch, "step": state.step, "explained": basis.explained}
    place = {"epoch": basis.state.epoch, "step": basis.state.step}
    return result | {"basis": place}, {"points": points, "labels": session.representation.labels}


def save(view: View, fields: Fields) -> Answer:
    """Return the bytes of a .keras file with the present weights, or those of a snapshot."""
    state = view.session.state(take(fields, "snapshot", int, optional=True))
    content = to_bytes(network_at(view.session.model, state))
    name = f"digits-epoch-{state.epoch}-step-{state.step}.keras"
    return {"name": name}, {"file": np.frombuffer(content, np.uint8)}


def export(view: View, fields: Fields) -> Answer:
    """Return the run as one HTML file that needs no server: the tab's digit at some snapshots."""
    content = recording(view, call)
    place = view.session.training.snapshots.last_place or (0, 0)
    name = f"digits-epoch-{place[0]}-step-{place[1]}.html"
    return {"name": name}, {"file": np.frombuffer(content, np.uint8)}


METHODS: dict[str, Method] = {
    "hello": hello,
    "digit.pick": digit_pick,
    "digit.prepare": digit_prepare,
    "digit.label": digit_label,
    "digit.mistakes": digit_mistakes,
    "trace": trace,
    "tensor": tensor,
    "explain": explain_value,
    "train.play": train_play,
    "train.pause": train_pause,
    "train.step": train_step,
    "train.epoch": train_epoch,
    "train.learning_rate": train_learning_rate,
    "train.restart": train_restart,
    "snapshots": list_snapshots,
    "frame.of": frame_of,
    "representation": representation,
    "save": save,
    "export": export,
    "compare": parity.compare,
    "compare.tensor": parity.compare_tensor,
    "hunt.levels": parity.hunt_levels,
    "hunt.start": parity.hunt_start,
    "hunt.tensor": parity.hunt_tensor,
    "hunt.answer": parity.hunt_answer,
    "diagnose": parity.diagnose,
}
SLOW = {name for name in METHODS if name.startswith(("compare", "hunt", "diagnose"))}  # wait for Keras


def call(view: View, request: object) -> Answer:
    """Answer a request.

    Raises:
        ValueError: if it cannot be answered; a ``LabError`` has its sentence in the language of the tab.
    """
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        raise LabError("not json")
    method = METHODS.get(request["method"])
    if method is None:
        raise LabError("unknown method", name=request["method"][:40])
    return method(view, request)

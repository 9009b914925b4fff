"""``hunt``: a small network with a planted fault beside the right one, made from a level and a seed alone.

Both networks are trained for a moment on the same digits without the fault, so that biases are not zero; then one step
is inspected, in one network with the fault.  The first tensor that differs visibly is what the learner looks for.  The
same level, seed and data set give the same hunt on every machine, so that a teacher can hand out seeds.
"""

import inspect as python_inspect
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from parity_tests.faults import FAULTS
from parity_tests.faults.catalogue import PlantedFault
from parity_tests.lab_worker.levels import LEVELS, MISTAKES
from scratch.article import build_model
from scratch.lab.inspection import Inspection, inspect
from scratch.lab.states import take_state
from scratch.optimizers import SGD
from scratch.utils import clear_session, set_random_seed, to_categorical

Array = np.ndarray
HIDDEN, BATCH, WARM_UP_STEPS, WARM_UP_BATCH = (16, 12), 8, 40, 50
VISIBLE = 1e-3  # difference, relative to the largest entry of the tensor
CHOICES = 4

_data: tuple[Array, Array] | None = None


@dataclass(frozen=True)
class Hunt:
    """A hunt.

    Attributes:
        fault: the planted fault.
        right: the step without it.
        wrong: the step with it.
        first: the name of the first tensor that differs visibly.
        choices: names of the faults to choose from.
    """

    fault: PlantedFault
    right: Inspection
    wrong: Inspection
    first: str
    choices: list[str]


def hunt(fields: dict[str, Any], arrays: dict[str, Array]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Answer ``start``, ``tensor`` or ``answer``, as the field ``action`` says.

    Args:
        fields: ``action``, ``level``, ``seed``, and ``name``, or ``tensor`` and ``cause``.
        arrays: for the first ``start``: ``images`` (N, height, width) and ``labels`` (N,) to train and step on.
    """
    global _data
    if arrays:
        _data = arrays["images"].copy(), arrays["labels"].copy()
        make_hunt.cache_clear()
    found = make_hunt(int(fields["level"]), int(fields["seed"]))
    return {"start": start, "tensor": tensor, "answer": check}[fields["action"]](found, fields)


def start(found: Hunt, fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the tensors of both networks and the causes to choose from."""
    tensors = []
    for name, right in found.right.tensors.items():
        wrong = found.wrong[name]
        entry = {"name": name, "kind": right.kind, "layer": right.layer, "shape": list(right.value.shape)}
        values = np.concatenate([right.value.ravel(), wrong.ravel()])
        tensors.append(entry | {"min": float(values.min()), "max": float(values.max())})
    causes = [{"id": name, "text": MISTAKES[name]} for name in found.choices]
    optimizer = found.right.state.optimizer
    settings = {name: getattr(optimizer, name) for name in ("learning_rate", "momentum", "weight_decay")}
    return {"level": fields["level"], "seed": fields["seed"], "tensors": tensors, "causes": causes, **settings}, {}


def tensor(found: Hunt, fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return one tensor of both networks."""
    name = fields["name"]
    return {"name": name}, {"wrong": found.wrong[name], "right": found.right[name]}


def check(found: Hunt, fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return whether the learner is right, and the wrong function beside the right one."""
    fault = found.fault
    result = {
        "tensor_right": fields["tensor"] == found.first,
        "cause_right": fields["cause"] == fault.name,
        "first_wrong": found.first,
        "cause": fault.name,
        "explanation": MISTAKES[fault.name],
        "wrong_line": source(fault.replacement),
        "right_line": source(getattr(fault.target, fault.attribute)),
    }
    return result, {}


def source(function: Any) -> str:
    """Return the source of a function, without the decorator that plants a fault."""
    lines = python_inspect.getsource(function).splitlines()
    first = next(i for i, line in enumerate(lines) if line.lstrip().startswith("def "))
    return python_inspect.cleandoc("\n" + "\n".join(lines[first:]))


@lru_cache(maxsize=16)
def make_hunt(level: int, seed: int) -> Hunt:
    """Return the hunt of a level and a seed: the first fault, in an order drawn from the seed, that is visible."""
    faults = {fault.name: fault for fault in FAULTS if isinstance(fault, PlantedFault)}
    names = list(LEVELS[level - 1])
    rng = np.random.default_rng([level, seed])
    order = [str(name) for name in rng.permutation(names)]
    right = step(level, seed, None)
    for name in order:
        wrong = step(level, seed, faults[name])
        first = first_difference(wrong, right)
        if first is not None:
            others = [other for other in order if other != name]
            others += [str(n) for n in rng.permutation([n for n in MISTAKES if n not in order])]
            choices = [str(choice) for choice in rng.permutation([name, *others[: CHOICES - 1]])]
            return Hunt(faults[name], right, wrong, first, choices)
    raise ValueError(f"Level {level} with seed {seed} shows no fault; choose another seed.")


def step(level: int, seed: int, fault: PlantedFault | None) -> Inspection:
    """Return the step that is inspected, with or without a fault."""
    if _data is None:
        raise ValueError("Start a hunt first.")
    images, labels = _data
    x, t = (images.reshape(len(images), -1) / np.float32(255)).astype(np.float32), to_categorical(labels, 10)
    rng = np.random.default_rng([level, seed, 1])
    set_random_seed(seed)
    clear_session()
    model = build_model(HIDDEN, x.shape[1], 10, backend="numpy")
    model.compile(SGD(0.1, momentum=0.9, weight_decay=0.01) if level == 4 else SGD(0.1), "categorical_crossentropy")
    for _ in range(WARM_UP_STEPS):
        rows = rng.choice(len(x), WARM_UP_BATCH)
        model.train_on_batch(x[rows], t[rows])
    before, rows = rng.choice(len(x), BATCH, replace=False), rng.choice(len(x), BATCH, replace=False)
    with fault.planted("numpy") if fault else nullcontext():
        if level == 5:  # these faults show in the second step
            for layer in model.layers:
                layer.grads = {}
            model.train_on_batch(x[before], t[before])
        return inspect(model, take_state(model, 0, 0, 0), x[rows].copy(), t[rows])


def first_difference(wrong: Inspection, right: Inspection) -> str | None:
    """Return the name of the first tensor that differs visibly; None if none does."""
    for name, tensor in right.tensors.items():
        a, b = wrong[name].astype(np.float64), tensor.value.astype(np.float64)
        if a.shape != b.shape or not np.abs(a - b).max() <= VISIBLE * np.abs(b).max():
            return name
    return None

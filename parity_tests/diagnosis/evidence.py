"""What was observed in each scene, and whether a network with given formulas reproduces it within its bounds."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from parity_tests.diagnosis.formulas import (
    STAGES,
    Array,
    Formulas,
    Pass,
    Tensors,
    evaluate,
    forward,
    layers_of,
    run,
)
from parity_tests.diagnosis.observe import Observation, Step
from parity_tests.reference.error_model import Bounded

Key = tuple[str, str]  # scene and tensor


def stage_of(tensor: str) -> str:
    """Return the stage in which a tensor is computed."""
    if tensor.startswith("step"):
        return "steps"
    if tensor.endswith("/out"):
        return "outputs"
    return "loss" if tensor == "loss" else "gradients"


class UpdateError(NamedTuple):
    """The error of a mistaken update of a parameter: that of the gradients from which it is computed.

    Attributes:
        summed: the error of an update that sums the gradients of this step and all earlier ones, each multiplied by at
            most the largest learning rate so far: velocities and accumulated gradients are such sums.
        relative: the relative error of this step's gradient: an update that multiplies it by any factor has it, too.
        terms: the number of those gradients.
    """

    summed: float = 0.0
    relative: float = 0.0
    terms: int = 0

    def of(self, deviation: float) -> float:
        """Return the error of an update that deviates from the right one by at most ``deviation``.

        A deviation that is a multiple of this step's gradient has its relative error.  One that is a sum of gradients
        has the sum of their errors: at most ``summed``, and at most ``terms`` relative errors of the sum if none of
        the gradients is larger than the sum.  If gradients cancel to less than that, or are multiplied and summed as
        well, the error can be larger, though only if nearly all roundings have the same direction; such a mistake is
        then reported as unexplained.
        """
        multiple = self.relative * deviation
        return multiple + min(self.summed, self.terms * multiple)


class Scene(Protocol):
    """Something that was observed: a batch, or training steps.

    Attributes:
        name: what is special about it.
        observed: the observed tensors by name.
        right: the right tensors with the bounds of the error model.
    """

    name: str
    observed: Tensors
    right: dict[str, Bounded]

    @property
    def update_errors(self) -> Mapping[str, UpdateError]:
        """The errors of mistaken updates by tensor; empty for a batch."""

    def predict(self, formulas: Formulas, last: str = STAGES[-1]) -> Tensors:
        """Return the tensors of a network with these formulas, up to the last stage that is needed."""


@dataclass(frozen=True)
class BatchScene:
    """One batch; see ``Scene``."""

    observation: Observation
    right: dict[str, Bounded]
    activations: Sequence[str]

    @property
    def name(self) -> str:
        """The name of the situation."""
        return self.observation.situation.name

    @property
    def observed(self) -> Tensors:
        """The observed tensors."""
        return self.observation.tensors

    @property
    def update_errors(self) -> Mapping[str, UpdateError]:
        """Nothing: no parameter is updated."""
        return {}

    @np.errstate(all="ignore")  # mistakes overflow
    def predict(self, formulas: Formulas, last: str = STAGES[-1]) -> Tensors:
        """Return the tensors of a network with these formulas, up to the last stage that is needed."""
        at = self.observation.situation
        rate = 1.0 if self.observation.from_step else 0.0
        if last in ("outputs", "loss"):
            return evaluate(formulas, self.activations, at.weights, at.x, at.t)
        layers = layers_of(self.activations)
        first = forward(formulas, layers, at.weights, at.earlier[0][0]) if at.earlier else None
        tensors = run(formulas, self.activations, at.weights, at.x, at.t, first, rate)
        earlier = [run(formulas, self.activations, at.weights, x, t) for x, t in at.earlier]
        for name in tensors:
            if name.endswith(("/dW", "/db")):
                summed = sum((before[name] for before in earlier), np.zeros(()))
                tensors[name] = formulas.accumulate(tensors[name], summed)
        return tensors


@dataclass(frozen=True, eq=False)
class StepsScene:
    """Training steps, each of them predicted from the observed weights before it; see ``Scene``."""

    name: str
    steps: Sequence[Step]
    right: dict[str, Bounded]
    activations: Sequence[str]
    update_errors: Mapping[str, UpdateError]

    @cached_property
    def observed(self) -> Tensors:
        """The weights after each step."""
        return {
            f"step {number}: dense_{i // 2}/{'Wb'[i % 2]}": W
            for number, step in enumerate(self.steps, 1)
            for i, W in enumerate(step.after)
        }

    @np.errstate(all="ignore")  # mistakes overflow
    def predict(self, formulas: Formulas, last: str = STAGES[-1]) -> Tensors:
        """Return the weights after each step of a network with these formulas."""
        predicted: Tensors = {}
        states: dict[str, dict[str, Array]] = {}
        summed: dict[str, Array] = {}  # the gradients of all earlier steps
        layers = layers_of(self.activations)
        passes = _passes(self, replace(formulas, update=Formulas.update, accumulate=Formulas.accumulate))
        for number, (step, gradients) in enumerate(zip(self.steps, passes, strict=True), 1):
            for i, W in enumerate(step.before):
                layer, key = layers[i // 2], "Wb"[i % 2]
                name = f"dense_{layer.index}/d{key}"
                earlier = summed.get(name, np.zeros(()))
                summed[name] = earlier + gradients[name]
                gradient = formulas.accumulate(gradients[name], earlier)
                state = states.setdefault(name, {})
                state["samples"] = np.asarray(len(step.x))
                new = formulas.update(layer, key, W, gradient, state, step.rate)
                predicted[f"step {number}: dense_{layer.index}/{key}"] = new
        return predicted


@lru_cache(maxsize=4)  # mistakes in the update, of which there are many, have the same gradients
def _passes(scene: StepsScene, formulas: Formulas) -> list[Tensors]:
    """Return the tensors of each training step before its update."""
    found: list[Tensors] = []
    first: list[Pass] = []
    for step in scene.steps:
        if not first or len(first[0].x) != len(step.x):  # arrays of another size are not kept
            first = forward(formulas, layers_of(scene.activations), step.before, step.x)
        found.append(run(formulas, scene.activations, step.before, step.x, step.t, first, step.rate))
    return found


def reproduces(scene: Scene, name: str, predicted: Array) -> bool:
    """Return whether a prediction equals an observed tensor within twice the error model's bound: both are rounded.

    The bounds belong to the right entries.  An entry that a mistake changes, for example from an exact zero, has the
    largest of them.  A mistaken tensor of another size has the same relative error: its bound grows with its largest
    entry, and after an update by the error of its deviation from the right one.
    """
    observed, right = scene.observed[name], scene.right[name]
    error = scene.update_errors.get(name, UpdateError())
    if observed.shape != np.shape(predicted):
        return False
    with np.errstate(invalid="ignore"):
        difference = np.abs(observed - predicted)
        if (difference <= 2 * right.bound).all():  # the bounds below are at least as large
            return True
        size, widest = float(np.abs(right.value).max(initial=0)), float(right.bound.max(initial=0))
        deviation, largest = np.abs(predicted - right.value), _largest(predicted)
        growth = (widest / size if size else 0.0) * max(0.0, largest - size) + error.of(_largest(deviation))
        if difference.max() > 2 * (widest + growth):  # not if one is NaN
            return False
        near = difference <= 2 * np.where(deviation <= right.bound, right.bound, widest + growth)
    return bool(np.all(near | (observed == predicted) | (np.isnan(observed) & np.isnan(predicted))))


def _largest(array: Array) -> float:
    """Return the largest absolute value that is finite; 0 if none is."""
    largest = float(np.abs(array).max(initial=0))
    return largest if np.isfinite(largest) else float(np.abs(array[np.isfinite(array)]).max(initial=0))


def misses(scenes: Iterable[Scene], formulas: Formulas, stages: Iterable[str] = STAGES) -> set[Key]:
    """Return the tensors of these stages that a network with these formulas does not reproduce."""
    return set(_missed(scenes, formulas, set(stages)))


def misses_within(
    scenes: Iterable[Scene], formulas: Formulas, stages: Iterable[str], wrong: Collection[Key]
) -> set[Key] | None:
    """Return what ``misses`` does; None, as soon as it is known, if one of the tensors is not among the wrong ones."""
    found = set()
    for key in _missed(scenes, formulas, set(stages)):
        if key not in wrong:
            return None
        found.add(key)
    return found


def explains(scenes: Iterable[Scene], formulas: Formulas, stages: Iterable[str], wrong: Collection[Key]) -> bool:
    """Return whether a network with these formulas reproduces all of the wrong tensors of these stages."""
    affected = {name for name, _ in wrong}
    scenes = (scene for scene in scenes if scene.name in affected)
    return not any(key in wrong for key in _missed(scenes, formulas, set(stages)))


def _missed(scenes: Iterable[Scene], formulas: Formulas, stages: set[str]) -> Iterator[Key]:
    """Yield the tensors of these stages that a network with these formulas does not reproduce, scene by scene."""
    last = max(stages, key=STAGES.index)
    for scene in scenes:
        if any(stage_of(name) in stages for name in scene.observed):
            yield from missed_in(scene, scene.predict(formulas, last), stages)


def missed_in(scene: Scene, predicted: Tensors, stages: Collection[str]) -> Iterator[Key]:
    """Yield the tensors of these stages of a scene that a prediction does not reproduce."""
    for name in scene.observed:
        if stage_of(name) in stages and not reproduces(scene, name, predicted[name]):
            yield scene.name, name

"""Examine a network: what it computes in each situation, where it differs from Keras, and which mistakes explain it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise, product
from typing import Any

import numpy as np

from parity_tests.comparison import Comparison, compare
from parity_tests.diagnosis.evidence import BatchScene, Key, Scene, StepsScene, UpdateError, misses
from parity_tests.diagnosis.formulas import SLOPES, Formulas, Settings, sgd
from parity_tests.diagnosis.judge import (
    Architecture,
    BoundedStep,
    bounded_network,
    bounded_steps,
    keras_steps,
    keras_trace,
)
from parity_tests.diagnosis.observe import Observation, Step, observe, observe_steps
from parity_tests.diagnosis.search import Diagnosis, applied, diagnose, single_explanations
from parity_tests.diagnosis.situations import situations
from parity_tests.implementations.construct import sizes_of
from parity_tests.implementations.loading import raised
from parity_tests.implementations.protocol import CannotRunError, NotOffered
from parity_tests.reference.error_model import Bounded, Rounding, exact
from parity_tests.reference.sgd import SGDSettings

Factory = Callable[[], Any]
HIDDEN = ("relu", "sigmoid", "tanh")  # a network without activations is one in which they are missing
LAST = ("softmax", "linear")
RANDOM = 1e-3  # relative to the largest entry; another order of summation in float32 changes less than 1e-5
PREFIXES = (1, 10, 100)  # training steps that are compared: mistakes that show early are found early

# For the situations of one network, which are the same objects for every network of its sizes.
keras_trace_once = lru_cache(maxsize=10)(keras_trace)


@dataclass(frozen=True)
class Row:
    """The comparisons of one scene with Keras, by tensor."""

    name: str
    comparisons: dict[str, Comparison]


@dataclass(frozen=True)
class Examination:
    """The result: what the network is, how it compares with Keras, and the diagnosis.

    Attributes:
        architecture: what was recognised.
        observations: what the network returned in each situation.
        rows: the comparisons with Keras, scene by scene.
        scenes: what the diagnosis explained.
        right: the formulas of a network without a mistake.
        diagnosis: the mistakes, if something differs.
        returned: the dtype of the outputs when weights and batch are float64.
        float32_dtypes: the dtype of each tensor in the usual situation when weights and batch are float32.
        random: the methods that return other numbers when a fresh network is run once more.
        no_steps: why training steps are not offered; "" if they are.
    """

    architecture: Architecture
    observations: list[Observation]
    rows: list[Row]
    scenes: list[Scene]
    right: Formulas
    diagnosis: Diagnosis
    returned: str
    float32_dtypes: dict[str, str]
    random: tuple[str, ...]
    no_steps: str

    @cached_property
    def explained(self) -> list[set[Key]]:
        """The tensors that each mistake explains, after the mistakes before it."""
        explanations = self.diagnosis.explanations
        missed = [misses(self.scenes, applied(explanations[:i], self.right)) for i in range(len(explanations) + 1)]
        return [before - after for before, after in pairwise(missed)]


def examine(factory: Factory, activations: Sequence[str] | None = None, seed: int = 0, **settings: Any) -> Examination:
    """Examine fresh networks that ``factory`` returns.

    Args:
        factory: takes no arguments and returns an ``Implementation``.
        activations: the activation of each Dense layer; recognised from the outputs if not given.
        seed: seed of weights and batches.
        settings: settings of SGD that the network's ``step`` uses, for example ``momentum=0.9``.

    Raises:
        CannotRunError: if the outputs raise, or if activations or settings are declared that can't be compared.
    """
    check_settings(settings)
    sizes = sizes_of(factory())
    if activations is not None:
        check_activations(activations, sizes)
    cases = situations(sizes, seed)
    usual = observe(factory, cases[0], "float64")
    architecture = recognise(usual, sizes, activations)
    architecture = replace(architecture, settings=architecture.settings._replace(**settings))
    observations = [observe(factory, case, architecture.dtype) for case in cases]
    if architecture.settings.momentum:
        observations = [without_step(observation) for observation in observations]
    steps, no_steps = _training_steps(factory, sizes, architecture.dtype, seed)
    scenes = scenes_of(architecture, observations, steps)
    rule = Settings(
        architecture.settings.momentum, architecture.settings.nesterov, architecture.settings.weight_decay or 0.0
    )
    right = Formulas(dtype=architecture.dtype, update=sgd(**rule._asdict()), settings=rule)
    diagnosis = diagnose(scenes, len(architecture.activations), right)
    rows = compare_with_keras(architecture, scenes, steps)
    returned = usual.dtypes[f"dense_{len(sizes) - 2}/out"]
    dtypes = observe(factory, cases[0], "float32").dtypes
    random = random_methods(usual, observe(factory, cases[0], "float64"))
    return Examination(architecture, observations, rows, scenes, right, diagnosis, returned, dtypes, random, no_steps)


def check_settings(settings: Collection[str]) -> None:
    """Raise a ``CannotRunError`` unless all names are settings of SGD; the learning rate is given with each step."""
    known = [name for name in SGDSettings._fields if name != "learning_rate"]
    if unknown := [name for name in settings if name not in known]:
        raise CannotRunError(f"The settings of the training step are {', '.join(known)}; got {', '.join(unknown)}.")


def check_activations(activations: Sequence[str], sizes: tuple[int, ...]) -> None:
    """Raise a ``CannotRunError`` unless there is a known activation for each layer."""
    layers = len(sizes) - 1
    *hidden, last = activations or ("",)
    if len(activations) != layers or not set(hidden) <= set(SLOPES) or last not in LAST:
        raise CannotRunError(
            f"activations must be one name for each of the {layers} layers, {', '.join(SLOPES)} for a hidden one and "
            f"{' or '.join(LAST)} for the last one; got {', '.join(map(str, activations)) or 'none'}."
        )


def _training_steps(factory: Factory, sizes: tuple[int, ...], dtype: str, seed: int) -> tuple[list[Step], str]:
    """Return the training steps of a network, or none and the reason why they are not offered."""
    if not hasattr(factory(), "step"):
        return [], "there is no such method"
    try:
        return observe_steps(factory, sizes, dtype, seed), ""
    except NotOffered as reason:
        return [], str(reason)


def random_methods(first: Observation, second: Observation) -> tuple[str, ...]:
    """Return the methods whose results differ between two fresh networks by more than rounding errors can."""
    found = []
    for name, a in first.tensors.items():
        b = second.tensors.get(name, a)
        tolerance = RANDOM * np.abs(a[np.isfinite(a)]).max(initial=0)
        if a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=tolerance, equal_nan=True):
            found.append(first.methods[name])
    return tuple(dict.fromkeys(found))


def without_step(observation: Observation) -> Observation:
    """Return an observation without the gradients that were read off a step: a step with momentum hides them."""
    tensors = {name: t for name, t in observation.tensors.items() if observation.methods[name] != "step"}
    return replace(observation, tensors=tensors)


def recognise(observation: Observation, sizes: tuple[int, ...], activations: Sequence[str] | None) -> Architecture:
    """Return the architecture whose outputs, right or with a single mistake, are those of a usual batch in float64.

    Some networks return float64, and compute in float32.  This is concluded only if nothing explains the outputs within
    the bounds of float64: a small mistake, such as an ε of 1e-8, is within those of float32.
    """
    layers = len(sizes) - 1
    if observation.errors:
        raise CannotRunError(_cannot_run(observation)) from observation.errors[0][1]
    own = observation.dtypes[f"dense_{layers - 1}/out"]
    kinds = [(*h, out) for out in LAST for h in product(HIDDEN, repeat=layers - 1)]
    kinds = [tuple(activations)] if activations else kinds
    seen = ("outputs", "loss") if "loss" in observation.tensors else ("outputs",)
    likely = [Architecture(sizes, kind, own) for kind in kinds if activations or len(set(kind[:-1])) <= 1]
    for dtype in dict.fromkeys((own, "float32")):
        candidates = [Architecture(sizes, kind, dtype) for kind in kinds]
        for stages in (seen, ("outputs",)):
            for candidate in candidates:
                if not misses([batch_scene(candidate, observation)], Formulas(), stages):
                    return candidate
        if dtype == own and (mistaken := [candidate for candidate in likely if explained(candidate, observation)]):
            return mistaken[0]
    return likely[0]


def _cannot_run(observation: Observation) -> str:
    """Return what a network raises for a usual batch, with the user's line, and the arguments that it modifies."""
    method, error = observation.errors[0]
    message = raised(method, "a usual batch", error)
    for array, modifying in observation.modified:
        message += f" {modifying} modifies {array} in place."
    return message


def explained(candidate: Architecture, observation: Observation) -> bool:
    """Return whether one mistake in a network of this architecture explains the outputs."""
    scene, formulas = batch_scene(candidate, observation), Formulas(dtype=candidate.dtype)
    wrong = misses([scene], formulas, ["outputs"])
    return bool(single_explanations([scene], len(candidate.activations), formulas, ["outputs"], wrong))


def batch_scene(architecture: Architecture, observation: Observation) -> BatchScene:
    """Return the scene of a batch, with the right tensors."""
    at = observation.situation
    right = bounded_network(architecture, at.weights).trace(at.x, at.t)
    if observation.from_step:
        right |= bounded_gradients_from_step(architecture, at.weights, right)
    return BatchScene(observation, right, architecture.activations)


def bounded_gradients_from_step(
    architecture: Architecture, weights: Sequence[np.ndarray], right: dict[str, Bounded]
) -> dict[str, Bounded]:
    """Return the gradients with the bounds of W - (W - gradient), in which W rounds as well."""
    rounding, found = Rounding(architecture.dtype), {}
    for parameter, W in zip(architecture.parameters, weights, strict=True):
        name = "/d".join(parameter.split("/"))
        value = right[name].value
        after = rounding.add(exact(W), Bounded(-value, right[name].bound))
        found[name] = Bounded(value, rounding.add(exact(W), Bounded(-after.value, after.bound)).bound)
    return found


def scenes_of(architecture: Architecture, observations: Sequence[Observation], steps: Sequence[Step]) -> list[Scene]:
    """Return the scenes of all batches, and of the first training steps and all of them."""
    scenes: list[Scene] = [batch_scene(architecture, observation) for observation in observations]
    bounded = bounded_steps(architecture, steps) if steps else []
    errors = update_errors(steps, bounded)
    for count in sorted({min(count, len(steps)) for count in PREFIXES}) if steps else ():
        names = f"{count} step" + "s" * (count > 1)
        right = {f"step {i}: {name}": W for i, b in enumerate(bounded[:count], 1) for name, W in b.weights.items()}
        scenes.append(StepsScene(names, steps[:count], right, architecture.activations, errors))
    return scenes


def update_errors(steps: Sequence[Step], bounded: Sequence[BoundedStep]) -> dict[str, UpdateError]:
    """Return the errors of mistaken updates after each step: those of the right gradients, see ``UpdateError``."""
    errors: dict[str, UpdateError] = {}
    summed: dict[str, float] = {}
    rate = 0.0
    for i, (step, (_, gradients)) in enumerate(zip(steps, bounded, strict=True), 1):
        rate = max(rate, step.rate)
        for name, gradient in gradients.items():
            size, bound = float(np.abs(gradient.value).max()), float(gradient.bound.max())
            summed[name] = summed.get(name, 0.0) + bound
            errors[f"step {i}: {name}"] = UpdateError(rate * summed[name], bound / size if size else 0.0, i)
    return errors


def compare_with_keras(architecture: Architecture, scenes: Sequence[Scene], steps: Sequence[Step]) -> list[Row]:
    """Return the comparisons of each scene with Keras, in float64, within twice the bounds."""
    rows, after = [], keras_steps(architecture, steps) if steps else []
    weights = {
        f"step {i}: {name}": W
        for i, step in enumerate(after, 1)
        for name, W in zip(architecture.parameters, step, strict=True)
    }
    for scene in scenes:
        expected = weights
        if isinstance(scene, BatchScene):
            expected = keras_trace_once(architecture, scene.observation.situation)
        rows.append(
            Row(
                scene.name,
                {
                    name: compare(name, tensor, np.asarray(expected[name], np.float64), 2 * scene.right[name].bound)
                    for name, tensor in scene.observed.items()
                },
            )
        )
    return rows

"""Find the mistakes with which the reference network reproduces what was observed.

Stage by stage, in order of computation: first a single mistake that explains everything observed so far, then a pair.
If no pair does, the mistake that explains most and contradicts nothing is kept, if it explains a tensor of the first
wrong scene, and the search goes on from there; what is left in the end is unexplained.  Among explanations that fit
equally well, the one wins that explains most of the later stages as well.

The time for pairs is bounded: none is tried for tensors that are computed from unexplained ones, and no further pair
when the CPU time for pairs is used up.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations

import numpy as np

from parity_tests.diagnosis.budget import Budget
from parity_tests.diagnosis.evidence import Key, Scene, explains, missed_in, misses, misses_within, stage_of
from parity_tests.diagnosis.fitting import fit
from parity_tests.diagnosis.formulas import STAGES, Formulas, Tensors
from parity_tests.diagnosis.mistakes import MISTAKES, Mistake

MOST = 3  # rounds of the search in one stage
FIRST = 4  # partial explanations that are tried as the first of a pair
PAIR_SECONDS = 4.0  # CPU time for pairs in all stages: enough for 97 of 100 random pairs of faults
UPSTREAM = {"outputs": (), "loss": ("outputs",), "gradients": ("outputs",), "steps": ("outputs", "gradients")}
DERIVED = "derived"  # why pairs were not tried: see Diagnosis.limits
STOPPED = "stopped"


@dataclass(frozen=True)
class Explanation:
    """A mistake that was made, with the value of its parameter and the layer, None for all layers."""

    mistake: Mistake
    parameter: float | None = None
    layer: int | None = None

    def applied(self, formulas: Formulas) -> Formulas:
        """Return the formulas with this mistake."""
        return self.mistake.applied(formulas, self.parameter, self.layer)


Explanations = tuple[Explanation, ...]


@dataclass(frozen=True)
class Diagnosis:
    """The result of the search.

    Attributes:
        explanations: the mistakes that were found, in order of computation.
        unexplained: the tensors that nothing explains.
        formulas: the formulas with the mistakes.
        limits: the stages in which not all pairs were tried: "derived" if the stage is computed from unexplained
            tensors, "stopped" if the CPU time was used up.
    """

    explanations: Explanations
    unexplained: frozenset[Key]
    formulas: Formulas
    limits: Mapping[str, str] = field(default_factory=dict)


def applied(explanations: Explanations, formulas: Formulas) -> Formulas:
    """Return the formulas with all of these mistakes."""
    for explanation in explanations:
        formulas = explanation.applied(formulas)
    return formulas


@np.errstate(all="ignore")  # mistakes overflow
def diagnose(scenes: Sequence[Scene], layers: int, formulas: Formulas) -> Diagnosis:
    """Return the mistakes that explain the scenes.

    Args:
        scenes: what was observed.
        layers: the number of Dense layers.
        formulas: the right formulas.
    """
    found: Explanations = ()
    unexplained: set[Key] = set()
    limits: dict[str, str] = {}
    budget = Budget(PAIR_SECONDS)
    for i, stage in enumerate(STAGES):
        for _ in range(MOST):
            wrong = misses(scenes, formulas, STAGES[: i + 1]) - unexplained
            if not wrong:
                break
            derived = _is_derived(scenes, wrong, stage, unexplained)
            more = _explain(scenes, layers, formulas, STAGES[: i + 1], wrong, Budget(0) if derived else budget)
            found, formulas = found + more, applied(more, formulas)
            if not more:
                limits |= {stage: DERIVED} if derived else {stage: STOPPED} if budget.exhausted else {}
                break
        unexplained |= misses(scenes, formulas, [stage])
    return Diagnosis(found, frozenset(unexplained), formulas, limits)


def _is_derived(scenes: Sequence[Scene], wrong: set[Key], stage: str, unexplained: set[Key]) -> bool:
    """Return whether the first scene with a wrong tensor has unexplained tensors from which this stage is computed.

    Training steps are computed from gradients like those of the first batch.
    """
    names = {_first_wrong(scenes, wrong).name} | ({scenes[0].name} if stage == "steps" else set())
    return any(name in names and stage_of(tensor) in UPSTREAM[stage] for name, tensor in unexplained)


def _explain(
    scenes: Sequence[Scene],
    layers: int,
    formulas: Formulas,
    stages: Sequence[str],
    wrong: set[Key],
    budget: Budget,
) -> Explanations:
    """Return the mistakes, one or two, that explain the wrong tensors best; nothing if none of them does."""
    probe = _first_wrong(scenes, wrong)
    singles = _plausible(probe, layers, formulas, stages, wrong)
    alone = _best([(single,) for single in singles], scenes, formulas, stages, wrong)
    if alone:
        return alone
    left = _left(scenes, singles, formulas, stages, wrong, probe)
    better = sorted(left, key=lambda e: len(left[e]))
    for first in better[:FIRST]:  # one that explains a part of it, and another one the rest
        if budget.exhausted:
            break
        rest = _plausible(_first_wrong(scenes, left[first]), layers, first.applied(formulas), stages, left[first])
        pairs = budget.limited((first, second) for second in rest)
        if pair := _best(pairs, scenes, formulas, stages, wrong):
            return pair
    pairs = budget.limited(_pairs(probe, singles, formulas, stages, wrong))
    there = {key for key in wrong if key[0] == probe.name}  # what explains another scene alone may do so by coincidence
    partial = [single for single in better if not there <= left[single]]
    return _best(pairs, scenes, formulas, stages, wrong) or tuple(partial[:1])


def _left(
    scenes: Sequence[Scene],
    singles: Sequence[Explanation],
    formulas: Formulas,
    stages: Sequence[str],
    wrong: set[Key],
    probe: Scene,
) -> dict[Explanation, set[Key]]:
    """Return the mistakes that explain a part of the wrong tensors, and what each of them leaves.

    All training steps take ten times as long as the other scenes together, which begin with the same steps: a mistake
    that explains nothing there is not tried in them.
    """
    long = {scene.name for scene in scenes[-1:] if stages[-1] == "steps" and scene is not probe}
    short = [scene for scene in scenes if scene.name not in long]
    there = {key for key in wrong if key[0] not in long}
    found = {}
    for single in singles:
        changed = single.applied(formulas)
        missed = misses_within(short, changed, stages, there)
        if missed is not None and missed != there:
            missed = misses_within(scenes, changed, stages, wrong)
            if missed is not None and missed != wrong and _significant(single, len(wrong - missed)):
                found[single] = missed
    return found


def _significant(explanation: Explanation, explained: int) -> bool:
    """Return whether a mistake explains more tensors than it has parameters that were fitted."""
    fitted = explanation.parameter is not None and explanation.parameter not in explanation.mistake.values
    return explained > fitted


def _best(
    attempts: Iterable[Explanations],
    scenes: Sequence[Scene],
    formulas: Formulas,
    stages: Sequence[str],
    wrong: set[Key],
) -> Explanations:
    """Return the attempt that explains all wrong tensors, and most of the later stages; nothing if there is none.

    It contradicts nothing: what the formulas reproduce already stays as it is.
    """
    fitting = [e for e in attempts if explains(scenes, applied(e, formulas), stages, wrong)]
    if fitting:
        before = misses(scenes, formulas, stages)
        fitting = [e for e in fitting if misses_within(scenes, applied(e, formulas), stages, before) is not None]
    if len(fitting) < 2:
        return next(iter(fitting), ())
    return min(fitting, key=lambda e: (len(misses(scenes, applied(e, formulas))), _parameters(e)))


def _pairs(
    probe: Scene, singles: Sequence[Explanation], formulas: Formulas, stages: Sequence[str], wrong: set[Key]
) -> Iterator[Explanations]:
    """Yield the pairs of mistakes that together change every wrong tensor of the scene."""
    names = {tensor for name, tensor in wrong if name == probe.name}
    before = probe.predict(formulas, stages[-1])
    changes = {}
    for single in singles:
        for candidate in _usual(single.mistake, single.layer):
            after = probe.predict(candidate.applied(formulas), stages[-1])
            changes[candidate] = {
                name for name in names if not np.array_equal(after[name], before[name], equal_nan=True)
            }
    for first, second in combinations(changes, 2):
        if _simple(first, second) and names <= changes[first] | changes[second]:
            yield first, second


def _simple(first: Explanation, second: Explanation) -> bool:
    """Return whether a pair is worth trying: two mistakes with at most one parameter, at most one in a single layer."""
    parameters = (first.parameter is not None) + (second.parameter is not None)
    single_layers = (first.layer is not None) + (second.layer is not None)
    return first.mistake is not second.mistake and parameters < 2 and single_layers < 2


@np.errstate(all="ignore")
def single_explanations(
    scenes: Sequence[Scene], layers: int, formulas: Formulas, stages: Sequence[str], wrong: set[Key]
) -> list[Explanation]:
    """Return the mistakes each of which explains all wrong tensors of these stages on its own."""
    singles = _plausible(_first_wrong(scenes, wrong), layers, formulas, stages, wrong)
    return [single for single in singles if not misses(scenes, single.applied(formulas), stages)]


def _first_wrong(scenes: Sequence[Scene], wrong: set[Key]) -> Scene:
    """Return the first scene with a wrong tensor: candidates are tried there first."""
    return next(scene for scene in scenes if any(name == scene.name for name, _ in wrong))


def _plausible(
    probe: Scene, layers: int, formulas: Formulas, stages: Sequence[str], wrong: set[Key]
) -> list[Explanation]:
    """Return the mistakes that change a wrong tensor of the scene, and no right one."""
    names = [tensor for name, tensor in wrong if name == probe.name]
    before, missed = probe.predict(formulas, stages[-1]), misses([probe], formulas, stages)
    fitted = [name for name in names if before[name].shape == probe.observed[name].shape]  # a shape may be wrong
    found = []
    for mistake, layer in _candidates(layers, stages[-1]):

        @cache
        def predict(parameter: float | None, mistake: Mistake = mistake, layer: int | None = layer) -> Tensors:
            return probe.predict(mistake.applied(formulas, parameter, layer), stages[-1])

        usual = mistake.values or (None,)
        if any(_changed(predict(value), before, names) for value in usual):
            values = fit(probe, mistake.values, predict, fitted) if mistake.values else usual
            fitting = [p for p in values if missed.issuperset(missed_in(probe, predict(p), stages))]
            found += [Explanation(mistake, parameter, layer) for parameter in fitting]
    return found


def _candidates(layers: int, last: str) -> Iterator[tuple[Mistake, int | None]]:
    """Yield every mistake that changes something up to a stage, in all layers and in each one."""
    for mistake in MISTAKES:
        if STAGES.index(mistake.stage) > STAGES.index(last):
            continue
        yield mistake, None
        if mistake.in_one_layer and layers > 1:
            yield from ((mistake, layer) for layer in range(layers))


def _usual(mistake: Mistake, layer: int | None) -> Iterator[Explanation]:
    """Yield a mistake with each usual value of its parameter."""
    for parameter in mistake.values or (None,):
        yield Explanation(mistake, parameter, layer)


def _changed(after: Tensors, before: Tensors, names: Iterable[str]) -> bool:
    """Return whether one of these tensors differs."""
    return any(not np.array_equal(after[name], before[name], equal_nan=True) for name in names)


def _parameters(explanations: Explanations) -> int:
    """Return the number of parameters: a mistake without one says more."""
    return sum(explanation.parameter is not None for explanation in explanations)

"""What an examination found: the findings, and the table that says where each of them shows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from parity_tests.diagnosis.evidence import Key, misses, stage_of
from parity_tests.diagnosis.examine import Examination, Row
from parity_tests.diagnosis.formulas import STAGES
from parity_tests.diagnosis.observe import Modified
from parity_tests.diagnosis.search import DERIVED, PAIR_SECONDS, STOPPED, Explanation, applied

COLUMNS = ("outputs", "loss", "gradients")
SIDE_EFFECTS = ("random results", "inputs modified", "weights modified", "exception", "float32 sums", "float64 leaks")
COPY = "Work on a copy: the caller's array must not change."
NOT_RANDOM = (
    "Switch dropout and noise off, or draw them from a generator with a fixed seed: what follows may come from it."
)
LEAVE_WEIGHTS = "Only a training step may change the weights."
SUM_IN_FLOAT64 = "Sum in the dtype of the inputs: np.dot(x, W)."
CONVERT = "Convert constants and new arrays to x.dtype."
UNEXPLAINED = "Nothing in the dictionary of mistakes explains this."
LIMITS = {  # by the reasons in Diagnosis.limits
    DERIVED: "No single mistake explains this; it may follow from what is unexplained before.",
    STOPPED: "No single mistake explains this; the search for pairs of mistakes was stopped after {seconds:g} s.",
}
Table = dict[str, dict[str, "Cell"]]  # by scene, by stage


@dataclass(frozen=True)
class Finding:
    """Something that differs from Keras.

    Attributes:
        name: the mistake's name in the dictionary, ``unexplained``, or a side effect such as ``inputs modified``.
        what: one sentence that says what is wrong.
        remedy: one sentence that says what to change.
        stage: where it shows first: outputs, loss, gradients or steps.
        evidence: the numbers in which it shows first.
        scene: the situation or training in which it shows first.
        tensor: the tensor in which it shows, if it is a difference of numbers or dtypes.
        index: indices of the entry that decides; None if it is not the values that differ.
        method: the method of the network that shows it.
    """

    name: str
    what: str
    remedy: str
    stage: str
    evidence: str = ""
    scene: str = ""
    tensor: str = ""
    index: tuple[int, ...] | None = None
    method: str = ""


@dataclass(frozen=True)
class Cell:
    """One entry of the table: whether a stage agrees in a scene, and which findings explain it if it does not.

    Attributes:
        agrees: True, False, or None if the network does not offer it.
        causes: indices into the findings.
        follows: whether all of them show already in an earlier stage.
    """

    agrees: bool | None
    causes: tuple[int, ...] = ()
    follows: bool = False

    def __str__(self) -> str:
        if self.agrees is None:
            return "not offered"
        numbers = " ".join(str(cause + 1) for cause in self.causes)
        return "✓" if self.agrees else f"follows from {numbers}" if self.follows else f"✗ {numbers or '?'}"


def findings(examination: Examination) -> tuple[list[Finding], Table]:
    """Return what differs from Keras, and the table that says where each finding shows.

    Random results and modified arguments come first, because other findings may follow from them; then mistakes in
    order of computation, what none of them explains, and other side effects.
    """
    cells = {row.name: {stage: _cell(examination, row, stage) for stage in _stages(row)} for row in examination.rows}
    mistakes = [_mistake(examination, i, cells) for i in range(len(examination.diagnosis.explanations))]
    first = [*_random(examination), *_modified(examination)]
    last = [*_exceptions(examination), *_dtypes(examination)]
    found = [*first, *mistakes, *_unexplained(examination), *last]
    for row in cells.values():
        for stage, cell in row.items():
            row[stage] = replace(cell, causes=tuple(len(first) + i for i in cell.causes))
    _mark_exceptions(examination, cells, found)
    return found, cells


def _mark_exceptions(examination: Examination, cells: Table, found: list[Finding]) -> None:
    """Enter the methods that raised into the table, with their findings: they are offered, and fail."""
    causes = {finding.method: i for i, finding in enumerate(found) if finding.name == "exception"}
    for observation in examination.observations:
        for method, _ in observation.errors:
            if method in COLUMNS:
                cells[observation.situation.name][method] = Cell(False, (causes[_called(examination, method)],))


def _stages(row: Row) -> Sequence[str]:
    """Return the stages that a scene has: those of a batch, or training steps."""
    return ("steps",) if any(stage_of(name) == "steps" for name in row.comparisons) else COLUMNS


def _cell(examination: Examination, row: Row, stage: str) -> Cell:
    """Return whether a stage of a scene agrees with Keras, and the mistakes that the diagnosis needs there."""
    wrong = {n for n, c in row.comparisons.items() if stage_of(n) == stage and c.failure}
    if not any(stage_of(name) == stage for name in row.comparisons):
        return Cell(None)
    if not wrong:
        return Cell(True)
    explanations, scene = examination.diagnosis.explanations, _scene(examination, row.name)
    if misses([scene], examination.diagnosis.formulas, [stage]):
        return Cell(False)
    causes = [
        i
        for i in range(len(explanations))
        if misses([scene], applied(explanations[:i] + explanations[i + 1 :], examination.right), [stage])
    ]
    earlier = [STAGES.index(_first_stage(examination.explained[i])) < STAGES.index(stage) for i in causes]
    return Cell(False, tuple(causes), bool(causes) and all(earlier))


def _scene(examination: Examination, name: str) -> Any:
    return next(scene for scene in examination.scenes if scene.name == name)


def _first_stage(keys: Iterable[Key]) -> str:
    """Return the first stage of some tensors."""
    return min((stage_of(tensor) for _, tensor in keys), key=STAGES.index, default="steps")


def _mistake(examination: Examination, i: int, cells: Table) -> Finding:
    """Return the finding of explanation i, with the first numbers that it explains."""
    explanation, explained = examination.diagnosis.explanations[i], examination.explained[i]
    stage = _first_stage(explained)
    shown = [row.name for row in examination.rows if i in cells[row.name].get(stage, Cell(None)).causes]
    keys = [key for key in explained if stage_of(key[1]) == stage and (not shown or key[0] == shown[0])]
    what, remedy = describe(explanation, len(examination.architecture.activations))
    return _with_evidence(Finding(explanation.mistake.name, what, remedy, stage), examination, keys)


def describe(explanation: Explanation, layers: int) -> tuple[str, str]:
    """Return the two sentences of a mistake, with its parameter and the layer."""
    mistake, p = explanation.mistake, explanation.parameter
    where = (
        f" Only layer {explanation.layer + 1} of {layers} has this mistake." if explanation.layer is not None else ""
    )
    return mistake.what.format(p=p) + where, mistake.remedy.format(p=p)


def _with_evidence(finding: Finding, examination: Examination, keys: Iterable[Key]) -> Finding:
    """Return a finding with the first of some tensors that fails: what was returned, and what Keras returns."""
    wanted = set(keys)
    for row in examination.rows:
        for tensor, comparison in row.comparisons.items():
            if (row.name, tensor) in wanted and comparison.failure:
                text = f"{row.name}: {comparison.failure.partition(';')[0].replace('expected', 'Keras')}."
                method = _method(examination, row.name, tensor)
                index = comparison.index
                return replace(finding, evidence=text, scene=row.name, tensor=tensor, index=index, method=method)
    return finding


def _method(examination: Examination, scene: str, tensor: str) -> str:
    """Return the method of the network that returned a tensor."""
    methods = {observation.situation.name: observation.methods for observation in examination.observations}
    return methods.get(scene, {}).get(tensor, "step")


def _unexplained(examination: Examination) -> list[Finding]:
    """Return a finding for each stage in which something is left unexplained, or differs from Keras alone."""
    found, left = [], examination.diagnosis.unexplained
    if not left and not examination.diagnosis.explanations:
        left = frozenset(
            (row.name, name) for row in examination.rows for name, c in row.comparisons.items() if c.failure
        )
    for stage in STAGES:
        keys = [key for key in left if stage_of(key[1]) == stage]
        where = "The loss differs" if stage == "loss" else f"The {stage} differ"
        remedy = LIMITS.get(examination.diagnosis.limits.get(stage, ""), UNEXPLAINED).format(seconds=PAIR_SECONDS)
        finding = Finding("unexplained", f"{where} from Keras's.", remedy, stage)
        found.append(_with_evidence(finding, examination, keys))
    return [finding for finding in found if finding.evidence]


def _called(examination: Examination, method: str) -> str:
    """Return the method that was called: gradients that are not offered come from a training step or from backward."""
    return examination.observations[0].called.get(method, method)


def _random(examination: Examination) -> list[Finding]:
    """Return a finding if methods return other numbers for the same weights and batch."""
    if not examination.random:
        return []
    methods, scene = ", ".join(examination.random), examination.observations[0].situation.name
    what = f"Results are random: {methods} of two fresh networks with the same weights differ for the same batch."
    return [Finding("random results", what, NOT_RANDOM, "outputs", scene, scene, method=examination.random[0])]


def _modified(examination: Examination) -> list[Finding]:
    """Return a finding for each method and each of its arguments that it changed in place, or the weights."""
    found: dict[Modified, Finding] = {}
    for observation in examination.observations:
        scene = observation.situation.name
        for modified in observation.modified:
            array, method = modified
            name, what, remedy = "inputs modified", f"{method} modifies its argument {array} in place.", COPY
            if array == "weights":
                name, what, remedy = "weights modified", f"{method} changes the weights.", LEAVE_WEIGHTS
            called = _called(examination, method)
            found.setdefault(modified, Finding(name, what, remedy, "outputs", scene, scene, array, method=called))
    return list(found.values())


def _exceptions(examination: Examination) -> list[Finding]:
    """Return a finding for each method that raised."""
    found: dict[str, Finding] = {}
    for observation in examination.observations:
        scene = observation.situation.name
        for method, error in observation.errors:
            what = f"{method} raises {type(error).__name__}: {error}"
            remedy = f"It must work for this batch as well: {scene}."
            called = _called(examination, method)
            found.setdefault(method, Finding("exception", what, remedy, "outputs", scene, scene, method=called))
    return list(found.values())


def _dtypes(examination: Examination) -> list[Finding]:
    """Return findings on dtypes: float64 computed in float32, and the first tensor that is float64 without a reason."""
    usual, found = examination.observations[0], []
    scene, architecture = usual.situation.name, examination.architecture
    if examination.returned == "float64" and architecture.dtype == "float32":
        what, remedy = "It computes in float32 although weights and inputs are float64.", SUM_IN_FLOAT64
        tensor = f"dense_{len(architecture.activations) - 1}/out"
        found.append(Finding("float32 sums", what, remedy, "outputs", "", scene, tensor, (0, 0), "outputs"))
    leaks = [n for n, dtype in examination.float32_dtypes.items() if dtype == "float64" and n != "loss"]
    for tensor in leaks[:1]:
        what = f"{tensor} is float64 although weights and inputs are float32."
        stage, method = stage_of(tensor), usual.methods.get(tensor, "step")
        found.append(Finding("float64 leaks", what, CONVERT, stage, "", scene, tensor, method=method))
    return found

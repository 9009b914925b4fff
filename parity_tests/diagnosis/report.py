"""The result of examining a network, for a terminal, a notebook and programs."""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity_tests.comparison import Comparison
from parity_tests.diagnosis.evidence import STAGES, misses, stage_of
from parity_tests.diagnosis.examine import Examination, Row
from parity_tests.diagnosis.own_gradient import OwnGradient
from parity_tests.diagnosis.search import Explanation, applied

COLUMNS = ("outputs", "loss", "gradients")
COPY = "Work on a copy: the caller's array must not change."
LEAVE_WEIGHTS = "Only a training step may change the weights."
UNEXPLAINED = "Nothing in the dictionary of mistakes explains this."


@dataclass(frozen=True)
class Finding:
    """Something that differs from Keras.

    Attributes:
        name: the mistake's name in the dictionary, ``unexplained``, or a side effect such as ``inputs modified``.
        what: one sentence that says what is wrong.
        remedy: one sentence that says what to change.
        stage: where it shows first: outputs, loss, gradients or steps.
        evidence: the numbers in which it shows first.
    """

    name: str
    what: str
    remedy: str
    stage: str
    evidence: str


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


@dataclass(frozen=True)
class Report:
    """What was found in a network.

    Attributes:
        name: what was tested.
        examination: every number behind the report.
        own_gradient: whether the gradient is that of the network's own loss.
        findings: what differs from Keras, in order of computation; empty if the network agrees.
        cells: the table: by scene, by stage.
        not_offered: what was not tested, because the network does not offer it.
        environment: versions and options, for the header of the report.
    """

    name: str
    examination: Examination
    own_gradient: OwnGradient
    findings: list[Finding]
    cells: dict[str, dict[str, Cell]]
    not_offered: list[str]
    environment: dict[str, Any] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether everything that the network offers agrees with Keras."""
        return not self.findings

    @property
    def rows(self) -> list[Row]:
        """The comparisons with Keras, scene by scene."""
        return self.examination.rows

    def to_json(self) -> dict[str, Any]:
        """Return the report as numbers and texts that ``json.dumps`` takes."""
        architecture = self.examination.architecture
        return {
            "implementation": self.name,
            "agrees": self.agrees,
            "sizes": list(architecture.sizes),
            "activations": list(architecture.activations),
            "dtype": architecture.dtype,
            "findings": [vars(finding) for finding in self.findings],
            "own_gradient": {"agrees": self.own_gradient.agrees, "text": self.own_gradient.text},
            "table": {scene: {stage: str(cell) for stage, cell in row.items()} for scene, row in self.cells.items()},
            "comparisons": [
                {"scene": row.name, "tensor": tensor} | comparison_json(comparison)
                for row in self.rows
                for tensor, comparison in row.comparisons.items()
            ],
            "not_offered": self.not_offered,
            "environment": self.environment,
        }

    def __repr__(self) -> str:
        return "\n".join(text_lines(self))

    def _repr_html_(self) -> str:
        """Return the report for a notebook."""
        return f"<pre>{html.escape(repr(self))}</pre>"


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison with finite numbers: JSON has no infinity."""
    numbers = {"difference": comparison.difference, "bound": comparison.bound, "ratio": comparison.ratio}
    return {k: v if np.isfinite(v) else str(v) for k, v in numbers.items()} | {"failure": comparison.failure}


def make_report(name: str, examination: Examination, own_gradient: OwnGradient, **environment: Any) -> Report:
    """Return the report on an examination."""
    first = [_first_stage(examination, i) for i in range(len(examination.diagnosis.explanations))]
    cells = {row.name: {s: _cell(examination, row, s, first) for s in _stages(row)} for row in examination.rows}
    mistakes = [_finding(examination, i, stage, cells) for i, stage in enumerate(first)]
    missing = sorted({text for observation in examination.observations for text in observation.not_offered})
    missing += [] if any("steps" in row for row in cells.values()) else ["step: there is no such method"]
    effects = _side_effects(examination)
    causes = [finding for finding in effects if finding.name.endswith(" modified")]  # other findings may follow from it
    others = [finding for finding in effects if finding not in causes]
    findings = [*causes, *mistakes, *_unexplained(examination), *others]
    return Report(name, examination, own_gradient, findings, cells, missing, environment)


def _stages(row: Row) -> Sequence[str]:
    """Return the stages that a scene has: those of a batch, or training steps."""
    return ("steps",) if any(stage_of(name) == "steps" for name in row.comparisons) else COLUMNS


def _cell(examination: Examination, row: Row, stage: str, first: Sequence[str]) -> Cell:
    """Return whether a stage of a scene agrees with Keras, and the mistakes that the diagnosis needs there.

    ``first`` is the first stage that each mistake changes.
    """
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
    earlier = [STAGES.index(first[i]) < STAGES.index(stage) for i in causes]
    return Cell(False, tuple(causes), bool(causes) and all(earlier))


def _scene(examination: Examination, name: str) -> Any:
    return next(scene for scene in examination.scenes if scene.name == name)


def _first_stage(examination: Examination, i: int) -> str:
    """Return the first stage that explanation i changes."""
    explanations, scenes = examination.diagnosis.explanations, examination.scenes
    before = misses(scenes, applied(explanations[:i], examination.right))
    after = misses(scenes, applied(explanations[: i + 1], examination.right))
    return min((stage_of(tensor) for _, tensor in before - after), key=STAGES.index, default="steps")


def _finding(examination: Examination, i: int, stage: str, cells: dict[str, dict[str, Cell]]) -> Finding:
    """Return the finding of explanation i, with the first numbers that it explains."""
    explanation = examination.diagnosis.explanations[i]
    shown = [row for row in examination.rows if i in cells[row.name].get(stage, Cell(None)).causes]
    evidence = _evidence(shown[0], [n for n in shown[0].comparisons if stage_of(n) == stage]) if shown else ""
    what, remedy = describe(explanation, len(examination.architecture.activations))
    return Finding(explanation.mistake.name, what, remedy, stage, evidence)


def describe(explanation: Explanation, layers: int) -> tuple[str, str]:
    """Return the two sentences of a mistake, with its parameter and the layer."""
    mistake, p = explanation.mistake, explanation.parameter
    where = (
        f" Only layer {explanation.layer + 1} of {layers} has this mistake." if explanation.layer is not None else ""
    )
    return mistake.what.format(p=p) + where, mistake.remedy.format(p=p)


def _evidence(row: Row, tensors: Sequence[str]) -> str:
    """Return the first failure among some tensors of a scene: what was returned, and what Keras returns."""
    failure = next((row.comparisons[n].failure for n in tensors if row.comparisons[n].failure), None)
    return f"{row.name}: {failure.partition(';')[0].replace('expected', 'Keras')}." if failure else ""


def _unexplained(examination: Examination) -> list[Finding]:
    """Return a finding for each stage in which something is left unexplained."""
    found = []
    for stage in STAGES:
        for row in examination.rows:
            tensors = [n for s, n in examination.diagnosis.unexplained if s == row.name and stage_of(n) == stage]
            evidence = _evidence(row, [name for name in row.comparisons if name in tensors])
            if evidence:
                where = f"The {stage} differ" if stage != "loss" else "The loss differs"
                found.append(Finding("unexplained", f"{where} from Keras's.", UNEXPLAINED, stage, evidence))
                break
    return found


def _side_effects(examination: Examination) -> list[Finding]:
    """Return findings that are not differences of numbers: arguments modified, another dtype, exceptions."""
    found: dict[str, Finding] = {}
    for observation in examination.observations:
        name = observation.situation.name
        for text in observation.modified:
            what, _, method = text.partition(" by ")
            if what == "weights":
                finding = Finding("weights modified", f"{method} changes the weights.", LEAVE_WEIGHTS, "outputs", name)
            else:
                sentence = f"{method} modifies its argument {what} in place."
                finding = Finding("inputs modified", sentence, COPY, "outputs", name)
            found.setdefault(f"modified {text}", finding)
        for method, error in observation.errors:
            what = f"{method} raises {type(error).__name__}: {error}"
            remedy = f"It must work for this batch as well: {name}."
            found.setdefault(f"error {method}", Finding("exception", what, remedy, "outputs", name))
    if examination.returned == "float64" and examination.architecture.dtype == "float32":
        what = "It computes in float32 although weights and inputs are float64."
        found["float32"] = Finding("float32 sums", what, "Sum in the dtype of the inputs: np.dot(x, W).", "outputs", "")
    for tensor, dtype in examination.float32_dtypes.items():
        if dtype == "float64" and tensor != "loss":
            what = f"{tensor} is float64 although weights and inputs are float32."
            found.setdefault(
                "dtype",
                Finding("float64 leaks", what, "Convert constants and new arrays to x.dtype.", stage_of(tensor), ""),
            )
    return list(found.values())


def text_lines(report: Report) -> list[str]:
    """Return the lines of the report for a terminal."""
    architecture = report.examination.architecture
    layers = "-".join(map(str, architecture.sizes))
    lines = [f"{report.name}: {layers}, {', '.join(architecture.activations)}, {architecture.dtype}", ""]
    lines += [f"  {'':<28}" + "".join(f"{stage:>16}" for stage in COLUMNS)]
    for scene, row in report.cells.items():
        if "steps" not in row:
            lines.append(f"  {scene:<28}" + "".join(f"{row[stage]!s:>16}" for stage in COLUMNS))
    lines += ["", f"  The gradient is that of the network's own loss: {report.own_gradient.text}."]
    steps = [f"{scene} {row['steps']}" for scene, row in report.cells.items() if "steps" in row]
    lines += [f"  SGD beside Keras: {', '.join(steps)}."] if steps else []
    lines += [f"  Not offered: {text}." for text in report.not_offered]
    lines.append("")
    for i, finding in enumerate(report.findings, 1):
        number = "?" if finding.name == "unexplained" else str(i)
        lines += [f"  {number}. {finding.what}", f"     {finding.remedy}"]
        lines += [f"     {finding.evidence}"] if finding.evidence else []
    return lines + ([] if report.findings else ["  All that it offers agrees with Keras."])

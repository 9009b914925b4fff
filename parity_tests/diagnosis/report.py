"""The result of examining a network, for a terminal, a notebook and programs."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from parity_tests.comparison import Comparison, first_failure
from parity_tests.diagnosis.digits import DigitsResult
from parity_tests.diagnosis.examine import Examination, Row
from parity_tests.diagnosis.findings import COLUMNS, UNEXPLAINED, Cell, Finding, findings
from parity_tests.diagnosis.own_gradient import OwnGradient
from parity_tests.diagnosis.reproduction import Source, reproduction


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
        seed: seed of weights and batches.
        source: how a reproduction gets at the network; there are no reproductions without it.
        environment: versions and options, for the header of the report.
        checks: the comparisons of the suite's own checks with networks of this implementation.
        digits: the accuracy on real digits, if it was asked for.
    """

    name: str
    examination: Examination
    own_gradient: OwnGradient
    findings: list[Finding]
    cells: dict[str, dict[str, Cell]]
    not_offered: list[str]
    seed: int
    source: Source | None
    environment: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, list[Comparison]] = field(default_factory=dict)
    digits: DigitsResult | None = None

    @property
    def agrees(self) -> bool:
        """Whether everything that the network offers agrees with Keras."""
        return not self.findings

    @property
    def rows(self) -> list[Row]:
        """The comparisons with Keras, scene by scene."""
        return self.examination.rows

    def reproduction(self, finding: Finding) -> str:
        """Return a program that shows a finding, or "" if there is none."""
        return reproduction(finding, self.examination.architecture, self.source, self.seed)

    def to_json(self) -> dict[str, Any]:
        """Return the report as numbers and texts that ``json.dumps`` takes, with the same keys whatever is found."""
        architecture = self.examination.architecture
        return {
            "implementation": self.name,
            "agrees": self.agrees,
            "sizes": list(architecture.sizes),
            "activations": list(architecture.activations),
            "dtype": architecture.dtype,
            "seed": self.seed,
            "findings": [asdict(finding) | {"reproduction": self.reproduction(finding)} for finding in self.findings],
            "own_gradient": {"agrees": self.own_gradient.agrees, "text": self.own_gradient.text},
            "table": {scene: {stage: asdict(cell) for stage, cell in row.items()} for scene, row in self.cells.items()},
            "comparisons": [
                {"scene": row.name, "tensor": tensor} | comparison.to_json()
                for row in self.rows
                for tensor, comparison in row.comparisons.items()
            ],
            "checks": {name: first_failure(rows) for name, rows in self.checks.items()},
            "digits": self.digits._asdict() if self.digits else None,
            "not_offered": self.not_offered,
            "environment": self.environment,
        }

    def __repr__(self) -> str:
        return "\n".join(text_lines(self))

    def _repr_html_(self) -> str:
        """Return the report for a notebook."""
        from parity_tests.report.network_page import notebook_fragment

        return notebook_fragment(self)


def make_report(
    name: str,
    examination: Examination,
    own_gradient: OwnGradient,
    source: Source | None = None,
    seed: int = 0,
    **environment: Any,
) -> Report:
    """Return the report on an examination; see ``Report`` for the arguments."""
    found, cells = findings(examination)
    missing = sorted({text for observation in examination.observations for text in observation.not_offered})
    missing += [f"step: {examination.no_steps}"] if examination.no_steps else []
    return Report(name, examination, own_gradient, found, cells, missing, seed, source, environment)


def with_checks(report: Report, checks: dict[str, list[Comparison]], digits: DigitsResult | None) -> Report:
    """Return the report with the suite's own checks; one that fails is a finding if nothing else was found."""
    failures = [(name, failure) for name, rows in checks.items() if (failure := first_failure(rows))]
    found = list(report.findings)
    if failures and not found:
        name, failure = failures[0]
        found.append(Finding("unexplained", f"The check {name!r} of the suite fails.", UNEXPLAINED, name, failure))
    return replace(report, findings=found, checks=checks, digits=digits)


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
    counts = [f"{name} {'✗' if first_failure(rows) else '✓'} ({len(rows)})" for name, rows in report.checks.items()]
    lines += [f"  Checks of the suite (comparisons): {', '.join(counts)}."] if counts else []
    lines += [f"  Real digits: {report.digits}."] if report.digits else []
    lines += [f"  Not offered: {text}." for text in report.not_offered]
    lines.append("")
    for i, finding in enumerate(report.findings, 1):
        number = "?" if finding.name == "unexplained" else str(i)
        lines += [f"  {number}. {finding.what}", f"     {finding.remedy}"]
        lines += [f"     {finding.evidence}"] if finding.evidence else []
    if not report.findings:
        return [*lines, "  All that it offers agrees with Keras."]
    program = report.reproduction(report.findings[0]).splitlines()
    return [*lines, "", "  To see finding 1:", "", *(f"    {line}" for line in program)] if program else lines

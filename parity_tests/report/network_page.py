"""The report on a network of the user's own, as an HTML page and as a fragment for notebooks."""

import zlib

from parity_tests.comparison import first_failure
from parity_tests.diagnosis.findings import COLUMNS, Cell, Finding
from parity_tests.diagnosis.report import Report
from parity_tests.report.environment import environment
from parity_tests.report.glossary import NETWORK, glossary
from parity_tests.report.html import Markup, contents, definitions, document, escape, fragment, link, section, table
from parity_tests.report.tables import part_of_bound
from scratch.files import write_bytes

SITUATIONS, FINDINGS, CHECKS = "Situations", "Findings", "Checks of the suite"


def write_network_page(path: str, report: Report) -> None:
    """Write the report as one HTML file without references to other files."""
    found = environment() | {name: str(value) for name, value in report.environment.items()}
    sections = _sections(report, "") | {
        "Glossary": glossary(NETWORK),
        "Environment": definitions(found.items(), "environment-"),
    }
    origin = escape(f"{found['date']}, {found['commit']}, ") + Markup(f"<code>{escape(found['command'])}</code>")
    head = [*_head(report), f'<p class="faint">{origin}</p>', contents(sections)]
    parts = (section(title, body) for title, body in sections.items())
    write_bytes(path, document(f"{report.name} beside Keras", *head, *parts).encode())


def notebook_fragment(report: Report) -> str:
    """Return the report as HTML for a notebook, whose anchors differ from those of other reports."""
    prefix = f"r{zlib.crc32(repr(report).encode()):x}-"
    parts = (section(title, body, prefix=prefix) for title, body in _sections(report, prefix).items())
    return fragment(*_head(report), *parts)


def _head(report: Report) -> list[str]:
    """Return the name of the network, what it is, and the verdict."""
    architecture, count = report.examination.architecture, len(report.findings)
    layers = f"{'-'.join(map(str, architecture.sizes))}, {', '.join(architecture.activations)}, {architecture.dtype}"
    verdict = "✓ All that it offers agrees with Keras."
    if count:
        verdict = f"✗ It differs from Keras: {count} finding{'s' if count > 1 else ''}."
    tone = "bad" if count else "good"
    return [f"<h1>{escape(report.name)}</h1><p>{escape(layers)}</p>", f'<p class="verdict {tone}">{verdict}</p>']


def _sections(report: Report, prefix: str) -> dict[str, str]:
    """Return the content of each section by its title."""
    findings = "".join(_finding(report, i, prefix) for i in range(len(report.findings)))
    batches, trainings = _tables(report, prefix)
    missing = "".join(f"<li>{escape(text)}</li>" for text in report.not_offered)
    digits = f"<p>Real digits: {escape(report.digits)}.</p>" if report.digits else ""
    own = f"<p>Its gradient is that of its own loss: {escape(report.own_gradient.text)}.</p>{digits}"
    sections = {FINDINGS: findings} if findings else {}
    sections[SITUATIONS] = batches + trainings + own
    sections |= {CHECKS: _checks(report, prefix)} if report.checks else {}
    return sections | ({"Not offered": f"<ul>{missing}</ul>"} if missing else {})


def _tables(report: Report, prefix: str) -> tuple[str, str]:
    """Return the tables of the situations, and of the training steps if there are any."""
    rows = {scene: [_cell(cell, prefix) for cell in row.values()] for scene, row in report.cells.items()}
    steps = {scene for scene, row in report.cells.items() if "steps" in row}
    name = f"{prefix}situation"
    batches = table(["situation", *COLUMNS], [[scene, *row] for scene, row in rows.items() if scene not in steps], name)
    trained = [[scene, *rows[scene]] for scene in rows if scene in steps]
    return batches, table(["training beside Keras", "weights"], trained, name) if trained else ""


def _cell(cell: Cell, prefix: str) -> Markup:
    """Return an entry of the table; a cross links to what explains it."""
    if cell.agrees is None:
        return Markup('<span class="faint">not offered</span>')
    if cell.agrees:
        return Markup('<span class="good">✓</span>')
    links = " ".join(link(f"{prefix}finding-{i + 1}", i + 1) for i in cell.causes)
    return Markup(f'<span class="bad">{"follows from" if cell.follows else "✗"} {links or "?"}</span>')


def _checks(report: Report, prefix: str) -> Markup:
    """Return the suite's own checks with networks of this implementation, and what failed first in each."""
    rows, failures = [], ""
    for name, comparisons in report.checks.items():
        failure = first_failure(comparisons)
        mark = Markup('<span class="bad">✗</span>' if failure else '<span class="good">✓</span>')
        worst = max(comparisons, key=lambda comparison: comparison.ratio, default=None)
        rows.append([name, mark, part_of_bound(worst) if worst else "", f"{len(comparisons):,}"])
        failures += f'<p class="card">{escape(failure)}</p>' if failure else ""
    return Markup(table(["check", "", "largest difference", "comparisons"], rows, f"{prefix}check") + failures)


def _finding(report: Report, i: int, prefix: str) -> Markup:
    """Return what differs, what to change, where it shows, and a program that shows it."""
    finding: Finding = report.findings[i]
    number = "?" if finding.name == "unexplained" else str(i + 1)
    program = report.reproduction(finding)
    parts = [f"<h3>{number}. {escape(finding.what)}</h3><p>{escape(finding.remedy)}</p>"]
    parts += [f'<p class="faint">{escape(finding.evidence)}</p>'] if finding.evidence else []
    parts += [f"<details><summary>A program that shows it</summary>{_code(program)}</details>"] if program else []
    return Markup(f'<div class="card" id="{prefix}finding-{i + 1}">{"".join(parts)}</div>')


def _code(program: str) -> str:
    return f"<pre><code>{escape(program)}</code></pre>"

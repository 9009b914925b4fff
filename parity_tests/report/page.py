"""The report of our own suite as one self-contained HTML page."""

from matplotlib.figure import Figure

from parity_tests.report import figures
from parity_tests.report.environment import environment
from parity_tests.report.glossary import OWN_SUITE, glossary
from parity_tests.report.html import Markup, anchor, contents, definitions, document, escape, link, section, table
from parity_tests.report.results import CheckResult, Report, tensor_results
from parity_tests.report.tables import Table, gradient_table, summary_table, tensor_table
from scratch.files import write_bytes
from scratch.ops import BACKENDS

TITLE = "Scratch ↔ Keras"
CHECKS, FAILURES = "Checks", "Failures"
SUMMARY = f"""<p>For each check and backend, the comparison that comes closest to its bound: its difference as
{link("glossary-part-of-its-bound", "part of its bound")}. The numpy backend always runs
{link("glossary-layer-by-layer", "layer by layer")}; the column <em>code on numba</em> says whether the check runs the
same way on numba, or in the {link("glossary-fused-step", "fused step")}.</p>"""
TENSORS = f"""<p>The article's network, one batch of 100, tensor by tensor in order of computation: the difference
between scratch and Keras as {link("glossary-part-of-its-bound", "part of its bound")}. To the right, the
{link("glossary-rms-distance-from-float64", "RMS distance from float64")} of Keras, and those of scratch as part of it:
below 100 %, scratch is the more accurate program. In the picture, tensors that are equal stand at the left edge.</p>"""


def write_page(path: str, report: Report) -> None:
    """Write the report as one HTML file without references to other files."""
    write_bytes(path, page(report).encode())


def page(report: Report) -> str:
    """Return the page."""
    sections = {title: body for title, body in _sections(report).items() if body}
    tone = "bad" if report.failed else "good"
    verdict = f'<p class="verdict {tone}">{"✗" if report.failed else "✓"} {escape(report.verdict)}</p>'
    parts = [section(title, body) for title, body in sections.items()]
    found = environment()
    origin = escape(f"{found['date']}, {found['commit']}, ") + Markup(f"<code>{escape(found['command'])}</code>")
    head = f'<h1>{TITLE}</h1><p class="faint">{origin}</p>'
    return document(TITLE, head, verdict, contents(sections), *parts)


def _sections(report: Report) -> dict[str, str]:
    """Return the content of each section by its title; those without content are left out."""
    checks = {
        FAILURES: "".join(map(_failure, report.failed)),
        CHECKS: SUMMARY + _table(summary_table(report.results), "check"),
    }
    last = {"Glossary": glossary(OWN_SUITE), "Environment": definitions(environment().items(), "environment-")}
    return checks | (_networks() | _trainings(report) if report.is_complete else {}) | last


def _networks() -> dict[str, str]:
    """Return the sections on the tensors of one network, and on the gradients of another one."""
    comparisons = {backend: [row for row, _, _ in tensor_results(backend)] for backend in BACKENDS}
    figure = figures.draw_differences(comparisons)
    picture = _figure(figure, "difference of each tensor as part of its bound", "34rem", "46rem")
    gradients = "<p>Relative differences.</p>" + _table(gradient_table(), "gradient")
    return {
        "Differences and their bounds": TENSORS + picture + _table(tensor_table(), "tensor"),
        "Gradients computed in three ways": gradients,
    }


def _trainings(report: Report) -> dict[str, str]:
    """Return the sections on trainings, those that were done."""
    found = {}
    if report.histories:
        figure = figures.draw_trajectories(report.histories)
        picture = _figure(figure, "loss and accuracy of both programs by epoch", "44rem")
        found["Trajectories"] = "<p>Trained from the same weights on the same batches.</p>" + picture
    if report.accuracies:
        p_values = ", ".join(f"{name}: p = {p:.3f}" for name, p in report.p_values.items())
        picture = _figure(figures.draw_accuracies(report.accuracies), "final accuracies of both programs", "30rem")
        found["Final accuracies from independent initial weights"] = f"<p>{escape(p_values)}</p>" + picture
    return found


def _failure(result: CheckResult) -> Markup:
    """Return what failed in a check, and how to run it alone."""
    others = sum(row.failure is not None for row in result.comparisons) - 1
    more = f"<p>{others:,} more of its {len(result.comparisons):,} comparisons fail.</p>" if others else ""
    name = anchor("failure", result.check, result.backend)
    title = f"{link(anchor('check', result.check), result.check)}, {escape(result.backend)}"
    return Markup(
        f'<div class="card" id="{name}"><h3>{title}</h3><p>{escape(result.failure)}</p>{more}'
        f"<pre><code>{escape(result.command)}</code></pre></div>"
    )


def _table(found: Table, name: str) -> Markup:
    """Return a table in which each row has an anchor."""
    failed = [i for i, row in enumerate(found.rows) if row.failed]
    return table(found.head, [row.cells for row in found.rows], name, failed)


def _figure(figure: Figure, label: str, narrowest: str, widest: str = "none") -> Markup:
    """Return a figure that is never so narrow that its text can't be read; it scrolls in its own container."""
    width = f"min-width: {narrowest}; max-width: {widest}"
    image = f'<figure role="img" aria-label="{escape(label)}" style="{width}">{figures.svg(figure, label)}</figure>'
    return Markup(f'<div class="scroll" tabindex="0">{image}</div>')

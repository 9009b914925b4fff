"""What ``python -m parity_tests`` finds, as tables in the terminal and as one page with pictures."""

import base64
import html
import io
import platform
import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from keras_impl.frameworks import FRAMEWORK
from parity_tests.checks.checks import BACKENDS, bounds, keras_rms, rms_errors, vars_of
from parity_tests.checks.compare import Comparison, compare_traces, first_fault
from parity_tests.reference.cases import ARTICLE, Case, keras_trace
from scratch import gradient_check

OURS, THEIRS, BOUND = "#4477aa", "#ee6677", "#bbbbbb"  # Paul Tol's bright scheme
TRIANGLE = Case((6, 5, 4), ("relu", "tanh", "softmax"), batch=9, features=7, separate=True)


@dataclass
class Outcome:
    """One check with one backend."""

    quantity: str
    backend: str
    rows: list[Comparison]

    @property
    def worst(self) -> Comparison:
        """The row that comes nearest to its bound."""
        return max(self.rows, key=lambda row: row.used)

    @property
    def fault(self) -> str | None:
        """What is wrong first, or None."""
        return first_fault(self.rows)


@dataclass
class Report:
    """Everything found."""

    outcomes: list[Outcome] = field(default_factory=list)
    histories: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    accuracies: dict[str, list[float]] = field(default_factory=dict)
    p_values: dict[str, float] = field(default_factory=dict)

    @property
    def first_divergence(self) -> str | None:
        """Where the programs part first, or None."""
        return next((f"{o.quantity} ({o.backend}): {o.fault}" for o in self.outcomes if o.fault), None)

    @property
    def verdict(self) -> str:
        """One sentence."""
        count = sum(len(o.rows) for o in self.outcomes)
        if self.first_divergence:
            return f"They part. First divergence: {self.first_divergence}"
        return f"They agree: {count:,} comparisons, none beyond its bound; there is no divergence."


def environment() -> str:
    """What this was measured with."""
    packages = ["numpy", "keras", {"torch": "torch"}.get(FRAMEWORK, FRAMEWORK)]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{versions}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"


# --- tables -------------------------------------------------------------------------------------------------------

Cells = list[list[str]]


def summary_cells(outcomes: Iterable[Outcome]) -> tuple[list[str], Cells]:
    """One line a check and backend."""
    head = ["quantity", "backend", "comparisons", "worst: error", "bound", "headroom", ""]
    cells = []
    for o in outcomes:
        worst = o.worst
        numbers = [f"{worst.error:.2g}", f"{worst.bound:.2g}" if worst.bound else "", _headroom(worst)]
        cells.append([o.quantity, o.backend, f"{len(o.rows):,}", *numbers, "differs" if o.fault else "ok"])
    return head, cells


def _headroom(row: Comparison) -> str:
    if not row.used:
        return "the same"
    return f"{row.headroom:,.0f} ×" if row.headroom >= 10 else f"{row.headroom:.2g} ×"


@lru_cache
def tensor_rows(backend: str) -> list[tuple[Comparison, float, float]]:
    """For each tensor of the article's network: the comparison with Keras, and the RMS errors of both."""
    ours = ARTICLE.scratch(backend).trace(ARTICLE.x, ARTICLE.y)
    rms = rms_errors(ARTICLE, lambda case: case.scratch(backend).trace(case.x, case.y))
    rows = compare_traces(ours, keras_trace(ARTICLE), bounds(ARTICLE))
    return [(row, rms[row.name], keras_rms()[0, row.name]) for row in rows]


def tensor_cells() -> tuple[list[str], Cells]:
    """One line a tensor and backend: error, bound, headroom, and both programs' distance from float64."""
    head = ["tensor", "backend", "scratch − Keras", "bound", "headroom"]
    head += ["scratch, RMS from float64", "Keras, RMS from float64", "ratio"]
    cells = []
    for backend in BACKENDS:
        for row, ours, theirs in tensor_rows(backend):
            compared = [row.name, backend, f"{row.error:.2g}", f"{row.bound:.2g}", _headroom(row)]
            cells.append([*compared, f"{ours:.2g}", f"{theirs:.2g}", f"{ours / theirs:.2f}" if theirs else "1.00"])
    return head, cells


@lru_cache
def triangle_cells() -> tuple[list[str], Cells]:
    """Central differences ↔ backward ↔ automatic differentiation, one line a gradient."""
    dtype = "float64" if FRAMEWORK == "tensorflow" else "float32"
    case = Case(**{**vars_of(TRIANGLE), "dtype": dtype})
    precise = Case(**{**vars_of(TRIANGLE), "dtype": "float64"})
    automatic, rows = keras_trace(case), {}
    for backend in BACKENDS:
        numerical = gradient_check(precise.scratch(backend), precise.x, precise.y)
        backward = precise.scratch(backend).trace(case.x, case.y)
        for key, error in numerical.items():
            name = f"{precise.names()[0][0]}/dx" if key == "dx" else "/d".join(key.split("/"))
            scale = np.abs(automatic[name]).max()
            other = float(np.abs(backward[name] - automatic[name]).max() / scale) if scale else 0.0
            rows.setdefault(name, []).extend([f"{error:.1e}", f"{other:.1e}"])
    head = ["gradient"]
    for backend in BACKENDS:
        head += [f"{backend}: central differences ↔ backward", f"{backend}: backward ↔ Keras's autodiff, {dtype}"]
    return head, [[name, *values] for name, values in rows.items()]


def print_table(console: Console, title: str, head: list[str], cells: Cells) -> None:
    """One table in the terminal."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, name in enumerate(head):
        table.add_column(name, justify="left" if i < 2 else "right", overflow="fold")
    for line in cells:
        style = "red" if "differs" in line else None
        table.add_row(*line, style=style)
    console.print(table)


# --- the page -----------------------------------------------------------------------------------------------------

PAGE = string.Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Scratch ↔ Keras</title><style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }
td { white-space: nowrap; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
tr.differs { background: #fdd; } img { max-width: 100%; } h2 { margin-top: 2.5rem; }
.verdict { padding: .8rem 1rem; border-radius: .4rem; background: $colour; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
</style></head><body>
<h1>Scratch ↔ Keras</h1><p>$environment</p><p class="verdict">$verdict</p>
$body
</body></html>
""")


def write_page(path: str, report: Report) -> None:
    """The whole report as one self-contained HTML file."""
    parts = ["<h2>Every check</h2>", _html_table(*summary_cells(report.outcomes))]
    parts += ["<h2>Errors against their bounds</h2>"]
    parts += ["<p>The article's network, one batch of 100, tensor by tensor in order of computation: the difference "]
    parts += ["between scratch and Keras, and the bound that the error model allows.</p>", _image(_draw_errors())]
    parts += [_html_table(*tensor_cells())]
    parts += ["<h2>The triangle of gradients</h2><p>Relative differences.</p>", _html_table(*triangle_cells())]
    if report.histories:
        parts += ["<h2>Trajectories</h2><p>Trained from the same weights on the same batches.</p>"]
        parts += [_image(_draw_trajectories(report.histories))]
    if report.accuracies:
        text = ", ".join(f"{name}: p = {p:.3f}" for name, p in report.p_values.items())
        parts += [f"<h2>Final accuracies from independent weights</h2><p>{html.escape(text)}</p>"]
        parts += [_image(_draw_accuracies(report.accuracies))]
    page = PAGE.substitute(
        environment=html.escape(environment()),
        verdict=html.escape(report.verdict),
        colour="#fdd" if report.first_divergence else "#dfd",
        body="\n".join(parts),
    )
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def _html_table(head: list[str], cells: Cells) -> str:
    def line(tag: str, values: list[str]) -> str:
        return "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in values)

    rows = "".join(f'<tr class="{"differs" if "differs" in c else ""}">{line("td", c)}</tr>' for c in cells)
    return f'<div class="scroll"><table><tr>{line("th", head)}</tr>{rows}</table></div>'


def _image(figure: Figure) -> str:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return f'<img alt="see the text above" src="data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}">'


def _draw_errors() -> Figure:
    rows = [row for row, _, _ in tensor_rows(BACKENDS[0])]
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes: Any = figure.subplots()
    places = np.arange(len(rows))
    smallest = min((row.error for row in rows if row.error), default=1e-12) / 10
    axes.bar(places, [row.bound for row in rows], color=BOUND, label="bound", log=True)
    axes.bar(places, [max(row.error, smallest) for row in rows], width=0.45, color=OURS, label="difference")
    axes.set_ylim(bottom=smallest)
    axes.set_xticks(places, [row.name for row in rows], rotation=60, ha="right")
    axes.set_ylabel("absolute, largest entry")
    axes.legend(frameon=False)
    return figure


def _draw_trajectories(histories: dict[str, dict[str, list[float]]]) -> Figure:
    ours, theirs = histories["scratch"], histories["Keras"]
    figure = Figure(figsize=(11, 6), layout="constrained")
    grid: Any = figure.subplots(2, len(theirs), sharex=True, height_ratios=[2, 1])
    for (above, below), name in zip(grid.T, theirs, strict=True):
        epochs = np.arange(1, len(theirs[name]) + 1)
        above.plot(epochs, theirs[name], color=THEIRS, linewidth=5, alpha=0.5, label="Keras")
        above.plot(epochs, ours[name], color=OURS, linewidth=1.5, label="scratch")
        above.set_title(name)
        below.axhline(0, color=BOUND)
        below.plot(epochs, np.subtract(ours[name], theirs[name]), color=OURS, marker=".")
        below.set(xlabel="epoch")
        below.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        below.xaxis.get_major_locator().set_params(integer=True)
    grid[0, 0].legend(frameon=False)
    grid[1, 0].set_ylabel("scratch − Keras")
    return figure


def _draw_accuracies(accuracies: dict[str, list[float]]) -> Figure:
    figure = Figure(figsize=(11, 2.5), layout="constrained")
    axes: Any = figure.subplots()
    for row, values in enumerate(accuracies.values()):
        axes.plot(values, np.full(len(values), row), "o", color=(OURS, THEIRS)[row], alpha=0.6)
    axes.set_yticks(range(len(accuracies)), list(accuracies))
    axes.set(xlabel="test accuracy", ylim=(-0.7, len(accuracies) - 0.3))
    return figure

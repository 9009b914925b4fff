"""The report's tables: texts for the terminal and for the page."""

import platform
from collections.abc import Iterable
from importlib.metadata import version
from typing import NamedTuple

from rich.console import Console
from rich.table import Table as RichTable

from keras_impl.frameworks import FRAMEWORK
from parity_tests.comparison import Comparison
from parity_tests.report.results import CheckResult, gradient_results, tensor_results
from scratch.ops import BACKENDS

DIFFERS = "differs"  # marks a row that failed
UNLIMITED = 1000  # columns, more than any table has


class Table(NamedTuple):
    """A table of texts."""

    title: str
    head: list[str]
    rows: list[list[str]]


def environment() -> str:
    """Return the versions and the platform that the results were measured with."""
    packages = ["numpy", "keras", FRAMEWORK]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{versions}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"


def summary_table(results: Iterable[CheckResult]) -> Table:
    """Return one row for each check and backend, with the comparison that comes closest to its bound."""
    head = ["check", "backend", "code", "comparisons", "difference", "its bound", "margin", ""]
    rows = []
    for r in results:
        worst = r.worst
        bound = f"{worst.bound:.2g}" if worst.bound else ""
        numbers = [f"{len(r.comparisons):,}", f"{worst.difference:.2g}", bound, margin(worst)]
        rows.append([r.check, r.backend, r.code, *numbers, DIFFERS if r.failure else "ok"])
    return Table("Checks (difference and bound of the entry that comes closest to its bound)", head, rows)


def tensor_table() -> Table:
    """Return one row for each tensor and backend: difference, bound, and both programs' distance from float64."""
    head = ["tensor", "backend", "scratch − Keras", "its bound", "margin"]
    head += ["scratch, RMS from float64", "Keras, RMS from float64", "ratio"]
    rows = []
    for backend in BACKENDS:
        for row, ours, theirs in tensor_results(backend):
            compared = [row.name, backend, f"{row.difference:.2g}", f"{row.bound:.2g}", margin(row)]
            rows.append([*compared, f"{ours:.2g}", f"{theirs:.2g}", f"{ours / theirs:.2f}" if theirs else "1.00"])
    return Table("The article's network, tensor by tensor", head, rows)


def gradient_table() -> Table:
    """Return one row for each gradient: central differences, the backward pass and automatic differentiation."""
    dtype = "float64" if FRAMEWORK == "tensorflow" else "float32"
    head, by_backend = ["gradient"], [gradient_results(backend) for backend in BACKENDS]
    for backend in BACKENDS:
        head.append(f"{backend}: central differences ↔ backward")
        head.append(f"{backend}: backward ↔ Keras's automatic differentiation, {dtype}")
    rows = [
        [name, *(f"{difference:.1e}" for found in by_backend for difference in found[name])] for name in by_backend[0]
    ]
    return Table("Gradients computed in three ways, relative differences", head, rows)


def margin(comparison: Comparison) -> str:
    """Return how many times the difference fits into its bound."""
    if not comparison.ratio:
        return "equal"
    if comparison.ratio > 1:
        return "exceeded"
    return f"{comparison.margin:,.0f} ×" if comparison.margin >= 10 else f"{comparison.margin:.2g} ×"


def print_table(console: Console, table: Table) -> None:
    """Print a table in the terminal; rows that failed are red.

    A table that is wider than the terminal gets columns as wide as their longest words, so that no word is broken.
    """
    printed = _rich_table(table, is_narrow=False)
    if console.measure(printed, options=console.options.update_width(UNLIMITED)).maximum > console.width:
        printed = _rich_table(table, is_narrow=True)
    console.print(printed)


def _rich_table(table: Table, is_narrow: bool) -> RichTable:
    padding = 0 if is_narrow else 1
    printed = RichTable(title=table.title, title_justify="left", title_style="bold", padding=(0, padding))
    for i, (name, *cells) in enumerate(zip(table.head, *table.rows, strict=True)):
        # The first three columns may have several words; the others have numbers such as "20 ×".
        words = [*name.split(), *(cells if i > 2 else " ".join(cells).split()), ""]
        width = max(map(len, words)) if is_narrow else None
        printed.add_column(name, justify="left" if i < 2 else "right", overflow="fold", width=width)
    for row in table.rows:
        printed.add_row(*row, style="red" if DIFFERS in row else None)
    return printed

"""The report's tables: texts for the terminal and for the page, numpy and numba side by side."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from rich.console import Console
from rich.table import Table as RichTable

from keras_impl.frameworks import FRAMEWORK
from parity_tests.checks.registry import SHARED
from parity_tests.comparison import Comparison
from parity_tests.report import environment as measured
from parity_tests.report.results import CheckResult, gradient_results, tensor_results
from scratch.ops import BACKENDS

UNLIMITED = 1000  # columns, more than any table has


class Row(NamedTuple):
    """The texts of a row, and whether it has a difference that exceeds its bound."""

    cells: list[str]
    failed: bool = False


class Table(NamedTuple):
    """A table of texts."""

    title: str
    head: list[str]
    rows: list[Row]


def environment() -> str:
    """Return versions and platform in one line."""
    found = measured.environment()
    packages = ", ".join(f"{name} {found[name]}" for name in ("numpy", "numba", "keras", FRAMEWORK))
    return f"{packages}, Python {found['python']}, {found['platform']}, commit {found['commit']}"


def summary_table(results: Iterable[CheckResult]) -> Table:
    """Return one row for each check, with the comparison on each backend that comes closest to its bound.

    Checks that failed come first.
    """
    by_check: dict[str, dict[str, CheckResult]] = {}
    for result in results:
        by_check.setdefault(result.check, {})[result.backend] = result
    rows = [_summary_row(name, found) for name, found in by_check.items()]
    head = ["check", "", *BACKENDS, "code on numba", "comparisons"]
    rows.sort(key=lambda row: row.failed, reverse=True)
    return Table("Checks (the largest difference, as part of its bound)", head, rows)


def _summary_row(name: str, found: dict[str, CheckResult]) -> Row:
    """Return the row of a check from its results by backend; code that all backends share was run once."""
    failed = any(result.failure for result in found.values())
    shared = found.get(SHARED)
    cells = [part_of_bound(found[b].worst) if b in found else "" for b in BACKENDS]
    if shared:
        cells = [part_of_bound(shared.worst), "same code"]
    sizes = dict.fromkeys(f"{len(result.comparisons):,}" for result in found.values())
    code = (shared or found.get("numba") or next(iter(found.values()))).code
    return Row([name, "differs" if failed else "ok", *cells, code, " / ".join(sizes)], failed)


def tensor_table() -> Table:
    """Return one row for each tensor: the difference on each backend, and the distances from float64."""
    head = ["tensor", *BACKENDS, "Keras, RMS from float64", *(f"{backend}, of Keras's" for backend in BACKENDS)]
    rows = []
    for entries in zip(*map(tensor_results, BACKENDS), strict=True):
        compared, theirs = [row for row, _, _ in entries], entries[0][2]
        shares = [f"{100 * ours / theirs:.0f} %" if theirs else "equal" for _, ours, _ in entries]
        cells = [compared[0].name, *map(part_of_bound, compared), f"{theirs:.2g}", *shares]
        rows.append(Row(cells, any(row.failure for row in compared)))
    return Table("The article's network, tensor by tensor (scratch − Keras, as part of its bound)", head, rows)


def gradient_table() -> Table:
    """Return one row for each gradient: central differences, the backward pass and automatic differentiation."""
    dtype = "float64" if FRAMEWORK == "tensorflow" else "float32"
    by_backend = [gradient_results(backend) for backend in BACKENDS]
    methods = ["central differences ↔ backward", f"backward ↔ Keras's automatic differentiation, {dtype}"]
    head = ["gradient", *(f"{backend}: {method}" for method in methods for backend in BACKENDS)]
    rows = [
        Row([name, *(f"{found[name][i]:.1e}" for i in range(len(methods)) for found in by_backend)])
        for name in by_backend[0]
    ]
    return Table("Gradients computed in three ways, relative differences", head, rows)


def part_of_bound(comparison: Comparison) -> str:
    """Return a difference as part of its bound, and the bound: ``3.1 % of 1e-07``, ``20 × 1e-07`` or ``equal``."""
    used, ratio = comparison.used, comparison.ratio
    if not ratio or math.isinf(ratio):
        return used
    return f"{used}{' of' if ratio <= 1 else ''} {comparison.bound:.2g}"


def print_table(console: Console, table: Table) -> None:
    """Print a table in the terminal; rows that failed are red.

    A table that is wider than the terminal gets columns as wide as their longest words, so that no word is broken.
    """
    printed = _rich_table(table)
    if console.measure(printed, options=console.options.update_width(UNLIMITED)).maximum > console.width:
        printed = _rich_table(table, _narrow_widths(table, console.width))
    console.print(printed)


def _narrow_widths(table: Table, width: int) -> list[int]:
    """Return the widths of columns that fit in a terminal; numbers such as ``20 × 1e-07`` are not broken.

    Each column is as wide as its longest word; what is left of the terminal goes to columns that it saves a line break.
    """
    columns = list(zip(table.head, *(row.cells for row in table.rows), strict=True))
    words = [
        [*name.split(), *(cells if _is_number(i, cells) else " ".join(cells).split())]
        for i, (name, *cells) in enumerate(columns)
    ]
    widths = [max(map(len, found), default=0) for found in words]
    left = width - sum(widths) - len(columns) - 1
    for i, (_, *cells) in enumerate(columns):
        more = max(0, *map(len, cells), 0) - widths[i]
        if 0 < more <= left:
            widths[i], left = widths[i] + more, left - more
    return widths


def _is_number(i: int, cells: list[str]) -> bool:
    """Return whether column i has numbers; the first column has names."""
    return i > 0 and any(cell[:1].isdigit() for cell in cells)


def _rich_table(table: Table, widths: list[int] | None = None) -> RichTable:
    """Return a table with columns of these widths, or as wide as their texts."""
    padding = 1 if widths is None else 0
    printed = RichTable(title=table.title, title_justify="left", title_style="bold", padding=(0, padding))
    for i, (name, *cells) in enumerate(zip(table.head, *(row.cells for row in table.rows), strict=True)):
        width = None if widths is None else widths[i]
        printed.add_column(name, justify="right" if _is_number(i, cells) else "left", overflow="fold", width=width)
    for row in table.rows:
        printed.add_row(*row.cells, style="red" if row.failed else None)
    return printed

"""Print the results as a table, with remarks and warnings, and write the table as Markdown."""

import math
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.formatting import format_number, format_quantity
from benchmarks.measurement.results import Results, Row

HEAD = ["measurement", "scratch", "peer", "peer ÷ scratch (95 %)", "target", "reached", "note"]
WIDE = 0.2  # width of an interval, divided by the ratio, above which a warning is printed
BUSY = 0.25  # load average per core, before the first measurement, above which a warning is printed


def cells(row: Row) -> list[str]:
    """Return the texts of a row of the table."""
    ratio, target = row.ratio, f"{row.target:g} ×"
    if ratio is None:
        return [row.name, "", "", "not measured", target, "?", row.note]
    interval = "" if math.isnan(ratio.low) else f" ({format_number(ratio.low)} to {format_number(ratio.high)})"
    sides = [format_quantity(ratio.scratch, row.unit), format_quantity(ratio.peer, row.unit)]
    reached = "yes" if row.is_reached else "no"
    return [row.name, *sides, f"{format_number(ratio.value)} ×{interval}", target, reached, row.note]


def markdown(results: Results) -> str:
    """Return the table in Markdown."""
    lines = [HEAD, ["---"] * len(HEAD), *map(cells, results.rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def warnings(results: Results) -> list[str]:
    """Return a warning for a machine that was busy, and one for ratios with a wide confidence interval."""
    found = []
    load, cores = results.environment.get("load", 0.0), results.environment["cores"]
    if load > BUSY * cores:
        found.append(
            f"Warning: the machine was busy: the load average before the first measurement was {load:.1f} "
            f"on {cores} cores. End other programs and measure again."
        )
    wide = [row.name for row in results.rows if row.ratio and row.ratio.relative_width > WIDE]
    if wide:
        found.append(
            f"Warning: the interval is wider than {WIDE:.0%} of the ratio for: {'; '.join(wide)}. "
            "Measure again on a quiet machine, and without --quick."
        )
    return found


def environment_lines(environment: dict[str, Any]) -> list[str]:
    """Return lines with the versions, the machine, and the variables that limit one of the sides."""
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    commit = environment["commit"] or "unknown"
    lines = [
        f"Python {environment['python']}, {packages}; commit {commit}; {environment['date']}.",
        f"{environment['cpu']}, {environment['cores']} cores, {environment['system']}; "
        f"BLAS: {'; '.join(environment['blas'])}.",
    ]
    variables = dict(environment["variables"])
    core_type = variables.pop("OPENBLAS_CORETYPE", None)
    if variables:
        lines.append(f"Environment variables: {', '.join(f'{name}={value}' for name, value in variables.items())}.")
    if core_type:
        lines.append(
            f"OPENBLAS_CORETYPE={core_type} limits the BLAS of NumPy and SciPy to the kernels of that processor. "
            "On a newer processor every peer that multiplies in NumPy is slower than it could be."
        )
    return lines


def show(console: Console, results: Results) -> None:
    """Print the table, remarks, the environment, warnings, and the targets that are not reached."""
    table = Table(*HEAD, title="Time and memory of scratch and its peers", title_justify="left")
    for column in table.columns[1:5]:
        column.justify, column.no_wrap = "right", True
    for row in results.rows:
        table.add_row(*cells(row), style={True: "", False: "red", None: "dim"}[row.is_reached])
    if results.rows:
        console.print(table)

    def print_line(line: str, style: str = "") -> None:
        # A terminal shows wrapped words, a log the line as it is.
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=not console.is_terminal)

    for line in [*results.remarks, *environment_lines(results.environment)]:
        print_line(line)
    for line in [*warnings(results), *(f"Not completed: {failure}" for failure in results.failures)]:
        print_line(line, "bold yellow")
    missed = [row.name for row in results.rows if row.is_reached is not True]
    if missed:
        print_line(f"Not reached or not measured: {'; '.join(missed)}.", "bold red")
    elif results.rows:
        print_line("All targets are reached.", "bold green")

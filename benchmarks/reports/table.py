"""Print the results as a table, with remarks and warnings, and write the table as Markdown."""

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measurement.ratios import WIDE
from benchmarks.measurement.results import Results
from benchmarks.reports.sections import Section, sections

BUSY = 0.25  # load average per core, before the first measurement, above which a warning is printed


def markdown(results: Results) -> str:
    """Return the tables in Markdown."""
    tables = [
        [section.head, ["---"] * len(section.head), *(line.cells for line in section.lines)]
        for section in sections(results)
    ]
    return "\n".join("".join(f"| {' | '.join(cells)} |\n" for cells in table) for table in tables)


def warnings(results: Results) -> list[str]:
    """Return a warning for a machine that was busy, and one for ratios with a wide confidence interval."""
    found = []
    load, cores = results.environment.get("load", 0.0), results.environment["cores"]
    if load > BUSY * cores:
        found.append(
            f"Warning: the machine was busy: the load average before the first measurement was {load:.1f} "
            f"on {cores} cores. End other programs and measure again."
        )
    wide = [name for section in sections(results) for line in section.lines for name in line.wide]
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
    """Print the tables, remarks, the environment, warnings, and the goals that are not reached."""
    tables = sections(results)
    for section in tables:
        console.print(_rich_table(section))

    def print_line(line: str, style: str = "") -> None:
        # A terminal shows wrapped words, a log the line as it is.
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=not console.is_terminal)

    for line in [*results.remarks, *environment_lines(results.environment)]:
        print_line(line)
    for line in [*warnings(results), *(f"Not completed: {failure}" for failure in results.failures)]:
        print_line(line, "bold yellow")
    missed = [name for section in tables for line in section.lines for name in line.missed]
    if missed:
        print_line(f"Not reached or not measured: {'; '.join(missed)}.", "bold red")
    elif tables:
        print_line("All targets are reached.", "bold green")


def _rich_table(section: Section) -> Table:
    """Return the table for a terminal; lines with a goal that is not reached are red."""
    table = Table(*section.head, title=section.title, title_justify="left")
    for column in table.columns[1:]:
        if column.header != "note":
            column.justify = "right"
    for line in section.lines:
        table.add_row(*line.cells, style="red" if line.missed else "")
    return table

"""What was found, as one table: each ratio with its interval, beside the one that is wanted."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measurement import environment
from benchmarks.measurement.ratios import Ratio

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: is measured.
        wanted: how many times more it must cost the others than us.
        ratio: theirs ÷ ours, or None if it could not be measured.
        unit: of both sides: s or B.
        note: a word on how.
    """

    what: str
    wanted: float
    ratio: Ratio | None
    unit: str = "s"
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the ratio is what is wanted; None without one."""
        return None if self.ratio is None else self.ratio.value >= self.wanted


@dataclass
class Results:
    """Everything found.

    Attributes:
        rows: of the table.
        raw: every single measurement, by question.
        remarks: lines for people: what was left out and why, times that are no ratio.
        environment: what it was measured on and with.
    """

    rows: list[Row] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=environment.record)

    def remark(self, line: str) -> None:
        """Add a line, once."""
        if line not in self.remarks:
            self.remarks.append(line)

    def save(self, file: Path) -> None:
        """Write everything as JSON."""
        file.write_text(json.dumps(_plain(asdict(self)), indent=1) + "\n")


def _plain(value: Any) -> Any:
    """For JSON, which has no NaN: None in its place; and five digits, which is more than any clock is good for."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


def quantity(value: float, unit: str) -> str:
    """A time or a size with three digits in a unit that suits it: 0.0123 s is 12.3 ms."""
    steps = [(1, "s"), (1e-3, "ms"), (1e-6, "µs")] if unit == "s" else [(1e9, "GB"), (1e6, "MB")]
    size, name = next((step for step in steps if value >= step[0]), steps[-1])
    return f"{digits(value / size)} {name}"


def digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


def cells(row: Row) -> list[str]:
    """The row as text."""
    if row.ratio is None:
        return [row.what, "", "", NOT_MEASURED, f"{row.wanted:g} ×", "?", row.note]
    r = row.ratio
    interval = "" if math.isnan(r.low) else f"  ({digits(r.low)} to {digits(r.high)})"
    answer = "yes" if row.reached else "no"
    sides = [quantity(r.ours, row.unit), quantity(r.theirs, row.unit)]
    return [row.what, *sides, f"{digits(r.value)} ×{interval}", f"{row.wanted:g} ×", answer, row.note]


HEAD = ["what", "ours", "theirs", "theirs ÷ ours  (95 %)", "wanted", "reached", ""]


def show(console: Console, results: Results) -> None:
    """Print the table, the remarks and the environment."""
    table = Table(*HEAD, title="What it costs", title_justify="left")
    for column in table.columns[1:5]:
        column.justify, column.no_wrap = "right", True
    for row in results.rows:
        table.add_row(*cells(row), style={True: "", False: "red", None: "dim"}[row.reached])
    if results.rows:
        console.print(table)
    for line in [*results.remarks, *environment.remarks(results.environment)]:
        console.print(line, markup=False, highlight=False)
    missed = [row.what for row in results.rows if row.reached is not True]
    verdict = f"Not reached or not measured: {'; '.join(missed)}." if missed else "Every ratio is reached."
    if results.rows:
        console.print(verdict, style="bold red" if missed else "bold green", markup=False, highlight=False)

"""Hold the results of a run: ratios with targets, upper limits, raw measurements, remarks and the environment."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.goals import Goal
from benchmarks.measurement import environment
from benchmarks.measurement.ratios import Ratio
from scratch.files import write_bytes


@dataclass(frozen=True)
class Row:
    """One row of the table of results.

    Attributes:
        name: what is measured, and the peer.
        target: lower limit of the ratio.
        ratio: peer ÷ scratch, or None if it could not be measured.
        unit: of the measurements: ``'s'`` or ``'B'``.
        note: how it was measured, if it needs saying.
    """

    name: str
    target: Goal
    ratio: Ratio | None
    unit: str = "s"
    note: str = ""

    @property
    def is_reached(self) -> bool | None:
        """Whether the ratio reaches the target; None without a ratio."""
        return None if self.ratio is None else self.ratio.value >= self.target.limit


@dataclass(frozen=True)
class Limit:
    """A time or a size that must not exceed a limit.

    Attributes:
        name: what is measured.
        at_most: upper limit, in the unit.
        values: the measurements; none if it could not be measured.
        unit: of the measurements and the limit: ``'s'`` or ``'B'``.
        note: how it was measured, if it needs saying.
    """

    name: str
    at_most: Goal
    values: list[float]
    unit: str = "s"
    note: str = ""

    @property
    def value(self) -> float | None:
        """Median of the measurements; None without any."""
        return median(self.values) if self.values else None

    @property
    def is_reached(self) -> bool | None:
        """Whether the limit is kept; None without a measurement."""
        return None if self.value is None else self.value <= self.at_most.limit


@dataclass
class Results:
    """The results of a run.

    Attributes:
        rows: the rows of the table of ratios.
        limits: the rows of the table of upper limits.
        raw: every measurement, by question.
        remarks: lines for the report: what was skipped and why, and results that are not ratios.
        failures: one line for each question that was not completed.
        environment: what the results were measured on and with.
    """

    rows: list[Row] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=environment.record)

    def remark(self, line: str) -> None:
        """Add a remark, unless it is there already."""
        if line not in self.remarks:
            self.remarks.append(line)

    def save(self, file: Path) -> None:
        """Write all results as JSON.

        Raises:
            FileError: if the file cannot be written; an existing file is kept.
        """
        write_bytes(file, (json.dumps(_to_json(asdict(self)), indent=1) + "\n").encode())


def _to_json(value: Any) -> Any:
    """Convert keys to text, NaN to None (JSON has no NaN), and round floats to five significant digits."""
    if isinstance(value, dict):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value

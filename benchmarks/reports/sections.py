"""The sections of the report: one table for ratios, upper limits, variants and seconds of compilation each."""

import math
from statistics import median
from typing import NamedTuple

from benchmarks.formatting import format_number, format_quantity
from benchmarks.measurement.ratios import Ratio
from benchmarks.measurement.results import Limit, Results, Row
from benchmarks.peers.registry import KERAS, KERAS_JAX, PEERS
from benchmarks.reports.variants import VariantRatios, variant_ratios
from benchmarks.variants import PLAIN

RATIO_HEAD = ["measurement", "scratch", "peer", "peer ÷ scratch (95 %)", "target", "reached", "note"]
LIMIT_HEAD = ["measurement", "median", "at most", "reached", "note"]
VARIANT_HEAD = ["variant", "scratch", "÷ plain (95 %)", "at most", "reached"]
VARIANT_HEAD += [f"{PEERS[kind].title} ÷ scratch" for kind in (KERAS, KERAS_JAX)] + ["at least", "reached"]
KERNEL_HEAD = ["kernel", "median", "share of the sum"]
REACHED = {True: "yes", False: "no", None: "?"}


class Line(NamedTuple):
    """A line of a table.

    Attributes:
        cells: one text per column.
        missed: names of the goals that are not reached or not measured.
        wide: names of the ratios with a wide confidence interval.
    """

    cells: list[str]
    missed: list[str]
    wide: list[str]


class Section(NamedTuple):
    """A table of the report."""

    title: str
    head: list[str]
    lines: list[Line]


def sections(results: Results) -> list[Section]:
    """Return the tables that have lines."""
    variants = variant_ratios(results.raw.get("variants", {}))
    found = [
        Section("Time and memory of scratch and its peers", RATIO_HEAD, [_ratio_line(row) for row in results.rows]),
        Section("Variants of the training, an epoch each", VARIANT_HEAD, [_variant_line(v) for v in variants]),
        Section("Upper limits", LIMIT_HEAD, [_limit_line(limit) for limit in results.limits]),
        Section("Compilation of the first run ever", KERNEL_HEAD, _kernel_lines(results)),
    ]
    return [section for section in found if section.lines]


def cells(row: Row) -> list[str]:
    """Return the texts of a row of the table of ratios."""
    ratio, target = row.ratio, row.target.text("×")
    if ratio is None:
        return [row.name, "", "", "not measured", target, REACHED[None], row.note]
    sides = [format_quantity(ratio.scratch, row.unit), format_quantity(ratio.peer, row.unit)]
    return [row.name, *sides, _ratio_text(ratio), target, REACHED[row.is_reached], row.note]


def _ratio_line(row: Row) -> Line:
    wide = [row.name] if row.ratio and row.ratio.is_wide else []
    return Line(cells(row), [] if row.is_reached else [row.name], wide)


def _limit_line(limit: Limit) -> Line:
    value = "not measured" if limit.value is None else format_quantity(limit.value, limit.unit)
    at_most = limit.at_most.text("MB" if limit.unit == "B" else limit.unit)
    texts = [limit.name, value, at_most, REACHED[limit.is_reached], limit.note]
    return Line(texts, [] if limit.is_reached else [limit.name], [])


def _variant_line(measured: VariantRatios) -> Line:
    variant, plain, jax = measured.variant, measured.plain, measured.keras.get(KERAS_JAX)
    at_most, at_least = variant.at_most, variant.jax_at_least
    seconds = format_quantity(measured.seconds, "s")
    texts = [variant.name, seconds, "" if variant is PLAIN else _ratio_text(plain), "", ""]
    missed = []
    if at_most is not None:
        is_reached = plain and plain.value <= at_most.limit
        texts[3:] = at_most.text("×"), REACHED[is_reached]
        missed += [] if is_reached else [f"{variant.name} ÷ plain"]
    is_reached = jax and jax.value >= at_least.limit
    texts += [_ratio_text(measured.keras.get(kind)) for kind in (KERAS, KERAS_JAX)]
    texts += [at_least.text("×"), REACHED[is_reached]]
    missed += [] if is_reached else [f"{variant.name}, {PEERS[KERAS_JAX].title}"]
    ratios = {f"{variant.name} ÷ plain": plain}
    ratios |= {f"{variant.name}, {PEERS[kind].title}": ratio for kind, ratio in measured.keras.items()}
    return Line(texts, missed, [name for name, ratio in ratios.items() if ratio and ratio.is_wide])


def _kernel_lines(results: Results) -> list[Line]:
    """Return the median seconds that each kernel took to compile, longest first."""
    runs = results.raw.get("start", {}).get("compilation", [])
    names = dict.fromkeys(name for run in runs for name in run)
    medians = {name: median(run.get(name, 0.0) for run in runs) for name in names}
    total = sum(medians.values())
    ordered = sorted(medians.items(), key=lambda pair: -pair[1])
    return [Line([name, format_quantity(value, "s"), f"{value / total:.0%}"], [], []) for name, value in ordered]


def _ratio_text(ratio: Ratio | None) -> str:
    """Return a ratio with its confidence interval, which is left out after a single round."""
    if ratio is None:
        return "not measured"
    interval = "" if math.isnan(ratio.low) else f" ({format_number(ratio.low)} to {format_number(ratio.high)})"
    return f"{format_number(ratio.value)} ×{interval}"

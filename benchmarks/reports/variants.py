"""The ratios of the variants, from which both the table and the picture are made, and the picture."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.formatting import format_number
from benchmarks.goals import Goal
from benchmarks.measurement.ratios import Ratio, Times, paired_ratio
from benchmarks.peers.registry import KERAS, KERAS_JAX, PEERS, SCRATCH
from benchmarks.reports.colours import COLOURS
from benchmarks.variants import PLAIN, VARIANTS, Variant

BACKGROUND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}  # of numbers over lines


class VariantRatios(NamedTuple):
    """The results of a variant.

    Attributes:
        variant: the variant.
        seconds: median seconds of an epoch in scratch.
        plain: scratch's epoch divided by its epoch of ``PLAIN``; None for ``PLAIN``, or if that was not measured.
        keras: by peer, the peer's epoch divided by scratch's.
    """

    variant: Variant
    seconds: float
    plain: Ratio | None
    keras: dict[str, Ratio]


def variant_ratios(measured: dict[str, Times]) -> list[VariantRatios]:
    """Return the ratios of every variant that scratch was measured on.

    Args:
        measured: for each variant, the seconds of each peer, in the order of the rounds.
    """
    plain = measured.get(PLAIN.name, {}).get(SCRATCH, [])
    found = []
    for variant in VARIANTS:
        times = measured.get(variant.name, {})
        if scratch := times.get(SCRATCH, []):
            ratio = None if variant is PLAIN else _complete_rounds(scratch, plain)
            ratios = {kind: _complete_rounds(times.get(kind, []), scratch) for kind in (KERAS, KERAS_JAX)}
            keras = {kind: ratio for kind, ratio in ratios.items() if ratio}
            found.append(VariantRatios(variant, float(np.median(scratch)), ratio, keras))
    return found


def _complete_rounds(peer: list[float], scratch: list[float]) -> Ratio | None:
    """Return the ratio over the rounds that both sides have; a run that failed may have ended within a round."""
    rounds = min(len(peer), len(scratch))
    return paired_ratio(peer[:rounds], scratch[:rounds]) if rounds else None


def draw_variants(measured: dict[str, Times], machine: str) -> Figure | None:
    """Draw the ratios of the table: each variant to plain training in scratch, and Keras to scratch, with intervals."""
    ratios = variant_ratios(measured)
    if not ratios:
        return None
    figure = Figure(figsize=(11, 0.42 * len(ratios) + 1.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    plain = [(y, found.plain) for y, found in enumerate(ratios) if found.plain]
    _draw_bars(left, plain, 0.6, COLOURS[SCRATCH], PEERS[SCRATCH].title)
    for i, kind in enumerate((KERAS, KERAS_JAX)):
        bars = [(y + 0.4 * i - 0.2, found.keras[kind]) for y, found in enumerate(ratios) if kind in found.keras]
        _draw_bars(right, bars, 0.36, COLOURS[kind], PEERS[kind].title)
    for y, found in enumerate(ratios):
        _draw_goal(left, found.variant.at_most, y - 0.45, y + 0.45)
        _draw_goal(right, found.variant.jax_at_least, y, y + 0.45)
    left.set_yticks(range(len(ratios)), [found.variant.name for found in ratios])
    left.invert_yaxis()
    left.set_title(f"scratch, divided by {PLAIN.name}; lines: at most (dotted: ambition)", fontsize=9)
    right.set_title("Keras ÷ scratch; lines: at least, on JAX (dotted: ambition)", fontsize=9)
    if right.get_legend_handles_labels()[0]:
        right.legend(fontsize=8, frameon=False)
    title = "An epoch of each variant of the article's training: medians of the rounds' ratios, 95 % intervals"
    figure.suptitle(f"{title}\n{machine}", fontsize=10)
    return figure


def _draw_goal(axes: Axes, goal: Goal | None, low: float, high: float) -> None:
    """Draw a vertical line at the limit, and a dotted one at the ambition."""
    for value, style in zip(goal or (), ("-", ":"), strict=False):
        if value is not None:
            axes.plot([value, value], [low, high], style, color="black", lw=1.5)


def _draw_bars(axes: Axes, bars: list[tuple[float, Ratio]], height: float, colour: str, label: str) -> None:
    """Draw a bar for each ratio, at its vertical position, with its interval and its value."""
    for y, ratio in bars:
        axes.barh(y, ratio.value, height, color=colour, label=label)
        label = "_"  # one entry in the legend
        low, high = (ratio.value if np.isnan(end) else end for end in (ratio.low, ratio.high))
        axes.errorbar(ratio.value, y, xerr=[[ratio.value - low], [high - ratio.value]], color="black", lw=1)
        text = f"{format_number(ratio.value)} ×"
        axes.annotate(text, (high, y), (8, 0), textcoords="offset points", va="center", fontsize=8, bbox=BACKGROUND)
    axes.axvline(1, color="grey", lw=0.8)
    axes.margins(x=0.15, y=0.02)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)

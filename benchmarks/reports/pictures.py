"""Draw the results: bars for an epoch of every peer, curves for scaling, a map of the grid."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from benchmarks.formatting import format_number, format_quantity
from benchmarks.measurement.ratios import Times, paired_ratio
from benchmarks.measurement.results import Results
from benchmarks.peers.registry import PEERS, SCRATCH
from benchmarks.questions.grid import COMPARISONS, MIDDLE, Comparison
from benchmarks.reports.colours import COLOURS, OTHER_COLOUR
from benchmarks.reports.variants import draw_variants
from scratch.files import replacing

AXES = ("batch", "width", "depth")
AXIS_LABELS = ("batch: samples in a step", "width: units of each layer", "depth: hidden layers")
PLAIN_NUMBERS = FuncFormatter(lambda value, _: f"{value:,g}")
PICTURES = ("epoch.png", "variants.png", "scaling.png", "grid.png", "products.png")
Points = list[dict[str, Any]]
Curves = dict[str, list[float]]  # seconds of each peer


def draw(folder: Path, results: Results) -> list[Path]:
    """Draw the pictures for which there are measurements, and return their files."""
    machine, raw = f"{results.environment['cpu']}, {results.environment['cores']} cores", results.raw
    figures = (
        draw_epoch(raw.get("epoch", {}), machine),
        draw_variants(raw.get("variants", {}), machine),
        draw_scaling(raw.get("grid", []), raw.get("threads", {}), machine),
        draw_grid(raw.get("grid", []), machine, COMPARISONS[0], 32),
        draw_grid(raw.get("grid", []), machine, COMPARISONS[1], 4),
    )
    drawn = {folder / name: figure for name, figure in zip(PICTURES, figures, strict=True) if figure is not None}
    for file, figure in drawn.items():
        with replacing(file) as part:
            figure.savefig(part, dpi=130)
    return list(drawn)


def draw_epoch(times: Times, machine: str) -> Figure | None:
    """Draw bars: the median epoch of every peer with its quartiles, and the ratio to scratch as in the table."""
    if not times:
        return None
    kinds = sorted(times, key=lambda kind: np.median(times[kind]))
    low, middle, high = np.array([np.percentile(times[kind], [25, 50, 75]) for kind in kinds]).T
    figure = Figure(figsize=(8, 0.42 * len(kinds) + 1.5), layout="constrained")
    axes = figure.subplots()
    axes.barh(
        [PEERS[kind].title for kind in kinds],
        middle,
        color=[COLOURS.get(kind, OTHER_COLOUR) for kind in kinds],
        xerr=[middle - low, high - middle],
        error_kw={"lw": 1},
    )
    for y, kind in enumerate(kinds):
        is_compared = SCRATCH in times and kind != SCRATCH
        ratio = f"   {format_number(paired_ratio(times[kind], times[SCRATCH]).value)} ×" if is_compared else ""
        axes.text(high[y], y, f" {format_quantity(middle[y], 's')}{ratio}", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.25 * high.max()), xlabel="seconds: median and quartiles of the rounds")
    title = f"An epoch of the article's network, batch 100; ×: median of the ratios to {PEERS[SCRATCH].title}"
    figure.suptitle(f"{title}\n{machine}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_scaling(points: Points, threads: dict[int, Times], machine: str) -> Figure | None:
    """Draw curves: a training step over batch size, width and depth, and an epoch over the number of threads."""
    panels = [(*curves_through_middle(points, i), _title(i), AXIS_LABELS[i], "a training step") for i in range(3)]
    counts = {int(count): times for count, times in threads.items() if times}
    kinds = [kind for kind in COLOURS if counts and all(kind in times for times in counts.values())]
    epochs = {kind: [float(np.median(times[kind])) for times in counts.values()] for kind in kinds}
    panels.append((list(counts) if kinds else [], epochs, "threads (the article's network)", "threads", "an epoch"))
    panels = [panel for panel in panels if len(panel[0]) > 1]  # a curve needs two points
    if not panels:
        return None
    rows, columns = (len(panels) + 1) // 2, min(len(panels), 2)
    figure = Figure(figsize=(4.5 * columns, 3 * rows + 0.8), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (x, curves, title, label, what) in zip(grid, panels, strict=False):
        _draw_curves(axes, x, curves)
        axes.set_title(title, fontsize=10)
        axes.set(xlabel=label, ylabel=f"time of {what} in ms")
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    lines = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    figure.legend(handles=list(lines.values()), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.suptitle(f"Scaling, medians: {machine}", fontsize=10)
    return figure


def _title(axis: int) -> str:
    others = ", ".join(f"{AXES[j]} {MIDDLE[j]}" for j in range(3) if j != axis)
    return f"{AXES[axis]} ({others}, dense input)"


def curves_through_middle(points: Points, axis: int) -> tuple[list[int], Curves]:
    """Select the points that differ from ``MIDDLE`` along one axis only.

    Args:
        points: the measurements of the grid.
        axis: 0 for batch size, 1 for width, 2 for depth.

    Returns:
        The values along the axis, and the median seconds of a training step for each peer.
    """
    line = [p for p in points if all(p[AXES[j]] == MIDDLE[j] for j in range(3) if j != axis)]
    line.sort(key=lambda p: p[AXES[axis]])
    kinds = [kind for kind in COLOURS if line and all(kind in p["seconds"] for p in line)]
    x = [p[AXES[axis]] for p in line] if kinds else []
    return x, {kind: [float(np.median(p["seconds"][kind])) / p["steps"] for p in line] for kind in kinds}


def _draw_curves(axes: Axes, x: list[int], curves: Curves) -> None:
    for kind, seconds in curves.items():
        axes.plot(x, np.array(seconds) * 1e3, "o-", color=COLOURS[kind], label=PEERS[kind].title, ms=4)
    if max(x) > 8:
        axes.set_xscale("log", base=2)
    axes.set_xticks(x, [f"{n:,}" for n in x])
    axes.xaxis.set_minor_locator(NullLocator())
    values = [value for seconds in curves.values() for value in seconds]
    if max(values) < 4 * min(values):  # a logarithmic axis would exaggerate small differences
        axes.set_ylim(bottom=0)
    else:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1,) if high > 200 * low else (1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(PLAIN_NUMBERS)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def draw_grid(points: Points, machine: str, comparison: Comparison, factor: float) -> Figure | None:
    """Draw a map for each depth: the ratio of a peer to scratch over batch size and width.

    Args:
        points: the measurements of the grid.
        machine: for the title.
        comparison: which ratio.
        factor: colours distinguish ratios from 1/factor to factor.
    """
    points = [point for point in points if comparison.key in point]
    depths = sorted({point["depth"] for point in points if point["width"] != MIDDLE[1]})
    if not depths:
        return None
    batch_sizes, widths = (sorted({point[key] for point in points}) for key in ("batch", "width"))
    figure = Figure(figsize=(1.6 + 3.2 * len(depths), 3.8), layout="constrained")
    for axes, depth in zip(np.atleast_1d(figure.subplots(1, len(depths), sharey=True)), depths, strict=True):
        ratios = np.full((len(batch_sizes), len(widths)), np.nan)
        for point in points:
            if point["depth"] == depth:
                ratios[batch_sizes.index(point["batch"]), widths.index(point["width"])] = point[comparison.key]
        _draw_map(axes, ratios, factor)
        axes.set_xticks(range(len(widths)), widths)
        axes.set_yticks(range(len(batch_sizes)), batch_sizes)
        axes.set_title(f"depth {depth}", fontsize=10)
        axes.set_xlabel("width")
    figure.axes[0].set_ylabel("batch")
    bar = figure.colorbar(figure.axes[-1].images[0], ax=figure.axes, pad=0.01)
    ends = {factor: f"{factor:g}", factor**0.5: f"{factor**0.5:.2g}"}
    ticks = {1 / value: f"1/{text}" for value, text in ends.items()} | {1: "1"} | ends
    bar.set_ticks(list(ticks), labels=list(ticks.values()))
    bar.minorticks_off()
    shown = sum(point["depth"] in depths for point in points)
    sides = f"{PEERS[comparison.peer].title} ÷ {PEERS[comparison.scratch].title}"
    title = f"Training on dense random input: {sides}, {shown} of {len(points)} networks"
    figure.suptitle(f"{title}\n{machine}", fontsize=10)
    return figure


def _draw_map(axes: Axes, ratios: NDArray[np.float64], factor: float) -> None:
    """Draw ratios (rows, columns) as a map of colours with numbers."""
    axes.imshow(ratios, cmap="RdBu", norm=LogNorm(1 / factor, factor), aspect="auto", origin="lower")
    for (i, j), ratio in np.ndenumerate(ratios):
        if np.isfinite(ratio):
            text = f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}"
            colour = "white" if max(ratio, 1 / ratio) > factor**0.6 else "black"  # on a dark field
            axes.text(j, i, text, ha="center", va="center", fontsize=9, color=colour)

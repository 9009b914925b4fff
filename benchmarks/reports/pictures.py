"""The pictures of ``python -m benchmarks``: bars for the epoch, curves for scaling, a map of the grid."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.measurement.questions import MIDDLE, RIVAL
from benchmarks.peers.base import OURS, PEERS
from benchmarks.reports.text import Results, digits, quantity

# Paul Tol's bright scheme; grey for what is neither ours nor Keras.
KERAS, OTHER = "#ee6677", "#bbbbbb"
COLOURS = {OURS: "#4477aa", "numpy": "#66ccee", RIVAL: KERAS, "in-place": "#ccbb44", "products": "#228833"}
COLOURS |= {"keras-jax": KERAS, "keras-torch": KERAS}
AXES = ("batch", "width", "depth")
MEANING = ("batch: samples in a step", "width: units of each layer", "depth: hidden layers")
PLAIN = FuncFormatter(lambda value, _: f"{value:,g}")
Points = list[dict[str, Any]]
Times = dict[str, list[float]]


def draw(folder: Path, results: Results) -> list[Path]:
    """Draw what there are measurements for, and return the files."""
    machine, raw = f"{results.environment['cpu']}, {results.environment['cores']} cores", results.raw
    figures = {
        "epoch.png": epoch(raw.get("epoch", {}), machine),
        "scaling.png": scaling(raw.get("grid", []), raw.get("threads", {}), machine),
        "grid.png": grid(raw.get("grid", []), machine),
    }
    drawn = {folder / name: figure for name, figure in figures.items() if figure is not None}
    for file, figure in drawn.items():
        figure.savefig(file, dpi=130)
    return list(drawn)


def epoch(times: Times, machine: str) -> Figure | None:
    """Bars: median seconds of an epoch, fastest on top, with the quarter and three-quarter points."""
    if not times:
        return None
    names = sorted(times, key=lambda kind: np.median(times[kind]))
    low, middle, high = np.array([np.percentile(times[kind], [25, 50, 75]) for kind in names]).T
    figure = Figure(figsize=(8, 0.42 * len(names) + 1.5), layout="constrained")
    axes = figure.subplots()
    axes.barh(
        [PEERS[kind].title for kind in names],
        middle,
        color=[COLOURS.get(kind, OTHER) for kind in names],
        xerr=[middle - low, high - middle],
        error_kw={"lw": 1},
    )
    for y, kind in enumerate(names):
        compared = f"   {digits(middle[y] / np.median(times[OURS]))} ×" if OURS in times and kind != OURS else ""
        axes.text(high[y], y, f" {quantity(middle[y], 's')}{compared}", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.25 * high.max()), xlabel="seconds (median of the rounds; lines: their middle half)")
    heading = f"An epoch of the article's network, batch 100 (× {PEERS[OURS].title})\n{machine}"
    axes.set_title(heading, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def scaling(points: Points, threads: dict[int, Times], machine: str) -> Figure | None:
    """Curves: a step against batch, width and depth, through the middle of the grid, and an epoch against threads."""
    slices = [curves_through_the_middle(points, axis) for axis in range(3)]
    counts = {n: times for n, times in threads.items() if times}
    epochs = {kind: [np.median(times[kind]) for times in counts.values()] for kind in next(iter(counts.values()), {})}
    panels = [(*slices[i], _title(i), MEANING[i], "step") for i in range(3)]
    panels.append(([int(n) for n in counts], epochs, "threads (the article's network)", "threads", "epoch"))
    panels = [panel for panel in panels if len(panel[0]) > 1]  # one point is no curve
    if not panels:
        return None
    rows = (len(panels) + 1) // 2
    figure = Figure(figsize=(4.5 * min(len(panels), 2), 3 * rows + 0.8), layout="constrained")
    places = figure.subplots(rows, min(len(panels), 2), squeeze=False).flat
    for axes, (x, curves, title, label, what) in zip(places, panels, strict=False):
        _curves(axes, x, curves)
        axes.set_title(title, fontsize=10)
        axes.set(xlabel=label, ylabel=f"time of {'a training step' if what == 'step' else 'an epoch'} in ms")
    lines = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    figure.legend(handles=list(lines.values()), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.suptitle(f"Scaling, medians: {machine}", fontsize=10)
    return figure


def _title(axis: int) -> str:
    others = ", ".join(f"{AXES[j]} {MIDDLE[j]}" for j in range(3) if j != axis)
    return f"{AXES[axis]} ({others}, dense input)"


def curves_through_the_middle(points: Points, axis: int) -> tuple[list[int], Times]:
    """The points that differ from the middle in that one place, and median seconds of a step for each peer."""
    line = [p for p in points if all(p[AXES[j]] == MIDDLE[j] for j in range(3) if j != axis)]
    line.sort(key=lambda p: p[AXES[axis]])
    kinds = [kind for kind in COLOURS if line and all(kind in p["seconds"] for p in line)]
    x = [p[AXES[axis]] for p in line] if kinds else []
    return x, {kind: [float(np.median(p["seconds"][kind])) / p["steps"] for p in line] for kind in kinds}


def _curves(axes: Axes, x: list[int], curves: Times) -> None:
    for kind, seconds in curves.items():
        axes.plot(x, np.array(seconds) * 1e3, "o-", color=COLOURS[kind], label=PEERS[kind].title, ms=4)
    if max(x) > 8:
        axes.set_xscale("log", base=2)
    axes.set_xticks(x, [f"{n:,}" for n in x])
    axes.xaxis.set_minor_locator(NullLocator())
    every = [value for seconds in curves.values() for value in seconds]
    if max(every) < 4 * min(every):  # near each other: a zero says more than a logarithm
        axes.set_ylim(bottom=0)
    else:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1,) if high > 200 * low else (1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(PLAIN)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def grid(points: Points, machine: str) -> Figure | None:
    """A map for each depth: how many times longer Keras takes."""
    points = [point for point in points if "ratio" in point]
    depths = sorted({point["depth"] for point in points if point["width"] != MIDDLE[1]})
    if not depths:
        return None
    batches, widths = (sorted({point[key] for point in points}) for key in ("batch", "width"))
    figure = Figure(figsize=(1.6 + 3.2 * len(depths), 3.6), layout="constrained")
    for axes, depth in zip(np.atleast_1d(figure.subplots(1, len(depths), sharey=True)), depths, strict=True):
        values = np.full((len(batches), len(widths)), np.nan)
        for point in points:
            if point["depth"] == depth:
                values[batches.index(point["batch"]), widths.index(point["width"])] = point["ratio"]
        image = axes.imshow(values, cmap="RdBu", norm=LogNorm(1 / 32, 32), aspect="auto", origin="lower")
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                text = f"{value:.2g}" if value < 10 else f"{value:.0f}"
                axes.text(j, i, text, ha="center", va="center", fontsize=9, color="white" if value > 12 else "black")
        axes.set_xticks(range(len(widths)), widths)
        axes.set_yticks(range(len(batches)), batches)
        axes.set_title(f"depth {depth}", fontsize=10)
        axes.set_xlabel("width")
    figure.axes[0].set_ylabel("batch")
    bar = figure.colorbar(image, ax=figure.axes, pad=0.01)
    bar.set_ticks([1 / 16, 1 / 4, 1, 4, 16], labels=["1/16", "1/4", "1", "4", "16"])
    bar.minorticks_off()
    figure.suptitle(f"Training on dense random input, seconds of Keras on TensorFlow ÷ ours: {machine}", fontsize=10)
    return figure

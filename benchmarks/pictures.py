"""The pictures of ``python -m benchmarks``: bars for the epoch, curves for scaling, a map of the grid."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from benchmarks.peers import OURS, PEERS
from benchmarks.questions import MIDDLE, RIVAL
from benchmarks.report import Results, digits, quantity

# Paul Tol's bright scheme; grey for what is neither ours nor Keras.
COLOURS = {OURS: "#4477aa", "numpy": "#66ccee", RIVAL: "#ee6677", "in-place": "#ccbb44", "products": "#228833"}
OTHER = "#bbbbbb"
Points = list[dict[str, Any]]


def draw(folder: Path, results: Results) -> list[Path]:
    """Draw what there are measurements for, and return the files."""
    machine = f"{results.environment['cpu']}, {results.environment['cores']} cores"
    raw, files = results.raw, []
    jobs = {
        "epoch.png": lambda: epoch(raw["epoch"], machine) if raw.get("epoch") else None,
        "scaling.png": lambda: scaling(raw.get("grid", []), raw.get("threads", {}), machine),
        "grid.png": lambda: grid(raw.get("grid", []), machine),
    }
    for name, job in jobs.items():
        figure = job()
        if figure is not None:
            figure.savefig(folder / name, dpi=130)
            files.append(folder / name)
    return files


def epoch(times: dict[str, list[float]], machine: str) -> Figure:
    """Bars: median seconds of an epoch, fastest on top, with the quarter and three-quarter points."""
    names = sorted(times, key=lambda kind: np.median(times[kind]))
    quartiles = np.array([np.percentile(times[kind], [25, 50, 75]) for kind in names])
    middle = quartiles[:, 1]
    figure = Figure(figsize=(8, 0.42 * len(names) + 1.4), layout="constrained")
    axes = figure.subplots()
    colours = ["#aa3377" if kind == "products" else COLOURS.get(kind, OTHER) for kind in names]
    colours = [
        COLOURS[RIVAL] if kind.startswith("keras") else colour for kind, colour in zip(names, colours, strict=True)
    ]
    error = np.abs(quartiles[:, [0, 2]] - middle[:, None]).T
    axes.barh([PEERS[kind].title for kind in names], middle, color=colours, xerr=error, error_kw={"lw": 1})
    for y, kind in enumerate(names):
        compared = f"  {digits(middle[y] / np.median(times[OURS]))} ×" if OURS in times and kind != OURS else ""
        axes.text(quartiles[y, 2], y, f" {quantity(middle[y], 's')}{compared}", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set(
        xlim=(0, 1.25 * quartiles[:, 2].max()), xlabel="seconds an epoch (median; lines: middle half of the rounds)"
    )
    axes.set_title(f"An epoch of the article's network, batch 100\n{machine}", fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def scaling(points: Points, threads: dict[int, dict[str, list[float]]], machine: str) -> Figure | None:
    """Curves: a step against batch, width and depth, through the middle of the grid, and an epoch against threads."""
    if not points and not threads:
        return None
    figure = Figure(figsize=(9, 6.6), layout="constrained")
    panels = figure.subplots(2, 2)
    for i, (name, axes) in enumerate(zip(("batch", "width", "depth"), panels.flat, strict=False)):
        others = [
            f"{key} {value}"
            for j, (key, value) in enumerate(zip(("batch", "width", "depth"), MIDDLE, strict=True))
            if j != i
        ]
        _curves(axes, *_slice(points, i), "time of a training step")
        axes.set_title(f"{name} ({', '.join(others)}, dense input)", fontsize=10)
        axes.set_xlabel(f"{name}: {('samples in a step', 'units of each layer', 'hidden layers')[i]}")
    curves = {kind: [np.median(times[kind]) for times in threads.values()] for kind in next(iter(threads.values()), {})}
    _curves(panels[1, 1], [int(n) for n in threads], curves, "time of an epoch")
    panels[1, 1].set_title("threads (the article's network)", fontsize=10)
    panels[1, 1].set_xlabel("threads")
    figure.suptitle(f"Scaling: {machine}", fontsize=10)
    return figure


def _slice(points: Points, axis: int) -> tuple[list[int], dict[str, list[float]]]:
    """The points that differ from the middle in that one place, and seconds of a step for each peer."""
    keys = ("batch", "width", "depth")
    line = [p for p in points if all(p[keys[j]] == MIDDLE[j] for j in range(3) if j != axis)]
    line.sort(key=lambda p: p[keys[axis]])
    kinds = [kind for kind in COLOURS if line and all(kind in p["seconds"] for p in line)]
    return [p[keys[axis]] for p in line], {k: [np.median(p["seconds"][k]) / p["steps"] for p in line] for k in kinds}


def _curves(axes: Axes, x: list[int], curves: dict[str, list[float]], label: str) -> None:
    for kind, seconds in curves.items():
        axes.plot(x, np.array(seconds) * 1e3, "o-", color=COLOURS[kind], label=PEERS[kind].title, ms=4)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(x, [f"{n:,}" for n in x])
    axes.minorticks_off()
    axes.set_ylabel(f"{label} in ms")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        axes.legend(fontsize=8, frameon=False)


def grid(points: Points, machine: str) -> Figure | None:
    """A map for each depth: how many times longer Keras takes."""
    points = [point for point in points if "ratio" in point]
    if not points:
        return None
    batches, widths = (sorted({point[key] for point in points}) for key in ("batch", "width"))
    depths = sorted({point["depth"] for point in points if point["width"] != MIDDLE[1]})
    figure = Figure(figsize=(1.2 + 3.4 * len(depths), 3.6), layout="constrained")
    norm = LogNorm(0.25, 64)
    for axes, depth in zip(np.atleast_1d(figure.subplots(1, len(depths), sharey=True)), depths, strict=True):
        values = np.full((len(batches), len(widths)), np.nan)
        for point in points:
            if point["depth"] == depth:
                values[batches.index(point["batch"]), widths.index(point["width"])] = point["ratio"]
        image = axes.imshow(values, cmap="RdYlBu", norm=norm, aspect="auto", origin="lower")
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                axes.text(j, i, digits(value) if value < 10 else f"{value:.0f}", ha="center", va="center", fontsize=9)
        axes.set_xticks(range(len(widths)), widths)
        axes.set_yticks(range(len(batches)), batches)
        axes.set_title(f"depth {depth}", fontsize=10)
        axes.set_xlabel("width")
    figure.axes[0].set_ylabel("batch")
    figure.colorbar(image, ax=figure.axes, label="Keras ÷ ours")
    figure.suptitle(f"A step on dense random input, Keras on TensorFlow ÷ scratch: {machine}", fontsize=10)
    return figure

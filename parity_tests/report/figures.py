"""The report's pictures, drawn with Matplotlib: SVG whose text and axes have the colour of the page's text."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from parity_tests.checks.full_runs import History
from parity_tests.comparison import Comparison

OURS, THEIRS, BOUND = "#4477aa", "#ee6677", "#888888"  # Paul Tol's bright scheme: distinct to the colour-blind
NUMBA = "#ccbb44"
INK = "#010203"  # replaced by the colour of the page's text
INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the report: text stays text, and has the colour ``INK``."""
    settings = {"svg.fonttype": "none", "font.size": 11, "axes.spines.top": False}
    with matplotlib.rc_context(settings | {"axes.spines.right": False} | dict.fromkeys(INKED, INK)):
        yield


def svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element for an HTML page: transparent, its anchors different from those of others.

    Args:
        figure: what one of the functions below returns.
        name: a text that no other figure of the page has.
    """
    out = io.StringIO()
    with style(), matplotlib.rc_context({"svg.hashsalt": name}):  # names of markers depend on it
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"| (width|height)="[\d.]+pt"', "", text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    return text.replace(INK, "currentColor")


def draw_differences(results: Mapping[str, Sequence[Comparison]]) -> Figure:
    """Draw the difference of each tensor as part of its bound, on a logarithmic axis, for each backend."""
    with style():
        names = [row.name for row in next(iter(results.values()))]
        figure = Figure(figsize=(7, 0.9 + 0.27 * len(names)), layout="constrained")
        axes: Any = figure.subplots()
        ratios = [row.ratio for rows in results.values() for row in rows if row.ratio]
        smallest = 10 ** np.floor(np.log10(min(ratios, default=1e-3))) / 2
        largest = max(2.0, *(2 * ratio for ratio in ratios if np.isfinite(ratio)), 2.0)
        for (backend, rows), color, marker in zip(results.items(), (OURS, NUMBA), "os", strict=True):
            size = 9 if marker == "o" else 4  # both are visible where they coincide
            parts = [min(max(row.ratio, smallest), largest) for row in rows]
            axes.plot(parts, range(len(rows)), marker, color=color, label=backend, markersize=size, markeredgecolor=INK)
        axes.axvline(1, color=BOUND, linewidth=2, label="bound")
        axes.set(xscale="log", xlim=(smallest / 1.5, largest), xlabel="difference as part of its bound")
        axes.xaxis.set_major_formatter(lambda part, _: f"{100 * part:g} %")
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.grid(axis="y", color=BOUND, alpha=0.25)
        axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
        return figure


def draw_trajectories(histories: dict[str, History]) -> Figure:
    """Draw each curve of the histories of both programs, and below it their difference."""
    ours, theirs = histories["scratch"], histories["Keras"]
    with style():
        figure = Figure(figsize=(11, 6), layout="constrained")
        grid: Any = figure.subplots(2, len(theirs), sharex=True, squeeze=False, height_ratios=[2, 1])
        for (above, below), name in zip(grid.T, theirs, strict=True):
            epochs = np.arange(1, len(theirs[name]) + 1)
            above.plot(epochs, theirs[name], color=THEIRS, linewidth=5, alpha=0.5, label="Keras")
            above.plot(epochs, ours[name], color=OURS, linewidth=1.5, label="scratch")
            above.set_title(name)
            below.axhline(0, color=BOUND)
            below.plot(epochs, np.subtract(ours[name], theirs[name]), color=OURS, marker=".")
            below.set(xlabel="epoch")
            below.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
            below.xaxis.get_major_locator().set_params(integer=True)
        grid[0, 0].legend(frameon=False)
        grid[1, 0].set_ylabel("scratch − Keras")
        return figure


def draw_accuracies(accuracies: dict[str, list[float]]) -> Figure:
    """Draw the final accuracies of both programs, one row of points each."""
    with style():
        figure = Figure(figsize=(11, 2.5), layout="constrained")
        axes: Any = figure.subplots()
        for row, values in enumerate(accuracies.values()):
            axes.plot(values, np.full(len(values), row), "os"[row], color=(OURS, THEIRS)[row], alpha=0.6)
        axes.set_yticks(range(len(accuracies)), list(accuracies))
        axes.set(xlabel="test accuracy", ylim=(-0.7, len(accuracies) - 0.3))
        return figure

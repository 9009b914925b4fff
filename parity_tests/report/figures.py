"""The report's pictures, drawn with Matplotlib."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from parity_tests.checks.full_runs import History
from parity_tests.comparison import Comparison

OURS, THEIRS, BOUND = "#4477aa", "#ee6677", "#bbbbbb"  # Paul Tol's bright scheme


def draw_differences(rows: list[Comparison]) -> Figure:
    """Draw the difference of each tensor inside its bound, on a logarithmic axis."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes: Any = figure.subplots()
    places = np.arange(len(rows))
    smallest = min((row.difference for row in rows if row.difference), default=1e-12) / 10
    axes.bar(places, [row.bound for row in rows], color=BOUND, label="bound", log=True)
    axes.bar(places, [max(row.difference, smallest) for row in rows], width=0.45, color=OURS, label="difference")
    axes.set_ylim(bottom=smallest)
    axes.set_xticks(places, [row.name for row in rows], rotation=60, ha="right")
    axes.set_ylabel("absolute, at the entry closest to its bound")
    axes.legend(frameon=False)
    return figure


def draw_trajectories(histories: dict[str, History]) -> Figure:
    """Draw each curve of the histories of both programs, and below it their difference."""
    ours, theirs = histories["scratch"], histories["Keras"]
    figure = Figure(figsize=(11, 6), layout="constrained")
    grid: Any = figure.subplots(2, len(theirs), sharex=True, height_ratios=[2, 1])
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
    figure = Figure(figsize=(11, 2.5), layout="constrained")
    axes: Any = figure.subplots()
    for row, values in enumerate(accuracies.values()):
        axes.plot(values, np.full(len(values), row), "o", color=(OURS, THEIRS)[row], alpha=0.6)
    axes.set_yticks(range(len(accuracies)), list(accuracies))
    axes.set(xlabel="test accuracy", ylim=(-0.7, len(accuracies) - 0.3))
    return figure

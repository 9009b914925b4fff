"""Random search for the learning rate and the weight decay (the book's section 6.5)."""

from typing import Any

import numpy as np
from matplotlib.figure import SubFigure

from scratch.experiments.bench import Bench, Result
from scratch.experiments.drawing import STYLES
from scratch.utils import Array

TITLE = "Hyperparameters: random search, 500 training and 500 validation digits"
HEIGHT = 5.0  # of the picture, in inches
TRIALS, EPOCHS, BEST = 40, 30, 5
LOWEST, HIGHEST = (1e-4, 1e-6), (1.0, 1.0)  # learning rate and weight decay, drawn uniformly on logarithmic scales


def run(bench: Bench) -> Result:
    """Train once for each drawn pair; the best are those with the highest validation accuracy at the end."""
    x, y, *_ = bench.digits(1000, 0)
    half = len(x) // 2  # validated with digits of the training set: the test digits must not choose
    draws = np.exp(bench.rng.uniform(np.log(LOWEST), np.log(HIGHEST), (bench.shortened(TRIALS), 2)))
    curves: list[Array] = []
    for i, (rate, decay) in enumerate(draws.tolist(), 1):
        model, optimizer = bench.network(3), bench.api.optimizers.SGD(rate, weight_decay=decay)
        options: dict[str, Any] = {"epochs": bench.shortened(EPOCHS), "validation_data": (x[half:], y[half:])}
        history = bench.fit(f"trial {i} of {len(draws)}", model, optimizer, x[:half], y[:half], **options)
        curves.append(history["val_accuracy"])
    order = np.argsort([-curve[-1] for curve in curves], kind="stable")
    header = "rank", "learning rate", "weight decay", "validation accuracy"
    rows: list[tuple[str, ...]] = [
        (str(rank), f"{draws[i, 0]:.2g}", f"{draws[i, 1]:.2g}", f"{curves[i][-1]:.3f}")
        for rank, i in enumerate(order[:BEST], 1)
    ]
    return Result(header, rows, (draws, curves, order))


def draw(figure: SubFigure, data: tuple[Array, list[Array], Array]) -> None:
    """Draw the accuracy of each trial over its learning rate and weight decay, and the curves of all trials."""
    draws, curves, order = data
    left, right = figure.subplots(1, 2)
    last = [curve[-1] for curve in curves]
    points = left.scatter(*draws.T, c=last, cmap="viridis", vmin=0, vmax=1, s=70, edgecolors="black", linewidths=0.5)
    left.set(
        xscale="log",
        yscale="log",
        xlabel="learning rate",
        ylabel="weight decay",
        title=f"trials; rings: the best {BEST}",
    )
    left.scatter(*draws[order[:BEST]].T, s=180, facecolors="none", edgecolors=STYLES[1][0], linewidths=2)
    left.grid(alpha=0.3)
    figure.colorbar(points, ax=left, label="validation accuracy at the end")
    for rank, i in reversed(list(enumerate(order, 1))):
        is_best = rank <= BEST
        colour, width = (STYLES[0][0], 2.0) if is_best else ("#bbbbbb", 1.0)
        right.plot(np.arange(1, len(curves[i]) + 1), curves[i], color=colour, linewidth=width)
    right.set(
        xlabel="epoch",
        ylabel="validation accuracy",
        ylim=(0, 1.02),
        title=f"the best {BEST} (blue) and the others (grey)" if len(order) > BEST else "all trials",
    )
    right.xaxis.get_major_locator().set_params(integer=True)
    right.grid(alpha=0.3)

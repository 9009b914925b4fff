"""Training with and without Batch Normalization, from weights of different sizes (the book's section 6.3)."""

import numpy as np
from matplotlib.figure import SubFigure

from scratch.experiments.bench import Bench, Curve, Result, constant
from scratch.experiments.drawing import draw_curves

TITLE = "Batch Normalization: 5 hidden layers, 1,000 digits, SGD"
HEIGHT = 6.0  # of the picture, in inches
STDDEVS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.001)  # of the initial weights
Data = dict[float, dict[str, Curve]]


def run(bench: Bench) -> Result:
    """Train with and without normalization for each standard deviation of the initial weights."""
    x, y, *_ = bench.digits(1000, 0)
    data: Data = {}
    rows: list[tuple[str, ...]] = []
    for stddev in STDDEVS:
        data[stddev] = {}
        for name in ("with", "without"):
            model = bench.network(5, scale=constant(stddev), normalize=name == "with")
            optimizer, epochs = bench.api.optimizers.SGD(0.01), bench.shortened(20)
            accuracy = bench.fit(f"std {stddev}, {name}", model, optimizer, x, y, epochs=epochs)["accuracy"]
            data[stddev][name] = np.arange(1, epochs + 1), accuracy
        last = [f"{accuracy[-1]:.3f}" for _, accuracy in data[stddev].values()]
        rows.append((f"{stddev:g}", *last))
    return Result(("std of the weights", "training accuracy with", "without"), rows, data)


def draw(figure: SubFigure, data: Data) -> None:
    """Draw the training accuracy over the epochs, with and without normalization, for each standard deviation."""
    grid = figure.subplots(2, len(data) // 2, sharex=True, sharey=True).ravel()
    for i, (axes, (stddev, curves)) in enumerate(zip(grid, data.items(), strict=True)):
        labels = {"xlabel": "epoch" if i >= len(grid) // 2 else "", "ylabel": "training accuracy" if i % 3 == 0 else ""}
        draw_curves(axes, curves, legend=i == 0, title=f"weights: std {stddev:g}", ylim=(0, 1.02), **labels)

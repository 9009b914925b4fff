"""Outputs of each layer, and training, from weights with three standard deviations (the book's section 6.2)."""

from typing import Any

import numpy as np
from matplotlib.figure import SubFigure

from scratch.experiments.bench import Bench, Result, constant, he, xavier
from scratch.experiments.drawing import STYLES, draw_curves
from scratch.utils import Array

TITLE = "Initial values: outputs of 5 hidden layers before training, and the training that follows"
HEIGHT = 8.0  # of the picture, in inches
SCALES = {"std 0.01": constant(0.01), "Xavier": xavier, "He": he}
LIMITS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, 1.0)}  # of a histogram; beyond counts as its end
HIDDEN, BINS, SAMPLES = 5, 25, 1000


def run(bench: Bench) -> Result:
    """Measure the outputs of each hidden layer, then train, for each activation and scale."""
    x, y, *_ = bench.digits(60_000, 0)
    data: dict[str, Any] = {}
    rows: list[tuple[str, ...]] = []
    for activation, (low, high) in LIMITS.items():
        data[activation] = {}
        for name, scale in SCALES.items():
            model = bench.network(HIDDEN, activation, scale)
            outputs = _hidden_outputs(bench, model, x[:SAMPLES])
            spreads = [f"{outputs[i].std():.4f}" for i in (0, -1)]
            # Without the exact zeros of ReLU, half of the values, beside which the others could not be seen.
            counts = [np.histogram(np.clip(out[out != 0], low, high), BINS, (low, high))[0] for out in outputs]
            optimizer = bench.api.optimizers.SGD(0.01, momentum=0.9)
            steps, loss = bench.loss_curve(f"{activation}, {name}", model, optimizer, x, y, points=30)
            data[activation][name] = counts, (steps, loss)
            rows.append((activation, name, *spreads, f"{loss[-1]:.3f}"))
    columns = "std, layer 1", f"std, layer {HIDDEN}", f"loss, step {steps[-1]}"
    return Result(("activation", "weights", *columns), rows, data)


def _hidden_outputs(bench: Bench, model: Any, x: Array) -> list[Array]:
    """Return the output (N, units) of each hidden layer."""
    ends = [i + 1 for i, layer in enumerate(model.layers) if isinstance(layer, bench.api.layers.Activation)]
    return [bench.api.Sequential(model.layers[:end]).predict(x, batch_size=SAMPLES, verbose=0) for end in ends]


def draw(figure: SubFigure, data: dict[str, Any]) -> None:
    """Draw a row for each activation: the histograms of the layers side by side, and the training losses."""
    grid = figure.subplots(len(data), len(SCALES) + 1, width_ratios=[*[1] * len(SCALES), 1.3])
    for row, (activation, found) in zip(grid, data.items(), strict=True):
        zeros = " > 0" if activation == "relu" else ""
        edges = np.linspace(*LIMITS[activation], BINS + 1)
        for axes, (name, (counts, _)) in zip(row, found.items(), strict=False):
            for layer, count in enumerate(counts, 1):  # the widest bar of a layer is 0.8 wide
                axes.barh(
                    edges[:-1],
                    0.8 * count / max(1, count.max()),
                    np.diff(edges),
                    layer - 0.4,
                    align="edge",
                    color=STYLES[0][0],
                )
            axes.set(
                title=f"{activation}{zeros}, {name}", xlabel="layer", ylabel="output", xticks=range(1, len(counts) + 1)
            )
        curves = {name: curve for name, (_, curve) in found.items()}
        draw_curves(
            row[-1], curves, title=f"{activation}, training", xlabel="step", ylabel="training loss", ylim=(0, 2.6)
        )

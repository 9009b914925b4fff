"""SGD, Momentum, AdaGrad and Adam on the same network (the book's section 6.1)."""

from typing import Any

from matplotlib.figure import SubFigure

from scratch.experiments.bench import BATCH_SIZE, POINT, Bench, Curve, Result
from scratch.experiments.drawing import draw_curves

TITLE = "Optimizers: 4 hidden layers, the book's learning rates"
HEIGHT = 5.0  # of the picture, in inches


def run(bench: Bench) -> Result:
    """Train the network once with each optimizer."""
    x, y, *test = bench.digits(60_000, 10_000)
    curves: dict[str, Curve] = {}
    rows: list[tuple[str, ...]] = []
    for name, optimizer in (
        ("SGD", bench.api.optimizers.SGD(0.01)),
        ("Momentum", bench.api.optimizers.SGD(0.01, momentum=0.9)),
        ("AdaGrad", bench.api.optimizers.Adagrad(0.01)),
        ("Adam", bench.api.optimizers.Adam(0.001)),
    ):
        model = bench.network(hidden=4)
        curves[name] = steps, loss = bench.loss_curve(name, model, optimizer, x, y)
        accuracy = model.evaluate(*test, batch_size=1000, verbose=0, return_dict=True)["accuracy"]
        early = max(0, len(loss) // 10 - 1)
        rows.append((name, f"{loss[early]:.3f}", f"{loss[-1]:.3f}", f"{accuracy:.4f}"))
    header = f"loss, step {steps[early]}", f"step {steps[-1]}", "test accuracy"
    return Result(("optimizer", *header), rows, curves)


def draw(figure: SubFigure, data: dict[str, Curve]) -> None:
    """Draw the training losses over the steps; their axis is logarithmic."""
    labels: dict[str, Any] = {
        "xlabel": f"training step ({BATCH_SIZE} digits each)",
        "ylabel": f"training loss, mean of {POINT} steps",
    }
    losses = [0.05, 0.1, 0.2, 0.5, 1, 2]
    axes = figure.subplots()
    draw_curves(axes, data, yscale="log", **labels)
    axes.set_yticks(losses, [f"{loss:g}" for loss in losses])
    axes.set_yticks([], minor=True)

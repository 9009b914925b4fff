"""Training on few digits, with weight decay and with Dropout against overfitting (the book's section 6.4)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import SubFigure

from scratch.experiments.bench import Bench, Curve, Result
from scratch.experiments.drawing import draw_curves

TITLE = "Overfitting: 6 hidden layers, 300 digits"
HEIGHT = 5.0  # of the picture, in inches
EPOCHS, EVERY = 200, 10  # accuracies are computed after every tenth epoch
REMEDIES = {"no remedy": (None, 0.0), "weight decay 0.03": (0.03, 0.0), "Dropout 0.1": (None, 0.1)}
Data = dict[str, dict[str, Curve]]


def run(bench: Bench) -> Result:
    """Train without a remedy, with SGD's weight decay, and with Dropout."""
    x, y, *test = bench.digits(300, 2000)
    data: Data = {}
    rows: list[tuple[str, ...]] = []
    for name, (decay, rate) in REMEDIES.items():
        model, optimizer = bench.network(6, dropout=rate), bench.api.optimizers.SGD(0.03, weight_decay=decay)
        accuracies: list[tuple[float, float]] = []
        measure = _measurement(model, (x, y), test, accuracies)
        callback = bench.api.callbacks.LambdaCallback(on_epoch_end=measure)
        bench.fit(name, model, optimizer, x, y, epochs=bench.shortened(EPOCHS), callbacks=[callback])
        train, validation = np.transpose(accuracies)
        epochs = EVERY * np.arange(1, len(train) + 1)
        data[name] = {"training digits": (epochs, train), "test digits": (epochs, validation)}
        numbers = train[-1], validation[-1], train[-1] - validation[-1]
        rows.append((name, *(f"{number:.3f}" for number in numbers)))
    return Result(("remedy", "training accuracy", "test accuracy", "difference"), rows, data)


def _measurement(model: Any, train: Any, test: Any, accuracies: list[tuple[float, float]]) -> Callable[..., None]:
    """Return a function for ``on_epoch_end`` that appends both accuracies, computed without dropping units."""

    def measure(epoch: int, logs: object) -> None:
        if (epoch + 1) % EVERY == 0:
            training, validation = (model.evaluate(*data, batch_size=1000, verbose=0)[1] for data in (train, test))
            accuracies.append((training, validation))

    return measure


def draw(figure: SubFigure, data: Data) -> None:
    """Draw both accuracies over the epochs for each remedy, and then the test accuracies of all, enlarged."""
    *panels, last = figure.subplots(1, len(data) + 1, width_ratios=[*[1] * len(data), 1.4])
    for i, (axes, (name, curves)) in enumerate(zip(panels, data.items(), strict=True)):
        labels: dict[str, Any] = {"xlabel": "epoch", "ylabel": "" if i else "accuracy"}
        draw_curves(axes, curves, legend=i == 0, title=name, ylim=(0, 1.02), **labels)
    tests = {name: curves["test digits"] for name, curves in data.items()}
    ends = [accuracy[-1] for _, accuracy in tests.values()]
    limits = min(max(ends) - 0.15, min(ends) - 0.03), max(ends) + 0.03
    draw_curves(last, tests, title="test digits, enlarged", xlabel="epoch", ylim=limits)

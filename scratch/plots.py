"""One figure to look at after training: how it went, what is confused with what, and what the network has learned."""

from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from scratch.callbacks import History
from scratch.utils import Array

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

MISTAKES = 12
PICTURES = 48
TRAIN, VALIDATION = "#4477aa", "#ee6677"  # distinguishable for the colour-blind (Paul Tol's bright scheme)


def plot_training(
    path: str | PathLike[str],
    history: History,
    images: Array,
    labels: Array,
    probabilities: Array,
    W: Array,
) -> None:
    """Draw a finished training into one PNG (or whatever the name of the file ends in).

    Args:
        path: the file.
        history: what ``fit`` returned.
        images: test images (N, height, width).
        labels: their classes (N,).
        probabilities: the network's outputs for them (N, C).
        W: weights of the first layer (height·width, units).
    """
    # Not pyplot: it needs a display or a global setting, and is slow to import.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 10), dpi=110, layout="constrained")
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    figure.suptitle(f"{len(history.epoch)} epochs, test accuracy {accuracy:.4f}", fontsize=16)
    parts: Any = figure.subfigures(2, 2, wspace=0.03, hspace=0.03)
    _draw_curves(parts[0, 0], history)
    _draw_confusion(parts[0, 1], labels, probabilities)
    _draw_mistakes(parts[1, 0], images, labels, probabilities)
    _draw_weights(parts[1, 1], W, images.shape[1:])
    figure.savefig(path)


def _draw_curves(figure: "SubFigure", history: History) -> None:
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        epochs = [epoch + 1 for epoch in history.epoch]
        marker = "o" if len(epochs) < 30 else None
        axes.plot(epochs, history.history[name], marker=marker, color=TRAIN, label="train")
        axes.plot(epochs, history.history[f"val_{name}"], marker=marker, color=VALIDATION, label="validation")
        axes.set(title=name, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)


def _draw_confusion(figure: "SubFigure", labels: Array, probabilities: Array) -> None:
    classes = probabilities.shape[1]
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (labels, probabilities.argmax(axis=1)), 1)
    # The diagonal outshines everything, and is not what one looks for: shade the share of each row's mistakes.
    shade = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shade, 0)
    axes = figure.subplots()
    axes.imshow(shade, cmap="Reds")
    for (row, column), count in np.ndenumerate(counts):
        dark = shade[row, column] > 0.6 * shade.max() > 0
        weight = "bold" if row == column else "normal"
        axes.text(
            column, row, count or "·", ha="center", va="center", fontsize=8, color="w" if dark else "k", weight=weight
        )
    axes.set(title="confusion matrix (mistakes shaded)", xlabel="prediction", ylabel="truth")
    axes.set_xticks(range(classes))
    axes.set_yticks(range(classes))


def _draw_mistakes(figure: "SubFigure", images: Array, labels: Array, probabilities: Array) -> None:
    predictions, certainty = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    worst = wrong[np.argsort(-certainty[wrong], kind="stable")][:MISTAKES]
    figure.suptitle("most confident mistakes" if len(worst) else "no mistakes")
    grid = figure.subplots(3, 4)
    for axes in grid.flat:
        axes.axis("off")
    for axes, i in zip(grid.flat, worst, strict=False):
        axes.imshow(images[i], cmap="gray_r")
        axes.set_title(f"says {predictions[i]} ({certainty[i]:.0%}), is {labels[i]}", fontsize=9)


def _draw_weights(figure: "SubFigure", W: Array, shape: tuple[int, ...]) -> None:
    # The units with the largest weights have learned most; the pixels at the border have hardly learned at all.
    units = np.argsort(-np.linalg.norm(W, axis=0), kind="stable")[:PICTURES]
    figure.suptitle(f"first layer: weights of {len(units)} units (blue −, red +)")
    limit = np.abs(W[:, units]).max()
    grid = figure.subplots(6, 8)
    for axes in grid.flat:
        axes.axis("off")
    for axes, unit in zip(grid.flat, units, strict=False):
        axes.imshow(W[:, unit].reshape(shape), cmap="RdBu_r", vmin=-limit, vmax=limit)

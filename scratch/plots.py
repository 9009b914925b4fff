"""Plot a finished training: learning curves, confusion matrix, mistakes and first-layer weights in one figure."""

from os import PathLike
from typing import Any

import numpy as np

# Not pyplot, which chooses a display backend for the whole process and takes longer to import.
from matplotlib.figure import Figure, SubFigure

from scratch.callbacks import History
from scratch.files import replacing
from scratch.utils import Array

MAX_MISTAKES = 12
MAX_UNITS = 48
TRAIN, VALIDATION = "#4477aa", "#ee6677"  # Paul Tol's bright scheme, distinguishable for the colour-blind


def plot_training(
    path: str | PathLike[str],
    history: History,
    images: Array,
    labels: Array,
    probabilities: Array,
    W: Array,
) -> None:
    """Draw one figure about a finished training into a file.

    Args:
        path: the file; its extension chooses the format, such as ``.png``.
        history: what ``fit`` returned, with validation values.
        images: test images (N, height, width).
        labels: their classes (N,).
        probabilities: the network's outputs for them (N, C).
        W: weights of the first layer (height·width, units).

    Raises:
        FileError: if the file cannot be written; an existing file is kept.
    """
    figure = Figure(figsize=(14, 10), dpi=110, layout="constrained")
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    epochs = len(history.epoch)
    figure.suptitle(f"{epochs} epoch{'' if epochs == 1 else 's'}, test accuracy {accuracy:.4f}", fontsize=16)
    parts: Any = figure.subfigures(2, 2, wspace=0.03, hspace=0.03)
    _draw_curves(parts[0, 0], history)
    _draw_confusion(parts[0, 1], labels, probabilities)
    _draw_mistakes(parts[1, 0], images, labels, probabilities)
    _draw_weights(parts[1, 1], W, images.shape[1:])
    with replacing(path) as part:
        figure.savefig(part)


def _draw_curves(figure: SubFigure, history: History) -> None:
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        epochs = [epoch + 1 for epoch in history.epoch]
        marker = "o" if len(epochs) < 30 else None
        axes.plot(epochs, history.history[name], marker=marker, color=TRAIN, label="train")
        axes.plot(epochs, history.history[f"val_{name}"], marker=marker, color=VALIDATION, label="validation")
        axes.set(title=name, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)


def _draw_confusion(figure: SubFigure, labels: Array, probabilities: Array) -> None:
    classes = probabilities.shape[1]
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (labels, probabilities.argmax(axis=1)), 1)
    # Shade each row's mistakes only: the counts on the diagonal are so large that all others would look white.
    shade = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shade, 0)
    axes = figure.subplots()
    axes.imshow(shade, cmap="Reds")
    for (row, column), count in np.ndenumerate(counts):
        is_dark = shade[row, column] > 0.6 * shade.max() > 0
        weight = "bold" if row == column else "normal"
        style: dict[str, Any] = {"fontsize": 8, "color": "w" if is_dark else "k", "weight": weight}
        axes.text(column, row, count or "·", ha="center", va="center", **style)
    axes.set(title="confusion matrix (mistakes shaded)", xlabel="prediction", ylabel="label")
    axes.set_xticks(range(classes))
    axes.set_yticks(range(classes))


def _draw_mistakes(figure: SubFigure, images: Array, labels: Array, probabilities: Array) -> None:
    predictions, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MAX_MISTAKES]
    figure.suptitle("most confident mistakes" if len(worst) else "no mistakes")
    grid = figure.subplots(3, 4)
    for axes in grid.flat:
        axes.axis("off")
    for axes, i in zip(grid.flat, worst, strict=False):
        axes.imshow(images[i], cmap="gray_r")
        axes.set_title(f"predicted {predictions[i]} ({confidence[i]:.0%}), is {labels[i]}", fontsize=9)


def _draw_weights(figure: SubFigure, W: Array, shape: tuple[int, ...]) -> None:
    # The units with the largest weights have changed most during training.
    units = np.argsort(-np.linalg.norm(W, axis=0), kind="stable")[:MAX_UNITS]
    figure.suptitle(f"first layer: weights of {len(units)} units (blue −, red +)")
    limit = np.abs(W[:, units]).max()
    grid = figure.subplots(6, 8)
    for axes in grid.flat:
        axes.axis("off")
    for axes, unit in zip(grid.flat, units, strict=False):
        axes.imshow(W[:, unit].reshape(shape), cmap="RdBu_r", vmin=-limit, vmax=limit)

"""``plot_model``: the layers of a model as a picture, as ``keras.utils.plot_model`` draws them."""

import os
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

from scratch.checks import check_integer, check_name
from scratch.dropped_names import refuse_unknown_arguments
from scratch.files import write_bytes

FORMATS = (".png", ".svg")


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    *,
    dpi: int = 200,
    show_layer_activations: bool = False,
    **unknown: object,
) -> Path:
    """Draw the layers of a model, from input to output, with graphviz's ``dot`` if it is installed, else Matplotlib.

    Args:
        model: a ``Sequential``.
        to_file: the file; ends in ``.png`` or ``.svg``.
        show_shapes: whether to add the shape of each layer's output; the model must be built.
        show_dtype: must be False.
        show_layer_names: whether to add the name of each layer.
        rankdir: ``'TB'`` from top to bottom, ``'LR'`` from left to right (by ``dot`` only).
        dpi: pixels per inch of a PNG.
        show_layer_activations: whether to add the activation functions.
        **unknown: Keras's further arguments, with its defaults.

    Returns:
        The path of the file.

    Raises:
        TypeError: if there is another argument.
        ValueError: if an argument is wrong, or shapes are wanted of a model that is not built.
        FileError: (a ``ValueError``) if the file cannot be written; an existing file is kept.
    """
    refuse_unknown_arguments("plot_model", {"show_dtype": show_dtype, **unknown}, "plot_model")
    path = Path(to_file)
    suffix = check_name("ending of to_file", path.suffix.lower(), FORMATS)
    check_name("rankdir", rankdir, ("TB", "LR"))
    dpi = check_integer("dpi", dpi)
    if show_shapes:
        model.check_built()
    if not model.layers:
        raise ValueError(f"plot_model needs a model with layers; {model.name!r} has none: add one.")
    rows = [_text(layer, show_layer_names, show_layer_activations, show_shapes) for layer in model.layers]
    if show_shapes:
        rows.insert(0, f"Input\nShape: {model.input_shape}")
    program = shutil.which("dot")
    write_bytes(
        path, _with_dot(program, rows, suffix, rankdir, dpi) if program else _with_matplotlib(rows, suffix, dpi)
    )
    return path


def _text(layer: Any, name: bool, activation: bool, shape: bool) -> str:
    lines = [f"{layer.name} ({type(layer).__name__})" if name else type(layer).__name__]
    if activation and getattr(layer, "activation", "linear") != "linear":
        lines.append(f"Activation: {layer.activation}")
    if shape:
        lines.append(f"Output shape: {(None, *layer.compute_output_shape(layer.input_shape)[1:])}")
    return "\n".join(lines)


def _with_dot(program: str, rows: list[str], suffix: str, rankdir: str, dpi: int) -> bytes:
    """Return the picture that graphviz draws of a chain of boxes."""
    labels = [row.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for row in rows]
    nodes = "".join(f'n{i} [label="{label}"];\n' for i, label in enumerate(labels))
    chain = " -> ".join(f"n{i}" for i in range(len(rows)))
    source = f"digraph {{ rankdir={rankdir}; dpi={dpi}; node [shape=box fontname=Helvetica];\n{nodes}{chain};\n}}"
    command = [program, f"-T{suffix[1:]}"]
    return subprocess.run(command, input=source.encode(), capture_output=True, check=True, timeout=60).stdout


def _with_matplotlib(rows: list[str], suffix: str, dpi: int) -> bytes:
    """Return a picture of a chain of boxes, from top to bottom."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, len(rows)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 1), ylim=(-len(rows) + 0.5, 0.5))
    axes.axis("off")
    for i, row in enumerate(rows):
        axes.text(0.5, -i, row, ha="center", va="center", bbox={"boxstyle": "square,pad=0.4", "facecolor": "white"})
        if i:
            axes.annotate("", (0.5, 0.28 - i), (0.5, 0.72 - i), arrowprops={"arrowstyle": "->"})
    content = BytesIO()
    figure.savefig(content, format=suffix[1:], dpi=dpi)
    return content.getvalue()

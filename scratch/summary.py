"""The table that ``model.summary()`` prints: character for character Keras's (``summary_utils.py``)."""

import shutil
from collections.abc import Callable
from typing import Any

from scratch.checks import check_integer
from scratch.layers import ELU, Activation, Dropout, Layer, LeakyReLU, Reshape
from scratch.network import Network
from scratch.utils import Array, Shape

COLUMN_ENDS = (0.45, 0.80, 1.0)  # as fractions of the width
BUILT_AT_ONCE = (Activation, Dropout, ELU, LeakyReLU, Reshape)  # what Keras never reports as unbuilt
MIN_WIDTH, MAX_WIDTH = 20, 88


def print_summary(
    model: Network, line_length: int | None = None, print_fn: Callable[[str], object] | None = None
) -> None:
    """Print a model's layers and parameter counts; see ``Sequential.summary``."""
    # A lazy import: rich takes longer to import than NumPy, and training does not need it.
    from rich.console import Console
    from rich.markup import escape

    table = _table(model, line_length)
    console = Console(highlight=False)
    if print_fn:
        console = Console(highlight=False, force_terminal=False, color_system=None)
        console.begin_capture()
    console.width = max(console.width, MIN_WIDTH)  # a terminal that is narrower wraps the lines
    console.print(f'[bold]Model: "{escape(model.name)}"[/]')
    console.print(table)
    trained, weights = model.trainable_weights, model.weights
    counted = {id(W) for W in trained}
    state = model.optimizer.variables if model.optimizer and model.optimizer.iterations else []
    console.print(_total("Total", weights + state))
    console.print(_total("Trainable", trained))
    console.print(_total("Non-trainable", [W for W in weights if id(W) not in counted]))
    if state:
        console.print(_total("Optimizer", state))
    if print_fn:
        print_fn(console.end_capture())


def _table(model: Network, line_length: int | None) -> Any:
    from rich.markup import escape
    from rich.table import Column, Table

    width = max(MIN_WIDTH, min(MAX_WIDTH, shutil.get_terminal_size().columns - 4))
    if line_length is not None:
        width = check_integer("line_length", line_length)
    ends = [int(share * width) for share in COLUMN_ENDS]
    widths = [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    if min(widths) < 4:
        raise ValueError(f"line_length must leave 4 characters for each of three columns; got {width}.")
    table = Table(
        Column("Layer (type)", width=widths[0]),
        Column("Output Shape", width=widths[1]),
        Column("Param #", width=widths[2], justify="right"),
        width=width,
        show_lines=True,
    )
    for layer in model.layers:
        kind = type(layer).__name__
        table.add_row(f"{escape(layer.name)} ([color(33)]{kind}[/])", _shape(layer), _params(layer))
    return table


def _shape(layer: Layer) -> str:
    if layer.input_shape is None:
        return "?"
    shape: Shape = layer.compute_output_shape(layer.input_shape)
    return f"({', '.join(f'[color({45 if n is None else 34})]{n}[/]' for n in shape)})"


def _params(layer: Layer) -> str:
    if not (layer.built or isinstance(layer, BUILT_AT_ONCE)):
        return "[color(34)]0[/] (unbuilt)"
    return f"[color(34)]{sum(W.size for W in layer.weights):,}[/]"


def _total(kind: str, arrays: list[Array]) -> str:
    count = sum(array.size for array in arrays)
    return f"[bold] {kind} params: [/][color(34)]{count:,}[/] ({_memory(sum(array.nbytes for array in arrays))})"


def _memory(size: float) -> str:
    units = ("B", "KB", "MB", "GB", "TB", "PB")
    for unit in units[:-1]:
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} {units[-1]}"

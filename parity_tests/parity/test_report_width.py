"""The tables of the report in terminals of any width: no word is broken."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import io

import pytest
from rich.console import Console

from parity_tests.report.tables import Table, print_table

TENSORS = Table(
    "Tensors",
    ["tensor", "backend", "scratch − Keras", "its bound", "margin", "Keras, RMS from float64", "scratch, RMS", "ratio"],
    [["activation_2/out", "numpy", "3.3e-07", "6.5e-05", "1,203 ×", "3.4e-08", "4.6e-08", "0.73"]],
)
CHECKS = Table(
    "Checks",
    ["check", "backend", "code", "comparisons", "difference", "its bound", "margin", ""],
    [
        ["saturated softmax", "numpy", "layer by layer", "10,000", "0.00045", "0.00079", "exceeded", "differs"],
        ["to_categorical", "shared", "shared code", "10", "0.0016", "0.0092", "4.3 ×", "ok"],
    ],
)
METHODS = [
    f"{backend}: {methods}"
    for backend in ("numpy", "numba")
    for methods in ("central differences ↔ backward", "backward ↔ Keras's automatic differentiation, float64")
]
GRADIENTS = Table("Gradients", ["gradient", *METHODS], [["dense_0/dx", "4.5e-11", "4.3e-16", "4.2e-11", "5.9e-16"]])


def printed(table: Table, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_table(console, table)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("table", [TENSORS, CHECKS, GRADIENTS], ids=lambda table: table.title)
def test_no_word_is_broken(table: Table, width: int) -> None:
    lines = printed(table, width)
    assert max(map(len, lines)) <= width
    for i, column in enumerate(zip(table.head, *table.rows, strict=True)):
        words = [
            word for line in lines for word in line.replace("┃", "│").split("│")[i + 1 : i + 2] for word in word.split()
        ]
        assert words == [word for cell in column for word in cell.split()]


def test_a_wide_terminal_has_one_line_per_row() -> None:
    assert len(printed(CHECKS, 200)) == 1 + 3 + len(CHECKS.rows) + 1

"""The tables of the report in terminals of any width: no word is broken."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import io

import pytest
from rich.console import Console

from parity_tests.report.tables import Row, Table, print_table

TENSORS = Table(
    "Tensors",
    ["tensor", "numpy", "numba", "Keras, RMS from float64", "numpy, of Keras's", "numba, of Keras's"],
    [Row(["activation_2/out", "0.47 % of 6.9e-05", "0.43 % of 6.5e-05", "3.4e-08", "100 %", "73 %"])],
)
CHECKS = Table(
    "Checks",
    ["check", "", "numpy", "numba", "code on numba", "comparisons"],
    [
        Row(["saturated softmax", "ok", "57 % of 0.00079", "0.34 % of 0.0001", "layer by layer", "10,000"]),
        Row(["to_categorical", "ok", "1.7 % of 1.7e-06", "same code", "shared code", "10"]),
        Row(["5 epochs", "ok", "1.7 % of 1.7e-06", "equal", "fused step", "10"]),
    ],
)
METHODS = [
    f"{backend}: {methods}"
    for backend in ("numpy", "numba")
    for methods in ("central differences ↔ backward", "backward ↔ Keras's automatic differentiation, float64")
]
GRADIENTS = Table(
    "Gradients", ["gradient", *METHODS], [Row(["dense_0/dx", "4.5e-11", "4.3e-16", "4.2e-11", "5.9e-16"])]
)


def printed(table: Table, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_table(console, table)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("table", [TENSORS, CHECKS, GRADIENTS], ids=lambda table: table.title)
def test_no_word_is_broken(table: Table, width: int) -> None:
    lines = printed(table, width)
    assert max(map(len, lines)) <= width
    for i, column in enumerate(zip(table.head, *(row.cells for row in table.rows), strict=True)):
        words = [
            word for line in lines for word in line.replace("┃", "│").split("│")[i + 1 : i + 2] for word in word.split()
        ]
        assert words == [word for cell in column for word in cell.split()]


def test_a_wide_terminal_has_one_line_per_row() -> None:
    assert len(printed(CHECKS, 200)) == 1 + 3 + len(CHECKS.rows) + 1


def test_numbers_are_not_broken_in_a_narrow_terminal() -> None:
    for table in (TENSORS, CHECKS):
        text = "\n".join(printed(table, 80))
        for row in table.rows:
            assert all(cell in text for cell in row.cells[1:] if "%" in cell)

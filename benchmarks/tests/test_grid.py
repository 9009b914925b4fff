"""Test the grid: the rows for the slowest network and the slowest products, and when more rounds are measured."""

from typing import Any

import pytest

from benchmarks.measurement.ratios import Times
from benchmarks.measurement.results import Results
from benchmarks.peers.registry import KERAS, PRODUCTS, SCRATCH, SCRATCH_PRODUCTS
from benchmarks.questions.grid import COMPARISONS, _add_row, _is_undecided
from benchmarks.questions.session import Session


def point(batch: int, width: int, times: Times) -> dict[str, Any]:
    """Return the measurements of a network with three layers."""
    return {"batch": batch, "width": width, "depth": 3, "steps": 2, "seconds": times}


def test_slowest_network_and_slowest_products() -> None:
    """Products of a few multiplications are left out of the row, but have a ratio for the picture."""
    points = [
        point(1, 16, {SCRATCH: [1.0], KERAS: [0.8], PRODUCTS: [1.0], SCRATCH_PRODUCTS: [5.0]}),
        point(128, 256, {SCRATCH: [1.0], KERAS: [3.0], PRODUCTS: [0.8], SCRATCH_PRODUCTS: [1.0]}),
        point(1024, 1024, {SCRATCH: [1.0], KERAS: [0.9], PRODUCTS: [0.95], SCRATCH_PRODUCTS: [1.0]}),
        point(4096, 1024, {SCRATCH: [1.0], KERAS: [2.0]}),
    ]
    session = Session(article=None, results=Results(environment={}))  # type: ignore[arg-type]
    for comparison in COMPARISONS:
        _add_row(session, points, comparison)
    network, products = session.results.rows
    assert network.ratio is not None
    assert network.ratio.value == 0.8
    assert network.note == "batch 1, width 16, depth 3; 2 of 4 networks below 1"
    assert products.ratio is not None
    assert products.ratio.value == 0.8
    assert products.note == (
        "batch 128, width 256, depth 3; 1 of 2 networks below 0.9 "
        "(those with products of 1,048,576 multiplications and more)"
    )
    assert [p.get("product_ratio") for p in points] == [0.2, 0.8, 0.95, None]
    assert session.results.remarks == ["Networks of the grid that could not be compared with bare matrix products: 1."]


def test_grid_without_keras_has_a_row_without_ratio() -> None:
    session = Session(article=None, results=Results(environment={}))  # type: ignore[arg-type]
    _add_row(session, [point(1, 16, {SCRATCH: [1.0]})], COMPARISONS[0])
    assert session.results.rows[0].ratio is None


@pytest.mark.parametrize(
    ("keras", "expected"), [([2.0, 2.0], False), ([2.0, 1.1], True), ([0.9, 0.95], True), ([0.5, 0.6], False)]
)
def test_ratios_near_the_target_need_more_rounds(keras: list[float], expected: bool) -> None:
    assert _is_undecided({SCRATCH: [1.0, 1.0], KERAS: keras}, COMPARISONS[0]) == expected
    assert not _is_undecided({SCRATCH: [1.0, 1.0]}, COMPARISONS[0])

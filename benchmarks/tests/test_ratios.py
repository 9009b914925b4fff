"""The statistics of paired rounds, the order of turns, and the table that is made of them."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks.measurement.questions import MIDDLE, Session, points
from benchmarks.measurement.ratios import Ratio, interleave, ratio
from benchmarks.reports.pictures import draw
from benchmarks.reports.text import Results, Row, cells, quantity, show

GOOD = Ratio(1.0, 0.1, 10.0, 9.5, 10.5, 5)


def test_a_ratio_is_that_of_pairs() -> None:
    """One round in which the whole machine was ten times slower changes nothing."""
    ours = np.array([1.0, 10.0, 1.0, 1.0, 1.0])
    found = ratio(5 * ours, ours)
    assert found == Ratio(theirs=5.0, ours=1.0, value=5.0, low=5.0, high=5.0, rounds=5)


def test_the_interval_covers_the_true_ratio() -> None:
    """In 200 series of 15 noisy rounds the interval misses the true ratio 10 times, give or take."""
    rng = np.random.default_rng(0)
    misses = 0
    for _ in range(200):
        found = ratio(4 * rng.lognormal(0, 0.1, 15), rng.lognormal(0, 0.1, 15))
        assert found.low <= found.value <= found.high
        misses += not found.low <= 4 <= found.high
    assert 1 <= misses <= 25


def test_the_same_rounds_give_the_same_interval() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random(9) + 1, rng.random(9) + 1
    assert ratio(a, b) == ratio(a, b)


def test_one_round_has_no_interval() -> None:
    found = ratio([2.0], [1.0])
    assert found.value == 2
    assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0, 2.0]), ([], []), ([0.0], [1.0]), ([1.0], [float("nan")])])
def test_what_is_no_pair_of_measurements_is_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="pairs of positive measurements"):
        ratio(a, b)


def test_everybody_takes_turns_and_the_first_turn_moves_on() -> None:
    order: list[str] = []
    sides = {name: lambda name=name: float(order.append(name) or len(order)) for name in "abc"}
    found = interleave(sides, 3, settle=0)
    assert "".join(order) == "abcbcacab"
    assert found == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (12.34, "s", "12.3 s"),
        (0.00123, "s", "1.23 ms"),
        (4.2e-5, "s", "42.0 µs"),
        (1.4e9, "B", "1.40 GB"),
        (98e6, "B", "98.0 MB"),
    ],
)
def test_quantities_have_three_digits(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_a_row_says_whether_it_is_reached() -> None:
    assert cells(Row("epoch", 5, GOOD)) == ["epoch", "100 ms", "1.00 s", "10.0 ×  (9.50 to 10.5)", "5 ×", "yes", ""]
    assert cells(Row("epoch", 11, GOOD))[5] == "no"
    assert cells(Row("epoch", 5, None))[3:6] == ["not measured", "5 ×", "?"]


def test_the_table_names_what_is_missed(tmp_path: Path) -> None:
    results = Results([Row("an epoch", 5, GOOD), Row("memory", 4, None), Row("a step", 11, GOOD)], environment=MACHINE)
    out = StringIO()
    show(Console(file=out, width=180), results)
    assert "Not reached or not measured: memory; a step." in out.getvalue()
    results.save(tmp_path / "results.json")
    saved = json.loads((tmp_path / "results.json").read_text())
    assert saved["rows"][0]["ratio"]["value"] == 10
    assert saved["rows"][1]["ratio"] is None


MACHINE = {
    "cpu": "a processor",
    "cores": 2,
    "date": "2026-01-01",
    "commit": "",
    "python": "3.11",
    "packages": {"numpy": "2.0"},
    "system": "Linux",
    "blas": ["openblas"],
    "variables": {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "1"},
}


def test_a_blas_that_is_held_back_is_mentioned() -> None:
    out = StringIO()
    show(Console(file=out, width=180), Results(environment=MACHINE))
    assert "OPENBLAS_CORETYPE=Haswell holds" in out.getvalue()
    assert "Set: OMP_NUM_THREADS=1." in out.getvalue()


def test_a_peer_that_is_not_there_leaves_a_row_without_a_ratio() -> None:
    session = Session(article=None, results=Results(environment=MACHINE))  # type: ignore[arg-type]
    session.row("an epoch", 5, {"numba": [1.0]}, "keras-jax")
    assert session.results.rows == [Row("an epoch", 5, None)]


def test_pictures_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    results = Results(environment=MACHINE)
    assert draw(tmp_path, results) == []
    kinds = ("numba", "keras-tensorflow", "numpy")
    results.raw["epoch"] = {kind: [1.0, 1.1] for kind in kinds}
    results.raw["threads"] = {1: {"numba": [2.0]}, 2: {"numba": [1.0]}}
    results.raw["grid"] = [
        {"batch": b, "width": w, "depth": d, "steps": 2, "ratio": 1.5, "seconds": {kind: [1.0] for kind in kinds}}
        for b, w, d in points(quick=False)
    ]
    files = draw(tmp_path, results)
    assert [file.name for file in files] == ["epoch.png", "scaling.png", "grid.png"]
    assert all(file.stat().st_size > 10_000 for file in files)


def test_the_curves_run_through_the_grid() -> None:
    grid = points(quick=False)
    assert MIDDLE in grid
    assert len(grid) == len(set(grid)) == 78
    assert {depth for batch, width, depth in grid if (batch, width) == MIDDLE[:2]} == set(range(1, 7))

"""Test the table of results, the warnings, the pictures, and the published figures."""

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.formatting import format_quantity
from benchmarks.goals import Goal
from benchmarks.measurement.ratios import Ratio, Times, paired_ratio
from benchmarks.measurement.results import Limit, Results, Row
from benchmarks.peers.registry import PEERS
from benchmarks.questions.grid import MIDDLE, grid_points
from benchmarks.questions.registry import QUESTIONS
from benchmarks.questions.session import Session
from benchmarks.reports.pictures import draw, draw_epoch, draw_scaling
from benchmarks.reports.sections import cells
from benchmarks.reports.table import markdown, show

BENCHMARKS = Path(__file__).parents[1]
RATIO = Ratio(peer=1.0, scratch=0.1, value=10.0, low=9.5, high=10.5, rounds=5)
MACHINE = {
    "cpu": "a processor",
    "cores": 2,
    "load": 0.1,
    "date": "2026-01-01",
    "commit": "",
    "python": "3.11",
    "packages": {"numpy": "2.0"},
    "system": "Linux",
    "blas": ["openblas"],
    "variables": {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "1"},
}


@pytest.fixture
def shown() -> Callable[[Results], str]:
    """A function that returns what ``show`` prints in a log."""

    def text(results: Results) -> str:
        out = StringIO()
        show(Console(file=out, width=200), results)
        return out.getvalue()

    return text


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
    assert format_quantity(value, unit) == text


def test_row_says_whether_the_target_is_reached() -> None:
    assert cells(Row("epoch", Goal(5), RATIO)) == [
        "epoch",
        "100 ms",
        "1.00 s",
        "10.0 × (9.50 to 10.5)",
        "5 ×",
        "yes",
        "",
    ]
    assert cells(Row("epoch", Goal(11), RATIO))[5] == "no"
    assert cells(Row("epoch", Goal(6, 8), RATIO))[4] == "6 × (8 ×)"
    assert cells(Row("epoch", Goal(5), None))[3:6] == ["not measured", "5 ×", "?"]


def test_table_names_the_missed_targets(shown: Callable[[Results], str], tmp_path: Path) -> None:
    rows = [Row("epoch", Goal(5), RATIO), Row("memory", Goal(4), None), Row("step", Goal(11), RATIO)]
    results = Results(rows, environment=MACHINE)
    assert "Not reached or not measured: memory; step." in shown(results)
    results.save(tmp_path / "results.json")
    saved = json.loads((tmp_path / "results.json").read_text())
    assert saved["rows"][0]["ratio"]["value"] == 10
    assert saved["rows"][1]["ratio"] is None


def test_upper_limits_have_a_table_of_their_own(shown: Callable[[Results], str]) -> None:
    limits = [
        Limit("compilation", Goal(5, 3), [4.0, 6.0, 4.5]),
        Limit("memory", Goal(250e6), [300e6], unit="B", note="2 epochs"),
        Limit("time", Goal(1), []),
    ]
    results = Results(limits=limits, environment=MACHINE)
    assert markdown(results).splitlines() == [
        "| measurement | median | at most | reached | note |",
        "| --- | --- | --- | --- | --- |",
        "| compilation | 4.50 s | 5 s (3 s) | yes |  |",
        "| memory | 300 MB | 250 MB | no | 2 epochs |",
        "| time | not measured | 1 s | ? |  |",
    ]
    assert "Not reached or not measured: memory; time." in shown(results)


def test_limited_blas_is_mentioned(shown: Callable[[Results], str]) -> None:
    text = shown(Results(environment=MACHINE))
    assert "OPENBLAS_CORETYPE=Haswell limits" in text
    assert "Environment variables: OMP_NUM_THREADS=1." in text


def test_wide_interval_and_busy_machine_are_warned_about(shown: Callable[[Results], str]) -> None:
    narrow, wide = Row("narrow", Goal(5), RATIO), Row("wide", Goal(5), replace(RATIO, low=7.0))
    single = Row("single", Goal(5), replace(RATIO, low=float("nan"), high=float("nan")))
    assert "Warning" not in shown(Results([narrow, single], environment=MACHINE))
    assert "wider than 20% of the ratio for: wide. " in shown(Results([narrow, wide], environment=MACHINE))
    busy = shown(Results([narrow], environment=MACHINE | {"load": 1.5}))
    assert "Warning: the machine was busy: the load average before the first measurement was 1.5 on 2 cores." in busy


def test_failed_question_is_shown(shown: Callable[[Results], str]) -> None:
    results = Results([Row("epoch", Goal(5), RATIO)], failures=["grid: a worker ended"], environment=MACHINE)
    assert "Not completed: grid: a worker ended" in shown(results)


def test_unmeasured_peer_has_a_row_without_ratio() -> None:
    session = Session(article=None, results=Results(environment=MACHINE))  # type: ignore[arg-type]
    session.add_row("epoch", Goal(5), {"numba": [1.0]}, "keras-jax")
    assert session.results.rows == [Row("epoch", Goal(5), None)]


@pytest.mark.slow
def test_pictures_are_drawn_of_available_measurements(tmp_path: Path) -> None:
    results = Results(environment=MACHINE)
    assert draw(tmp_path, results) == []
    kinds = ("numba", "keras-tensorflow", "numpy")
    results.raw["epoch"] = {kind: [1.0, 1.1] for kind in kinds}
    results.raw["threads"] = {1: {"numba": [2.0]}, 2: {"numba": [1.0]}}
    results.raw["grid"] = [
        {"batch": b, "width": w, "depth": d, "steps": 2, "ratio": 1.5, "product_ratio": 0.9}
        | {"seconds": {kind: [1.0] for kind in kinds}}
        for b, w, d in grid_points(quick=False)
    ]
    files = draw(tmp_path, results)
    assert [file.name for file in files] == ["epoch.png", "scaling.png", "grid.png", "products.png"]
    assert all(file.stat().st_size > 10_000 for file in files)


@pytest.mark.parametrize("peer", ["keras-tensorflow", "numba"])
def test_scaling_shows_the_peers_that_were_measured_on_every_number_of_threads(peer: str) -> None:
    both: Times = {"numba": [2.0], "keras-tensorflow": [3.0]}
    figure = draw_scaling([], {1: both, 2: {peer: [1.0]}}, "a machine")
    assert figure is not None
    assert [line.get_label() for line in figure.axes[0].get_lines()] == [PEERS[peer].title]
    assert draw_scaling([], {1: {"numba": [2.0]}, 2: {"keras-tensorflow": [1.0]}}, "a machine") is None


def test_picture_and_table_show_the_same_ratio() -> None:
    """The median of the ratios is 2 here, the ratio of the medians 3."""
    times: Times = {"numba": [1.0, 2.0, 3.0], "keras-tensorflow": [9.0, 4.0, 6.0]}
    figure = draw_epoch(times, "a machine")
    assert figure is not None
    ratio = cells(Row("epoch", Goal(5), paired_ratio(times["keras-tensorflow"], times["numba"])))[3].split(" (")[0]
    assert ratio == "2.00 ×"
    assert figure.axes[0].texts[1].get_text().endswith(ratio)


def test_curves_run_through_the_grid() -> None:
    points = grid_points(quick=False)
    assert MIDDLE in points
    assert len(points) == len(set(points)) == 78
    assert {depth for batch_size, width, depth in points if (batch_size, width) == MIDDLE[:2]} == set(range(1, 7))


def test_readme_shows_the_published_tables() -> None:
    readme = (BENCHMARKS / "README.md").read_text(encoding="utf-8").splitlines()
    tables = [
        table.splitlines()
        for file in (BENCHMARKS / "results").glob("*/table.md")
        for table in file.read_text(encoding="utf-8").split("\n\n")
        if not table.startswith("| kernel |")  # too long for the README
    ]
    assert sum(map(len, tables)) > 4 * len(QUESTIONS)
    assert [row for table in tables for row in table if row not in readme] == []

"""How much memory does the whole program need at most? See ``peak_megabytes`` in the result's ``extra_info``."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("kind", ["cached", "keras"])
def test_peak_memory(benchmark: Any, clock: Any, program: Callable, kind: str) -> None:
    runs = []

    def run() -> None:
        runs.append(program(kind))
        clock.add(runs[-1].seconds)

    benchmark.pedantic(run, rounds=2)
    benchmark.extra_info["peak_megabytes"] = max(run.peak for run in runs) / 1e6
    assert runs[0].peak > 10e6  # Python with NumPy needs more than that

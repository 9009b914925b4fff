"""How long until it runs: the import, the first step, the whole program?

``cold`` is the first time ever, without a compiled kernel anywhere; ``cached`` finds those of an earlier run on disk;
``compiled`` is any later step of the same process.
"""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from benchmarks.measurement import programs
from benchmarks.measurement.tasks import Task
from benchmarks.measurement.worker import Bench, Worker
from benchmarks.peers.base import OURS


@pytest.mark.parametrize("module", ["scratch", "keras"])
def test_import(benchmark: Any, clock: Any, timed: bool, needs: Callable, module: str) -> None:
    needs("keras-tensorflow" if module == "keras" else OURS)
    if not timed:
        module = "json"  # the machinery is what must not rot
    benchmark.group = "import"
    benchmark.pedantic(lambda: clock.add(programs.run("-c", f"import {module}").seconds), rounds=5)


@pytest.mark.parametrize("state", ["cold", "cached", "compiled"])
def test_first_step(benchmark: Any, clock: Any, timed: bool, article: Task, state: str) -> None:
    with programs.no_kernels() as kernels:

        def first_step() -> None:
            if state == "cold" and timed:
                with programs.no_kernels() as nothing:
                    step(NUMBA_CACHE_DIR=nothing)
            else:
                step(NUMBA_CACHE_DIR=kernels)

        def step(**variables: str) -> None:
            with closing(Worker(OURS, variables) if timed else Bench(OURS)) as bench:
                bench.open(article)
                first = bench.measure("step")
                clock.add(bench.measure("step") if state == "compiled" else first)

        benchmark.group = "first step"
        benchmark.pedantic(first_step, rounds=3, warmup_rounds=0 if state == "cold" else 1)


@pytest.mark.parametrize("kind", ["cold", "cached", "keras"])
def test_whole_program(benchmark: Any, clock: Any, program: Callable, kind: str) -> None:
    programs.check_same(program("cached"), program(kind))
    benchmark.group = "whole program"
    benchmark.pedantic(lambda: clock.add(program(kind).seconds), rounds=3)

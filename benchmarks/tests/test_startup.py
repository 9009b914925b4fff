"""How long does it take to start: the import, the first training step, the whole program?

``cold`` is the first run ever, without compiled kernels on disk; ``cached`` is a run that finds the kernels of an
earlier run on disk; ``compiled`` is any further step of the same process.
"""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.measurement import programs
from benchmarks.measurement.runner import LocalRunner
from benchmarks.measurement.worker import Worker
from benchmarks.peers.registry import SCRATCH
from benchmarks.tasks import Task


@pytest.mark.parametrize("module", ["scratch", "keras"])
def test_import(benchmark: Any, clock: Any, timed: bool, require_peer: Callable, module: str) -> None:
    require_peer("keras-tensorflow" if module == "keras" else SCRATCH)
    if not timed:
        module = "json"  # this checks the measurement itself, without the time of the import
    benchmark.group = "import"
    benchmark.pedantic(lambda: clock.add(programs.run_python("-c", f"import {module}").seconds), rounds=5)


@pytest.mark.parametrize("start", ["cold", "cached", "compiled"])
def test_first_step(benchmark: Any, clock: Any, timed: bool, article: Task, start: str) -> None:
    with programs.empty_kernel_cache() as kernels:

        def first_step() -> None:
            if start == "cold" and timed:
                with programs.empty_kernel_cache() as empty:
                    step(NUMBA_CACHE_DIR=empty)
            else:
                step(NUMBA_CACHE_DIR=kernels)

        def step(**variables: str) -> None:
            with Worker(SCRATCH, variables) if timed else LocalRunner(SCRATCH) as runner:
                runner.open(article)
                first = runner.measure("step")
                clock.add(runner.measure("step") if start == "compiled" else first)

        benchmark.group = "first step"
        benchmark.pedantic(first_step, rounds=3, warmup_rounds=0 if start == "cold" else 1)


@pytest.mark.parametrize_timed("kind", ["cold", "cached", "keras"], ["cached"])
def test_whole_program(benchmark: Any, clock: Any, program: Callable, kind: str) -> None:
    programs.check_same_result(program("cached"), program(kind))
    benchmark.group = "whole program"
    benchmark.pedantic(lambda: clock.add(program(kind).seconds), rounds=3)

"""How does an epoch scale with batch size, width, depth and threads, on dense random input?

The networks are those of ``questions/grid.py`` through whose middle the curves of scaling.png run.
"""

from collections.abc import Callable
from functools import lru_cache

import pytest

from benchmarks.measurement.environment import cores
from benchmarks.questions.grid import BATCH_SIZES, MIDDLE, WIDTHS
from benchmarks.questions.threads import thread_counts, thread_variables
from benchmarks.tasks import Task, dense_task

KINDS = pytest.mark.parametrize("kind", ["numba", "numpy", "keras-tensorflow", "keras-jax", "keras-torch"])
BATCH_SIZE, WIDTH, DEPTH = MIDDLE
SMALL = dense_task(batch_size=4, width=16, depth=2, steps=2)


@lru_cache(1)  # pytest runs the peers of one network after each other
def task(timed: bool, batch_size: int, width: int, depth: int) -> Task:
    """Return the network; untimed, a small one in its place."""
    return dense_task(batch_size, width, depth) if timed else SMALL


@KINDS
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_batch_size(compare: Callable, timed: bool, kind: str, batch_size: int) -> None:
    compare(kind, task(timed, batch_size, WIDTH, DEPTH), "epoch")


@KINDS
@pytest.mark.parametrize("width", WIDTHS)
def test_width(compare: Callable, timed: bool, kind: str, width: int) -> None:
    compare(kind, task(timed, BATCH_SIZE, width, DEPTH), "epoch")


@KINDS
@pytest.mark.parametrize("depth", range(1, 7))
def test_depth(compare: Callable, timed: bool, kind: str, depth: int) -> None:
    compare(kind, task(timed, BATCH_SIZE, WIDTH, depth), "epoch")


@KINDS
@pytest.mark.parametrize("threads", thread_counts(cores()))
def test_threads(compare: Callable, article: Task, kind: str, threads: int) -> None:
    compare(kind, article, "epoch", **thread_variables(threads))

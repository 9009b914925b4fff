"""How does an epoch grow with batch, width, depth and threads, on dense random input, beside Keras?

A point is a network of the grid of ``python -m benchmarks``; each curve runs through its middle.
"""

from collections.abc import Callable
from functools import lru_cache

import pytest

from benchmarks.measurement.environment import cores
from benchmarks.measurement.questions import BATCHES, MIDDLE, WIDTHS, thread_counts, with_threads
from benchmarks.measurement.tasks import Task, dense

KINDS = pytest.mark.parametrize("kind", ["numba", "numpy", "keras-tensorflow", "keras-jax", "keras-torch"])
BATCH, WIDTH, DEPTH = MIDDLE
TINY = dense(batch=4, width=16, depth=2, steps=2)


@lru_cache(1)  # the peers of one network follow each other
def task(timed: bool, batch: int, width: int, depth: int) -> Task:
    """That network; untimed, a tiny one in the place of all."""
    return dense(batch, width, depth) if timed else TINY


@KINDS
@pytest.mark.parametrize("batch", BATCHES)
def test_batch(compare: Callable, timed: bool, kind: str, batch: int) -> None:
    compare(kind, task(timed, batch, WIDTH, DEPTH), "epoch")


@KINDS
@pytest.mark.parametrize("width", WIDTHS)
def test_width(compare: Callable, timed: bool, kind: str, width: int) -> None:
    compare(kind, task(timed, BATCH, width, DEPTH), "epoch")


@KINDS
@pytest.mark.parametrize("depth", range(1, 7))
def test_depth(compare: Callable, timed: bool, kind: str, depth: int) -> None:
    compare(kind, task(timed, BATCH, WIDTH, depth), "epoch")


@KINDS
@pytest.mark.parametrize("threads", thread_counts(cores()))
def test_threads(compare: Callable, article: Task, kind: str, threads: int) -> None:
    compare(kind, article, "epoch", **with_threads(threads))

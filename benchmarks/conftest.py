"""How the benchmarks run under pytest: timed with ``pytest benchmarks``, once and tiny in ``python -m pytest``.

Timed, each peer has a process of its own, ours takes a turn before each of its rounds, and the clock that
pytest-benchmark reads is the sum of what the workers measured.  Untimed, the peers run in this process.
"""

import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from benchmarks.measurement import environment, programs, same, tasks
from benchmarks.measurement.ratios import SETTLE, ratio
from benchmarks.measurement.worker import Bench, Worker
from benchmarks.peers.base import OURS, PEERS, elsewhere, missing
from scratch.datasets import mnist

AT_LEAST = 0.02  # seconds that a short measurement is repeated for


TINY_PROGRAM = ["-m", "scratch", "--quiet", "--backend", "numpy", "--epochs", "1", "--batch-size", "10"]


class Clock:
    """A clock that goes on only when it is told to, by what a worker or a program took."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def add(self, seconds: float) -> float:
        """Move on, and return the argument."""
        self.now += seconds
        return seconds


CLOCK = Clock()


def pytest_configure(config: pytest.Config) -> None:
    """Without a word on what to run, everything runs and nothing is timed."""
    chosen = config.option.benchmark_enable or config.option.benchmark_only
    if config.args_source == pytest.Config.ArgsSource.TESTPATHS and not chosen:
        config.option.benchmark_disable = True  # before pytest-benchmark, which comes last, looks at it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest-benchmark reads that clock in every test that uses it."""
    for item in items:
        if "clock" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.benchmark(timer=CLOCK))


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict) -> None:
    """Versions, BLAS, threads and variables go into pytest-benchmark's JSON, which has date and commit already."""
    found = environment.record()
    machine_info["scratch"] = {key: found[key] for key in found if key not in ("date", "commit")}


@pytest.fixture
def clock() -> Clock:
    """What pytest-benchmark will read in this test."""
    return CLOCK


@pytest.fixture(scope="session")
def timed(request: pytest.FixtureRequest) -> bool:
    """Whether times are taken."""
    config = request.config
    return not config.option.benchmark_disable or config.option.benchmark_enable


@pytest.fixture
def needs() -> Callable[[str], None]:
    """Skips the test if that peer is not installed."""

    def check(kind: str) -> None:
        if reason := missing(kind):
            pytest.skip(reason)

    return check


@pytest.fixture(scope="session")
def few_digits() -> tuple[np.ndarray, np.ndarray]:
    """Forty made-up images, as sparse as digits are, and labels."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(40, 28, 28)) * (rng.random((40, 28, 28)) < 0.19)
    return images.astype(np.uint8), np.arange(40, dtype=np.uint8) % 10


@pytest.fixture(scope="session")
def article(timed: bool, few_digits: tuple[np.ndarray, np.ndarray]) -> tasks.Task:
    """The article's network on all digits that this machine has; untimed, on a few made-up ones."""
    return tasks.article(*mnist.load().train) if timed else tasks.article(*few_digits, batch=10)


@pytest.fixture(scope="session")
def program(
    timed: bool, few_digits: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], programs.Run]:
    """Runs a whole program: ``cold``, ``cached`` or ``keras``; untimed, a tiny one in the place of all three."""
    folder = tmp_path_factory.mktemp("programs")
    options = ("--epochs", "10")
    starts = {
        "cold": lambda: programs.scratch_cold(*options),
        "cached": lambda: programs.scratch(*options, kernels=str(folder)),
        "keras": lambda: programs.keras(*options),
    }
    if timed:
        return lambda kind: starts[kind]()
    x, y = few_digits
    np.savez(folder / "few.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return cache(lambda kind: programs.run(*TINY_PROGRAM, "--data", str(folder / "few.npz")))


@pytest.fixture(scope="session")
def bench(timed: bool) -> Iterator[Callable[..., Bench]]:
    """Gives a peer that has shown that it computes the same; or skips the test.

    Timed, it is in a process of its own, which stays for the tests that follow; untimed, in this one.
    """
    started: dict[tuple, Bench] = {}
    proven: dict[tuple, tasks.Task] = {}

    def get(kind: str, task: tasks.Task, **variables: str) -> Bench:
        if reason := missing(kind) or (None if timed else elsewhere(kind)):
            pytest.skip(reason)
        key = kind, *(sorted(variables.items()) if timed else ())
        if key not in started:
            started[key] = Worker(kind, variables) if timed else Bench(kind)
        if proven.get(key) is not task:
            started[key].open(task)
            same.check(kind, task, started[key].evidence(), same.expected(kind, task))
            proven[key] = task
        return started[key]

    yield get
    for worker in started.values():
        worker.close()


@pytest.fixture
def compare(benchmark: Any, bench: Callable[..., Bench], timed: bool, clock: Clock) -> Callable[..., None]:
    """Times a peer beside ours, in turns."""

    def run(kind: str, task: tasks.Task, question: str, rounds: int = 7, **variables: str) -> None:
        theirs, ours = bench(kind, task, **variables), bench(OURS, task, **variables)
        our_times: list[float] = []
        their_times: list[float] = []
        at_least, settle = (AT_LEAST, SETTLE) if timed else (0.0, 0.0)

        def our_turn() -> None:
            time.sleep(settle)
            our_times.append(ours.measure(question, at_least))

        def their_turn() -> None:
            time.sleep(settle)  # the clock stands still
            their_times.append(clock.add(theirs.measure(question, at_least)))

        benchmark.group = f"{question}, {task.name}"
        benchmark.pedantic(their_turn, setup=our_turn, rounds=rounds, warmup_rounds=1)
        found = ratio(their_times[-rounds:], our_times[-rounds:])  # without the round that warmed up
        benchmark.extra_info |= {"peer": PEERS[kind].title, "ours": found.ours, "ratio": found.value}
        benchmark.extra_info |= {"ratio_low": found.low, "ratio_high": found.high}

    return run

"""Fixtures for the benchmarks under pytest: timed with ``pytest benchmarks``, once and small in ``python -m pytest``.

Timed, each peer runs in a worker process, scratch is measured before each of the peer's rounds, and pytest-benchmark
reads a clock that only advances by what the workers measure. Untimed, the peers run in this process.
"""

import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from benchmarks.measurement import environment, programs
from benchmarks.measurement.ratios import PAUSE_SECONDS, paired_ratio
from benchmarks.measurement.runner import LocalRunner, Runner
from benchmarks.measurement.same import check_outputs, reference_outputs
from benchmarks.measurement.worker import Worker
from benchmarks.peers.registry import PEERS, SCRATCH, missing_packages, other_framework
from benchmarks.questions.session import MIN_SECONDS
from benchmarks.tasks import Task, article_task
from scratch.datasets import mnist

SMALL_PROGRAM = ["-m", "scratch", "--quiet", "--backend", "numpy", "--epochs", "1", "--batch-size", "10"]


class Clock:
    """A clock for pytest-benchmark that advances only by the seconds that a worker or a program measured."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def add(self, seconds: float) -> float:
        """Advance the clock, and return the argument."""
        self.now += seconds
        return seconds


CLOCK = Clock()


def is_whole_suite(config: pytest.Config) -> bool:
    """Return whether pytest was started without paths, and therefore runs the tests of all packages."""
    return config.args_source == pytest.Config.ArgsSource.TESTPATHS


def is_timed(config: pytest.Config) -> bool:
    """Return whether pytest-benchmark takes times."""
    return not config.option.benchmark_disable or config.option.benchmark_enable


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Apply the mark ``parametrize_timed(name, values, untimed)``: untimed, some values would repeat the same work."""
    for mark in metafunc.definition.iter_markers("parametrize_timed"):
        name, values, untimed = mark.args
        metafunc.parametrize(name, values if is_timed(metafunc.config) else untimed)


def pytest_configure(config: pytest.Config) -> None:
    """Disable timing for the whole suite, and register the mark of ``pytest_generate_tests``."""
    config.addinivalue_line("markers", "parametrize_timed(name, values, untimed): other parameters if not timed")
    is_chosen = config.option.benchmark_enable or config.option.benchmark_only
    if is_whole_suite(config) and not is_chosen:
        config.option.benchmark_disable = True  # pytest-benchmark reads the option after this hook


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Measure in this process: pytest-benchmark does not time tests that run beside others."""
    return None if is_whole_suite(config) else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let pytest-benchmark read ``CLOCK`` in every test that uses the fixture ``clock``."""
    for item in items:
        if "clock" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.benchmark(timer=CLOCK))


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict) -> None:
    """Add versions, BLAS, threads and variables to pytest-benchmark's JSON, which has date and commit already."""
    recorded = environment.record()
    machine_info["scratch"] = {key: recorded[key] for key in recorded if key not in ("date", "commit", "load")}


@pytest.fixture
def clock() -> Clock:
    """The clock that pytest-benchmark reads in this test."""
    return CLOCK


@pytest.fixture(scope="session")
def timed(request: pytest.FixtureRequest) -> bool:
    """Whether pytest-benchmark takes times."""
    return is_timed(request.config)


@pytest.fixture
def require_peer() -> Callable[[str], None]:
    """A function that skips the test if a peer is not installed."""

    def require(kind: str) -> None:
        if sentence := missing_packages(kind):
            pytest.skip(sentence)

    return require


@pytest.fixture(scope="session")
def few_digits() -> tuple[np.ndarray, np.ndarray]:
    """Forty random images with as many zeros as digits have, and labels."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(40, 28, 28)) * (rng.random((40, 28, 28)) < 0.19)
    return images.astype(np.uint8), np.arange(40, dtype=np.uint8) % 10


@pytest.fixture(scope="session")
def article(timed: bool, few_digits: tuple[np.ndarray, np.ndarray]) -> Task:
    """The article's network on all digits of this machine; untimed, on a few random images."""
    return article_task(*mnist.load().train) if timed else article_task(*few_digits, batch_size=10)


@pytest.fixture(scope="session")
def program(
    timed: bool, few_digits: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], programs.Run]:
    """A function that runs a whole program: ``cold``, ``cached`` or ``keras``; untimed, one small program for all."""
    folder = tmp_path_factory.mktemp("programs")
    options = ("--epochs", "10")
    starts = {
        "cold": lambda: programs.run_scratch_cold(*options),
        "cached": lambda: programs.run_scratch(*options, kernels=str(folder)),
        "keras": lambda: programs.run_keras(*options),
    }
    if timed:
        return lambda kind: starts[kind]()
    x, y = few_digits
    np.savez(folder / "few.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    run_once = cache(lambda: programs.run_python(*SMALL_PROGRAM, "--data", str(folder / "few.npz")))
    return lambda kind: run_once()


@pytest.fixture(scope="session")
def runner(timed: bool) -> Iterator[Callable[..., Runner]]:
    """A function that returns the runner of a peer whose outputs agree with the reference, or skips the test.

    Timed, the runner is a worker process, which is kept for the following tests; untimed, it is local.
    """
    runners: dict[tuple, Runner] = {}
    verified: dict[tuple, Task] = {}

    def get(kind: str, task: Task, **variables: str) -> Runner:
        if sentence := missing_packages(kind) or (None if timed else other_framework(kind)):
            pytest.skip(sentence)
        key = kind, *(sorted(variables.items()) if timed else ())
        if key not in runners:
            runners[key] = Worker(kind, variables) if timed else LocalRunner(kind)
        if verified.get(key) is not task:
            runners[key].open(task)
            check_outputs(kind, task, runners[key].outputs(), reference_outputs(kind, task))
            verified[key] = task
        return runners[key]

    yield get
    for started in runners.values():
        started.close()


@pytest.fixture
def compare(benchmark: Any, runner: Callable[..., Runner], timed: bool, clock: Clock) -> Callable[..., None]:
    """A function that times a peer and scratch in turns."""

    def run(kind: str, task: Task, workload: str, rounds: int = 7, **variables: str) -> None:
        peer, scratch = runner(kind, task, **variables), runner(SCRATCH, task, **variables)
        scratch_times: list[float] = []
        peer_times: list[float] = []
        min_seconds, pause = (MIN_SECONDS, PAUSE_SECONDS) if timed else (0.0, 0.0)

        def measure_scratch() -> None:
            time.sleep(pause)
            scratch_times.append(scratch.measure(workload, min_seconds))

        def measure_peer() -> None:
            time.sleep(pause)  # does not advance the clock
            peer_times.append(clock.add(peer.measure(workload, min_seconds)))

        benchmark.group = f"{workload}, {task.name}"
        benchmark.pedantic(measure_peer, setup=measure_scratch, rounds=rounds, warmup_rounds=1)
        ratio = paired_ratio(peer_times[-rounds:], scratch_times[-rounds:])  # without the warm-up round
        benchmark.extra_info |= {"peer": PEERS[kind].title, "scratch": ratio.scratch, "ratio": ratio.value}
        benchmark.extra_info |= {"ratio_low": ratio.low, "ratio_high": ratio.high}

    return run

"""``scratch.kernels.threads``: the same bits on any number of threads, in child processes, and on a busy machine."""

import multiprocessing
import os
import statistics
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from parity_tests.unit.forked_numba import run_forked
from parity_tests.unit.kernels import ROOT, digest, model_of_the_article, train
from scratch.kernels import threads

# --- the same bits ---

DIGEST = "from parity_tests.unit.kernels import digest; print(digest(3))"
CONCURRENT_TRAININGS = """
from parity_tests.unit.kernels import LayerByLayer, model_of_the_article, train, train_concurrently
from scratch.optimizers import SGD
for make in (lambda: SGD(0.1), lambda: SGD(0.1, momentum=0.9, clipnorm=0.5), lambda: LayerByLayer(0.1, momentum=0.9)):
    expected = [train(model_of_the_article(seed, make())) for seed in (1, 2, 3)]
    for _ in range(3):
        assert train_concurrently((1, 2, 3), make) == expected
print("passed")
"""
CHILD_PROCESSES = """
import multiprocessing, threading
from concurrent.futures import ProcessPoolExecutor
from parity_tests.unit.kernels import digest, model_of_the_article, train

def train_until_done(model):
    while not done:
        train(model)

if __name__ == "__main__":
    expected, done = digest(3), False
    thread = threading.Thread(target=train_until_done, args=(model_of_the_article(1),))
    if when == "during":
        thread.start()
    for _ in range(1 if method == "spawn" else 3):
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            children = [pool.submit(digest, 3) for _ in range(2)]
            assert digest(3) == expected
            assert [child.result(timeout=60) for child in children] == [expected, expected]
    done = True
    print("passed")
"""
NO_THREADS = """
import _thread
from parity_tests.unit.kernels import digest
def fail(*arguments): raise RuntimeError("can't start new thread")
_thread.start_new_thread = fail
print(digest(3))
"""
START_METHODS = [
    (method, when)
    for method, when in (("fork", "after"), ("fork", "during"), ("spawn", "after"))
    if method in multiprocessing.get_all_start_methods()
]


def threaded_output(program: str, threads: int) -> str:
    """Run a program in a new process in which kernels have that many threads; return what it printed."""
    done = run_forked(program, ROOT, {**os.environ, "NUMBA_NUM_THREADS": str(threads)})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_the_number_of_threads_does_not_change_the_bits() -> None:
    expected = digest(3)
    assert {threaded_output(DIGEST, n) for n in (1, 2, 4)} == {expected}


@pytest.mark.slow
def test_concurrent_trainings_have_the_bits_of_separate_trainings() -> None:
    assert threaded_output(CONCURRENT_TRAININGS, threads=4) == "passed"


@pytest.mark.slow
@pytest.mark.parametrize(("method", "when"), START_METHODS)
def test_child_processes_train_after_or_during_a_training_of_the_parent(method: str, when: str) -> None:
    program = f"method, when = {method!r}, {when!r}\n{CHILD_PROCESSES}"
    assert threaded_output(program, threads=2) == "passed"


@pytest.mark.slow
def test_a_system_that_allows_no_more_threads_gets_the_same_bits() -> None:
    assert threaded_output(NO_THREADS, threads=4) == digest(3)


# --- failures ---


def test_an_exception_is_raised_after_all_tasks_and_the_helpers_survive() -> None:
    class HelperError(BaseException):
        """Raised in helper threads only."""

    for _ in range(20):
        ended: list[int] = []

        def fail() -> None:
            raise ZeroDivisionError("on purpose")

        def slow(i: int, ended: list[int] = ended) -> None:
            time.sleep(0.001)
            ended.append(i)

        with pytest.raises(ZeroDivisionError, match="on purpose"):
            threads.run([fail, *(lambda i=i: slow(i) for i in range(8)), fail])
        assert sorted(ended) == list(range(8))
        threads.run([])
    caller = threading.current_thread()

    def fail_in_helper() -> None:
        time.sleep(0.01)
        if threading.current_thread() is not caller:
            raise HelperError

    if threads._helpers:  # there are none on one core
        for _ in range(3):
            with pytest.raises(HelperError):
                threads.run([fail_in_helper] * 8)
    assert train(model_of_the_article(1)) == train(model_of_the_article(1))


INTERRUPTED = """
import signal, threading, time
from scratch.kernels import threads
begun, ended = [], []
def task():
    begun.append(1)
    if threading.current_thread() is threading.main_thread():
        while len(begun) < 2:
            time.sleep(0.001)
        signal.raise_signal(signal.SIGINT)
    time.sleep(0.3)
    ended.append(1)
for _ in range(3):
    begun.clear(), ended.clear()
    try:
        threads.run([task] * 6)
    except KeyboardInterrupt:
        print(len(begun) - len(ended), len(begun) < 6)  # the one without an end is the interrupted task itself
"""


def test_no_task_runs_after_an_interrupt() -> None:
    assert threaded_output(INTERRUPTED, threads=2).split("\n") == ["1 True"] * 3


# --- a busy machine ---


@pytest.mark.slow
def test_an_epoch_on_a_busy_machine_takes_at_most_three_times_as_long() -> None:
    """Compare medians of epochs with and without a spinning process on each core, interleaved."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.random((10_000, 784), np.float32) - 0.8, 0)
    y = rng.integers(10, size=len(x))
    model = model_of_the_article(0)

    def epoch() -> float:
        start = time.perf_counter()
        model.fit(x, y, batch_size=100, epochs=1, verbose=0)
        return time.perf_counter() - start

    epoch()
    quiet, busy = [], []
    for _ in range(7):
        quiet += [epoch() for _ in range(3)]
        spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
        try:
            time.sleep(0.3)
            busy += [epoch() for _ in range(3)]
        finally:
            for process in spinning:
                process.kill()
            for process in spinning:
                process.wait()
    ratio = statistics.median(busy) / statistics.median(quiet)
    print(f"busy / quiet: {ratio:.2f}")
    assert ratio < 3

"""Test workers: they compute what this process computes, and every failure is one line, without waiting forever."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from benchmarks.measurement.results import Results
from benchmarks.measurement.runner import LocalRunner
from benchmarks.measurement.same import check_outputs, reference_outputs
from benchmarks.measurement.worker import Worker, WorkerError
from benchmarks.peers import registry
from benchmarks.peers.registry import PEERS, PeerEntry, missing_packages
from benchmarks.questions.session import Session
from benchmarks.tasks import article_task, dense_task
from scratch.datasets import mnist

TASK = dense_task(batch_size=4, width=8, depth=1, steps=3)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker("in-place") as started:
        started.open(TASK)
        yield started


def test_worker_computes_what_this_process_computes(worker: Worker) -> None:
    local = LocalRunner("in-place")
    local.open(TASK)
    for got, expected in zip(worker.outputs().values(), local.outputs().values(), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("workload", ["epoch", "step", "predict 3", "call 1"])
def test_worker_measures(worker: Worker, workload: str) -> None:
    assert 0 < worker.measure(workload, min_seconds=1e-4) < 60


def test_worker_continues_after_a_failure(worker: Worker) -> None:
    message = r"^in-place NumPy failed: ValueError: workload must be 'epoch', .*; got 'dance 3'.$"
    with pytest.raises(WorkerError, match=message):
        worker.measure("dance 3")
    assert worker.measure("step") > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["keras-tensorflow", "keras-jax"])
def test_keras_in_a_worker_agrees_with_the_reference(require_peer: Callable[[str], None], kind: str) -> None:
    """On the digits of this machine, as in a measurement; the other tests have a few random images."""
    require_peer(kind)
    task = article_task(*mnist.load().train)
    with Worker(kind) as worker:
        worker.open(task)
        check_outputs(kind, task, worker.outputs(), reference_outputs(kind, task))


def test_killed_worker_is_an_error() -> None:
    with Worker("in-place") as worker:
        worker.open(TASK)
        worker.process.kill()
        message = r"^The process of in-place NumPy ended with status -9: no error output$"
        with pytest.raises(WorkerError, match=message):
            worker.measure("epoch")


def test_worker_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "unknown", PeerEntry("a peer", "no_module", "NoClass"))
    message = r"^The process of a peer ended .*KeyError: 'unknown'$"
    with Worker("unknown") as worker, pytest.raises(WorkerError, match=message):
        worker.open(TASK)


def test_worker_that_takes_too_long_is_killed() -> None:
    with Worker("in-place", timeout=0.01) as worker:
        with pytest.raises(WorkerError, match=r"^in-place NumPy did not answer within 0.01 s and was killed.$"):
            worker.open(TASK)
        assert worker.process.poll() is not None


def test_runner_without_a_task_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^The runner of 'in-place' has no task; call open\(task\) first.$"):
        LocalRunner("in-place").measure("epoch")


def test_peer_that_is_not_installed_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    sentence = "plain PyTorch is skipped: torch not installed (python -m pip install -e '.[peers]')."
    assert missing_packages("torch") == sentence
    assert missing_packages("scikit-learn").startswith("scikit-learn is skipped: scikit-learn not installed")
    assert missing_packages("keras-tensorflow").endswith(
        ": keras and tensorflow not installed (python -m pip install -e '.[keras]')."
    )
    assert missing_packages("keras-jax").endswith(
        ": keras and jax not installed (python -m pip install -e '.[keras,peers]')."
    )
    assert missing_packages("numba") is missing_packages("products") is None
    session = Session(TASK, results=Results(environment={}))
    with session.workers(["torch", "in-place"]) as workers:
        assert list(workers) == ["in-place"]
    assert session.results.remarks == [sentence]


def test_failed_worker_does_not_stop_the_others() -> None:
    session = Session(TASK, results=Results(environment={}))
    with session.workers(["in-place", "numpy"]) as workers:
        workers["in-place"].process.kill()
        assert list(session.verified(workers, TASK)) == ["numpy"]
    assert session.results.remarks == ["The process of in-place NumPy ended with status -9: no error output"]

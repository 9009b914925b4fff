"""``kernels.single_steps``: helpers that stay between the steps, leave and come back; changes, forks and failures."""

import os
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import config

from parity_tests.unit.forked_numba import run_forked
from scratch import execution
from scratch.callbacks import LambdaCallback
from scratch.kernels import plan, single_steps, threads, workers
from scratch.kernels.fused_step import FusedStep
from scratch.kernels.job import Job
from scratch.layers import Dense, Dropout
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.utils import set_random_seed

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(230, 20)).astype(np.float32), np.arange(230) % 5  # steps of 50, 50, 50, 50 and 30 samples
ROOT = Path(__file__).parents[2]
FORK_IN_A_CALLBACK = """
import os
from parity_tests.unit.test_single_steps import results, train
from scratch.kernels import plan
plan.MIN_PARALLEL_WORK = 0
expected, children = results(train()), []
def fork(model, batch):
    if batch == 2 and not children:
        children.append(os.fork())
same = results(train(fork)) == expected
if children[0] == 0:
    os._exit(0 if same else 1)
assert same
assert os.waitpid(children[0], 0)[1] == 0
print("the same bits")
"""


@pytest.fixture(autouse=True)
def _partitioned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Partition the steps of small models for two threads, too."""
    monkeypatch.setattr(plan, "MIN_PARALLEL_WORK", 0)


EACH_BATCH = LambdaCallback(on_train_batch_end=lambda *_: None)


def make(rate: float = 0.0, **options: Any) -> Sequential:
    set_random_seed(0)
    model = Sequential([Dense(24, "relu"), Dropout(rate), Dense(5, "softmax")], backend="numba")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def train(on_batch: Callable[[Sequential, int], object] | None = None, rate: float = 0.0, **options: Any) -> Sequential:
    """Train a new model for three epochs; ``on_batch`` is called after each batch with the model and its number."""
    model = make(rate, **options)
    callbacks = [LambdaCallback(on_train_batch_end=lambda batch, _: on_batch(model, batch))] if on_batch else []
    model.fit(X.copy(), Y, 50, 3, verbose=0, callbacks=callbacks)
    return model


def results(model: Sequential) -> tuple[list[bytes], dict[str, list[float]]]:
    return weights(model), model.history.history


def weights(model: Sequential) -> list[bytes]:
    return [W.tobytes() for W in model.get_weights()]


def described_jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Return a list to which every job of single steps is added."""
    jobs: list[Job] = []
    init = single_steps.SingleSteps.__init__
    monkeypatch.setattr(
        single_steps.SingleSteps, "__init__", lambda self, job, *rest: jobs.append(job) or init(self, job, *rest)
    )
    return jobs


@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("seconds", [0.0, 5 * threads.SPIN_SECONDS], ids=["at once", "slowly"])
def test_single_steps_have_the_bits_of_joined_steps(rate: float, seconds: float) -> None:
    assert results(train(lambda *_: time.sleep(seconds), rate)) == results(train(rate=rate))


def helpers_called(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Train with a callback that takes 20 ms, and return the chunk of each helper that has joined."""
    joined: list[int] = []

    def run_worker(job: Job, own: int, *rest: Any, original: Any = workers.run_worker) -> None:
        joined.extend([own] if own > 0 else [])
        original(job, own, *rest)

    monkeypatch.setattr(single_steps, "run_worker", run_worker)
    train(lambda *_: time.sleep(0.02))
    return joined


@pytest.mark.skipif(config.NUMBA_NUM_THREADS < 2, reason="needs a helper thread")
def test_a_helper_stays_between_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    spins = 10_000 * threads.spin_count()  # three seconds
    monkeypatch.setattr(threads, "spin_count", lambda: spins)
    assert helpers_called(monkeypatch) == [1, 1, 1]  # once in each epoch; the smaller last batch has one chunk


@pytest.mark.skipif(config.NUMBA_NUM_THREADS < 2, reason="needs a helper thread")
def test_a_helper_is_called_again_after_it_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[threads.TaskGroup] = []

    def create(self: threads.TaskGroup, tasks: Any, init: Any = threads.TaskGroup.__init__) -> None:
        assert all(group.has_ended() for group in groups)
        groups.append(self)
        init(self, tasks)

    monkeypatch.setattr(threads.TaskGroup, "__init__", create)
    assert 3 < len(helpers_called(monkeypatch)) <= 12  # at most once for each step of two chunks


def test_a_job_ends_after_so_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = results(train(rate=0.3))
    monkeypatch.setattr(execution, "MAX_STEPS", 3)
    jobs = described_jobs(monkeypatch)
    assert results(train(lambda *_: None, 0.3)) == expected
    assert [len(job.steps) for job in jobs] == [3] * 9  # three steps, one, and the smaller batch of each epoch


@pytest.mark.parametrize(("name", "steps"), [("draw_masks", 2), ("single_steps", 0)])
def test_an_exception_before_a_step_does_not_count_it(name: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third masks, or the description of the first job, find no memory."""
    calls = iter(range(1, 100))
    owner = single_steps if name == "draw_masks" else FusedStep
    original = getattr(owner, name)

    def no_memory(*arguments: Any) -> Any:
        if next(calls) > steps:
            raise MemoryError
        return original(*arguments)

    monkeypatch.setattr(owner, name, no_memory)
    model = make(0.3)
    if steps == 0:  # a complete step before, whose number must not be taken for this one's
        model.train_on_batch(X[:50], Y[:50])
        model.optimizer.iterations = 0
    with pytest.raises(MemoryError):
        model.fit(X.copy(), Y, 50, verbose=0, callbacks=[EACH_BATCH])
    assert model.optimizer.iterations == steps


def test_the_masks_of_a_job_are_limited_when_dropout_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "MAX_MASKS", 2 * 50 * 24)
    jobs = described_jobs(monkeypatch)
    train(lambda model, _: setattr(model.layers[1], "rate", 0.3))
    assert [len(job.steps) for job in jobs[:2]] == [4, 2]


def test_a_rate_that_changes_between_two_steps_takes_effect() -> None:
    def change(model: Sequential, batch: int) -> None:
        model.layers[1].rate = 0.1 * (batch + 1)

    compiled = train(change, 0.3)
    assert results(compiled) == results(train(change, 0.3, run_eagerly=True))
    assert compiled.fused is not None


def test_a_callback_may_train_and_evaluate_the_same_model() -> None:
    def use(model: Sequential, batch: int) -> None:
        model.train_on_batch(X[batch : batch + 50], Y[batch : batch + 50])
        model.evaluate(X, Y, verbose=0)

    assert results(train(use)) == results(train(use, run_eagerly=True))


def test_a_callback_may_train_with_another_optimizer_in_between() -> None:
    """The state of the other optimizer has another number of arrays, so that the first one's are created again."""

    def use(model: Sequential, batch: int) -> None:
        adam, model.optimizer = model.optimizer, SGD(0.1, momentum=0.5)
        model.train_on_batch(X[:50], Y[:50])
        model.optimizer = adam

    assert results(train(use)) == results(train(use, run_eagerly=True))


def test_the_samples_are_released_after_fit() -> None:
    x = X.copy()
    alive = weakref.ref(x)
    model = Sequential([Dense(5, "softmax")], backend="numba")
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, Y, 50, verbose=0, callbacks=[EACH_BATCH])
    del x
    end = time.monotonic() + 10
    while alive() is not None and time.monotonic() < end:  # until the helpers have left
        time.sleep(0.01)
    assert alive() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_continues_the_training() -> None:
    """The child has no helper threads: those of the parent are not counted."""
    done = run_forked(FORK_IN_A_CALLBACK, ROOT, {**os.environ, "NUMBA_NUM_THREADS": "2"})
    assert (done.returncode, done.stdout) == (0, "the same bits\n"), done.stderr


def test_an_interrupt_before_the_caller_computes_leaves_complete_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step is complete if a helper has joined, else it has not begun."""

    def interrupted(job: Job, own: int, *rest: Any, original: Any = workers.run_worker) -> None:
        if own == 0 and job.progress.opened[0] == 6:  # the third step of two passes
            raise KeyboardInterrupt
        original(job, own, *rest)

    states: list[list[bytes]] = []
    train(lambda model, _: states.append(weights(model)))
    monkeypatch.setattr(single_steps, "run_worker", interrupted)
    model = make()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X.copy(), Y, 50, verbose=0, callbacks=[EACH_BATCH])
    assert model.optimizer is not None
    assert model.optimizer.iterations in (2, 3)
    assert weights(model) == states[model.optimizer.iterations - 1]


@pytest.mark.parametrize("failing", range(min(2, config.NUMBA_NUM_THREADS)))
def test_a_worker_without_memory_ends_the_step(failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def worker_loop(job: Job, own: int, *rest: Any, original: Any = workers.worker_loop) -> bool:
        if own == failing and job.progress.opened[0] >= 4:
            job.progress.passes_started[own, 0] += 1  # has claimed its chunk
            raise MemoryError
        return original(job, own, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(workers, "worker_loop", worker_loop)
        with pytest.raises(MemoryError):
            train(lambda *_: time.sleep(0.01))  # the helper has left, and calls worker_loop again
    assert results(train(lambda *_: None)) == results(train())

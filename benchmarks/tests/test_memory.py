"""How much memory does the whole program need at most? See ``peak_megabytes`` in the result's ``extra_info``.

Also test the limits of the question ``program``: ``fit`` must not copy the training data into another dtype.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.measurement import programs
from benchmarks.measurement.results import Results
from benchmarks.measurement.runner import LocalRunner
from benchmarks.peers.registry import SCRATCH
from benchmarks.questions import program as question
from benchmarks.questions.session import Session
from benchmarks.tasks import Task, article_task
from benchmarks.variants import VARIANTS, Variant


@pytest.mark.parametrize_timed("kind", ["cached", "keras"], ["cached"])
def test_peak_memory(benchmark: Any, clock: Any, program: Callable, kind: str) -> None:
    runs = []

    def run() -> None:
        runs.append(program(kind))
        clock.add(runs[-1].seconds)

    benchmark.pedantic(run, rounds=2)
    benchmark.extra_info["peak_megabytes"] = max(run.peak for run in runs) / 1e6
    assert runs[0].peak > 10e6  # Python with NumPy needs more than that


@pytest.fixture(scope="module")
def task() -> Task:
    """The article's network on 8,000 random images: 6.3 MB as bytes; a step needs about 3 MB for gradients."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(8000, 28, 28), dtype=np.uint8)
    return article_task(images, np.arange(8000) % 10)


@pytest.mark.parametrize("variant", [None, *VARIANTS], ids=lambda variant: variant.name if variant else "bytes")
def test_fit_does_not_copy_the_training_data(task: Task, variant: Variant | None) -> None:
    runner = LocalRunner(SCRATCH)
    runner.open(task)
    if variant is not None:
        runner.select(variant)
    assert runner.allocated() < task.x.size


def test_copy_of_the_training_data_is_detected(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = LocalRunner(SCRATCH)
    runner.open(task)
    train = runner.peer.train

    def copy_and_train(samples: int, shuffle: bool) -> None:
        x = task.x.astype(np.float16)
        train(samples, shuffle)
        del x

    monkeypatch.setattr(runner.peer, "train", copy_and_train)
    assert runner.allocated() > 2 * task.x.size


def test_program_on_float32_digits_has_the_same_result(few_digits: tuple, tmp_path: Any) -> None:
    x, y = few_digits
    np.savez(tmp_path / "few.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    options = ("--backend", "numpy", "--epochs", "1", "--batch-size", "10", "--data", str(tmp_path / "few.npz"))
    floats = programs.run_scratch_floats(*options, kernels=str(tmp_path))
    programs.check_same_result(programs.run_scratch(*options, kernels=str(tmp_path)), floats)


def test_programs_of_scratch_are_measured_without_keras(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    run = programs.Run(1.0, 200_000_000, "Test loss 0.1000, test accuracy 0.9000")
    for name in ("run_scratch", "run_scratch_floats", "run_scratch_cold"):
        monkeypatch.setattr(programs, name, lambda *_, **__: run)
    monkeypatch.setattr(programs, "run_keras", pytest.fail)
    monkeypatch.setattr(question, "missing_packages", lambda kind: "Keras is skipped.")
    monkeypatch.setattr(question, "_limit_allocations", lambda session: None)
    session = Session(task, quick=True, results=Results(environment={}))
    question.measure_program(session)
    assert session.results.remarks == ["Keras is skipped."]
    assert [row.ratio for row in session.results.rows] == [None, None, None]
    assert [limit.values for limit in session.results.limits] == [[2e8], [2e8]]


@pytest.mark.slow
def test_limits_of_the_program(task: Task) -> None:
    session = Session(task, results=Results(environment={}, raw={"program": {}}))
    question._limit_peaks(session, {"cached": [240e6, 251e6, 249e6]}, "10 epochs")
    question._limit_allocations(session)
    limits = session.results.limits
    assert [limit.name.rsplit(" ", 1)[1] for limit in limits] == ["bytes", "float32", "bytes", "float32", "float64"]
    assert [limit.is_reached for limit in limits] == [True, None, True, True, True]
    assert limits[0].at_most.text("MB") == "250 MB"
    assert limits[1].note == "10 epochs, the training digits are 25.1 MB of it"
    assert limits[2].at_most.limit == task.x.size
    assert limits[2].values == [session.results.raw["program"]["allocated"]["bytes"]]

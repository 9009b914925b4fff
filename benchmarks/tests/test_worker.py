"""Workers: the same answers as in this process, and one line, no hang, when something goes wrong."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.measurement import environment, programs
from benchmarks.measurement.questions import Session
from benchmarks.measurement.tasks import dense
from benchmarks.measurement.worker import Bench, Worker, WorkerError
from benchmarks.peers import base as peers
from benchmarks.peers.base import PEERS, Entry, missing
from benchmarks.reports.text import Results

TASK = dense(batch=4, width=8, depth=1, steps=3)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker("in-place") as started:
        started.open(TASK)
        yield started


def test_a_worker_computes_what_this_process_does(worker: Worker) -> None:
    here = Bench("in-place")
    here.open(TASK)
    for got, wanted in zip(worker.evidence().values(), here.evidence().values(), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("question", ["epoch", "step", "predict 3", "call 1"])
def test_a_worker_measures(worker: Worker, question: str) -> None:
    assert 0 < worker.measure(question, at_least=1e-4) < 60


def test_a_failure_is_one_line_and_the_worker_lives_on(worker: Worker) -> None:
    with pytest.raises(WorkerError, match=r"^in-place NumPy failed: KeyError: 'dance'$"):
        worker.measure("dance 3")
    assert worker.measure("step") > 0


def test_a_worker_that_dies_says_how() -> None:
    with Worker("in-place") as worker:
        worker.open(TASK)
        worker.process.kill()
        with pytest.raises(WorkerError, match=r"^in-place NumPy died with status -9: it said nothing$"):
            worker.measure("epoch")


def test_a_worker_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "unknown", Entry("somebody", "nowhere:Nobody"))
    with Worker("unknown") as worker, pytest.raises(WorkerError, match=r"^somebody died .*KeyError: 'unknown'$"):
        worker.open(TASK)


def test_a_worker_that_hangs_is_stopped() -> None:
    with Worker("in-place", patience=0.01) as worker:
        with pytest.raises(WorkerError, match=r"^in-place NumPy gave no answer in 0.01 s and was stopped.$"):
            worker.open(TASK)
        assert worker.process.poll() is not None


def test_a_peer_that_is_not_installed_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    line = "plain PyTorch is left out, without torch: python -m pip install -e '.[peers]'"
    assert missing("torch") == line
    assert missing("scikit-learn").startswith("scikit-learn is left out, without scikit-learn: ")
    assert missing("keras-tensorflow").endswith("without keras and tensorflow: python -m pip install -e '.[keras]'")
    assert missing("keras-jax").endswith("without keras and jax: python -m pip install -e '.[peers]'")
    assert missing("numba") is missing("products") is None
    session = Session(TASK, results=Results(environment={}))
    with session.team(["torch", "in-place"]) as team:
        assert list(team) == ["in-place"]
    assert session.results.remarks == [line]


def test_a_peer_that_is_refused_or_dies_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(TASK, results=Results(environment={}))
    with session.team(["in-place", "numpy"]) as team:
        team["in-place"].process.kill()
        assert list(session.prove(team, TASK)) == ["numpy"]
    assert session.results.remarks == ["in-place NumPy died with status -9: it said nothing"]


def test_a_program_costs_time_and_memory() -> None:
    """What it fills with 200 MB needs 200 MB more; what this process holds does not count."""
    small = programs.run("-c", "print('done')")
    assert small.output == "done\n"
    assert 0 < small.seconds < 60
    big = programs.run("-c", "x = bytearray(b'1') * 200_000_000")
    assert 180e6 < big.peak - small.peak < 300e6
    ballast = np.ones(40_000_000)
    assert programs.run("-c", "pass").peak < ballast.nbytes / 2


def test_a_program_that_fails_is_one_line() -> None:
    with pytest.raises(programs.ProgramError, match=r"ended with status 1: ValueError: no$"):
        programs.run("-c", "raise ValueError('no')")


def test_the_environment_is_recorded() -> None:
    found = environment.record()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["packages"]["numpy"] == np.__version__
    assert found["cores"] >= 1
    assert found["blas"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "speed"], "--only knows epoch, inference, program, grid, start, threads; got 'speed'."),
        (["--data", "nowhere.npz"], "nowhere.npz does not exist; expected mnist.npz or a folder with the IDX files."),
    ],
)
def test_wrong_words_are_one_sentence(
    options: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MNIST_PATH", "")
    assert main(["--output", str(tmp_path), *options]) == 2
    assert capsys.readouterr().err == f"python -m benchmarks: {message}\n"


def test_an_output_that_is_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    assert main(["--output", str(file)]) == 2
    said = f"python -m benchmarks: --output needs a folder that can be written to; {file} is none.\n"
    assert capsys.readouterr().err == said

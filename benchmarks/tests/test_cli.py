"""Test the command line: options, where results are written, progress, and failures."""

import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import cli
from benchmarks.cli import main
from benchmarks.measurement import environment
from benchmarks.measurement.progress import Progress
from benchmarks.measurement.results import Results
from benchmarks.measurement.worker import WorkerError
from benchmarks.questions.session import Session, Workers
from benchmarks.tasks import dense_task


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--only", "speed"],
            "--only must be some of epoch, variants, inference, program, grid, start, threads; got 'speed'.",
        ),
        (["--data", "nowhere.npz"], "nowhere.npz does not exist; expected mnist.npz or a folder with the IDX files."),
    ],
)
def test_invalid_option_is_one_sentence(
    options: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MNIST_PATH", "")
    assert main(["--output", str(tmp_path), *options]) == 2
    assert capsys.readouterr().err == f"python -m benchmarks: {message}\n"


@pytest.mark.parametrize("output", ["", "file"])
def test_output_must_be_a_folder(
    output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main(["--output", output]) == 2
    expected = "python -m benchmarks: --output must be a folder that can be written to; got "
    assert capsys.readouterr().err.startswith(expected)


def test_default_output_is_a_new_folder_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.pooch, "os_cache", lambda project: str(tmp_path / project))
    folder = cli._output_folder(None)
    assert folder.is_dir()
    assert folder.parent == tmp_path / "scratch-keras" / "benchmarks"


def test_log_has_a_line_for_every_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line names the series, the peer, the result and the time left; the warm-up is one of the measurements."""

    class FixedRunner:
        def measure(self, workload: str, min_seconds: float) -> float:
            return 0.0123

    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # no pauses between the measurements
    log = StringIO()
    workers: Workers = {kind: FixedRunner() for kind in ("numba", "torch")}  # type: ignore[misc]
    with Progress(Console(file=log, width=200)) as progress:
        session = Session(dense_task(4, 8, 1, steps=3), results=Results(environment={}), progress=progress)
        session.measure(workers, "epoch", rounds=1)
    lines = log.getvalue().splitlines()
    assert [line.split(", about")[0] for line in lines] == [
        "epoch 1/4: scratch, numba 12.3 ms",
        "epoch 2/4: plain PyTorch 12.3 ms",
        "epoch 3/4: scratch, numba 12.3 ms",
        "epoch 4/4: plain PyTorch 12.3 ms",
    ]
    assert lines[-1].endswith(", about 0 s left")


def test_busy_machine_is_announced_before_the_first_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log that is no terminal has the warning before the line of the question, and the folder of the results."""

    def ask(session: Session) -> None:
        session.progress.start("series", 1)
        session.progress.advance("a peer 1.00 s")

    monkeypatch.setattr(cli, "QUESTIONS", {"first": ask})
    monkeypatch.setattr(environment.os, "getloadavg", lambda: (64.0, 64.0, 64.0))
    assert main(["--only", "first", "--output", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Results are written to {tmp_path}."
    assert lines[1].startswith("Warning: the machine was busy: the load average before the first measurement was 64.0")
    assert lines[2:4] == ["Question 1 of 1: first", "series 1/1: a peer 1.00 s, about 0 s left"]


def test_failed_question_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(session: Session) -> None:
        raise WorkerError("the process ended")

    monkeypatch.setattr(cli, "QUESTIONS", {"first": fail, "second": lambda session: session.results.remark("asked")})
    session = Session(dense_task(4, 8, 1, steps=3), results=Results(environment={}))
    cli._ask(["first", "second"], session, tmp_path)
    assert session.results.failures == ["first: the process ended"]
    assert session.results.remarks == ["asked"]
    assert (tmp_path / "results.json").exists()

"""``python -m scratch --save --resume`` is killed at random moments and while it writes files, and is run again.

Each run is a process that gets SIGKILL; the same command is repeated until it completes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from parity_tests.conftest import save_some
from scratch.datasets import mnist
from scratch.models import load_model

KILLS, SECONDS = 50, 1.5  # SECONDS: about the time of a run that is not killed
OPTIONS = ["--epochs", "30", "--batch-size", "50", "--momentum", "0.9", "--quiet"]


@dataclass
class Tally:
    """Counts what the kills interrupted."""

    kills: int = 0
    partly_written: set[str] = field(default_factory=set)  # temporary files that were left
    saved: int = 0  # the model was saved, and the backup not yet deleted
    resumed: int = 0  # runs that found a backup
    completed: int = 0


def start(folder: Path, data: str, backend: str, *more: str) -> subprocess.Popen[bytes]:
    files = ["--save", str(folder / "model.keras"), "--history", str(folder / "history.csv")]
    command = [sys.executable, "-m", "scratch", "--data", data, "--backend", backend, *OPTIONS, *files, *more]
    # With more threads, processes on a busy machine wait for each other.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)


def temporary_files(folder: Path) -> list[str]:
    return [
        name for place in (folder, folder / "backup") if place.is_dir() for name in os.listdir(place) if ".part" in name
    ]


def bits(folder: Path) -> list[bytes]:
    """Return the results of a run: the weights, the optimizer variables and the history."""
    model = load_model(folder / "model.keras")
    assert model.optimizer is not None
    arrays = [*model.get_weights(), *model.optimizer.variables]
    return [*(array.tobytes() for array in arrays), (folder / "history.csv").read_bytes()]


def wait(process: subprocess.Popen[bytes], until: Callable[[], bool], seconds: float) -> None:
    """Wait until the condition holds, the process has ended, or the time is over."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end and not until():
        time.sleep(0.0002)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_at_any_moment(backend: str, digits: mnist.Dataset, tmp_path: Path) -> None:
    """25 kills with each backend: a third of them while a file is written, some after the model is saved."""
    data = save_some(digits, tmp_path / "digits.npz", train=2000, test=500)
    never_killed = tmp_path / "never killed"
    never_killed.mkdir()
    with start(never_killed, data, backend) as process:
        assert process.wait() == 0
    expected, tally, rng = bits(never_killed), Tally(), np.random.default_rng()

    while tally.kills < KILLS // 2 or tally.completed == 0:
        folder = tmp_path / f"run {tally.completed}"
        folder.mkdir()
        ended = False
        while not ended:
            ended = run_once(folder, data, backend, tally, rng)
        assert bits(folder) == expected
        assert sorted(os.listdir(folder)) == ["history.csv", "model.keras"]  # no backup, no temporary files
        tally.completed += 1
    print(tally)
    assert tally.resumed >= 5
    assert any(name.endswith(".npz") for name in tally.partly_written)


def run_once(folder: Path, data: str, backend: str, tally: Tally, rng: np.random.Generator) -> bool:
    """Run the command, and kill it if there are kills left; return whether it completed."""
    backup = folder / "backup" / "latest.npz"
    tally.resumed += backup.exists()
    with start(folder, data, backend, "--resume", str(folder / "backup")) as process:
        if tally.kills < KILLS // 2:
            wait(process, lambda: False, rng.uniform(0, SECONDS))
            if tally.kills % 3 == 1:
                wait(process, lambda: bool(temporary_files(folder)), 60)
            elif tally.kills % 5 == 2:
                wait(process, (folder / "model.keras").exists, 60)
            process.kill()
        assert process.stderr is not None
        error_output = process.stderr.read().decode()
        ended = process.wait() == 0
    assert process.returncode in (0, -9), error_output
    if not ended:
        tally.kills += 1
        tally.partly_written.update(temporary_files(folder))
        tally.saved += (folder / "model.keras").exists() and backup.exists()
    return ended

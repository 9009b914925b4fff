"""``python -m scratch --save --resume``, killed at random moments and in the middle of writing, and started again.

As a person would do it: processes, SIGKILL, the same command again until it has come to its end.
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

KILLS, SECONDS = 50, 1.5  # SECONDS: about what one whole training takes
OPTIONS = ["--epochs", "30", "--batch-size", "50", "--momentum", "0.9", "--quiet"]


@dataclass
class Tally:
    """What the kills met."""

    kills: int = 0
    torn: set[str] = field(default_factory=set)  # files that were being written
    between: int = 0  # model saved, backup still there
    resumed: int = 0
    whole: int = 0  # trainings that came to their end


def start(folder: Path, data: str, backend: str, *more: str) -> subprocess.Popen[bytes]:
    files = ["--save", str(folder / "model.keras"), "--history", str(folder / "history.csv")]
    command = [sys.executable, "-m", "scratch", "--data", data, "--backend", backend, *OPTIONS, *files, *more]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # on a busy machine more would wait for each other
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)


def parts(folder: Path) -> list[str]:
    return [
        name for place in (folder, folder / "backup") if place.is_dir() for name in os.listdir(place) if ".part" in name
    ]


def bits(folder: Path) -> list[bytes]:
    """All that a training leaves: weights, optimizer and history."""
    model = load_model(folder / "model.keras")
    assert model.optimizer is not None
    arrays = [*model.get_weights(), *model.optimizer.variables]
    return [*(array.tobytes() for array in arrays), (folder / "history.csv").read_bytes()]


def wait(process: subprocess.Popen[bytes], until: Callable[[], bool], seconds: float) -> None:
    """Wait for the moment to kill, or for the end of the process."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end and not until():
        time.sleep(0.0002)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_at_any_moment(backend: str, digits: mnist.Dataset, tmp_path: Path) -> None:
    """50 kills in all, 25 with each backend: a third while a file is being written, some when the model is saved."""
    data = save_some(digits, tmp_path / "digits.npz", train=2000, test=500)
    never_killed = tmp_path / "never killed"
    never_killed.mkdir()
    with start(never_killed, data, backend) as process:
        assert process.wait() == 0
    expected, tally, rng = bits(never_killed), Tally(), np.random.default_rng()

    while tally.kills < KILLS // 2 or tally.whole == 0:
        folder = tmp_path / f"training {tally.whole}"
        folder.mkdir()
        ended = False
        while not ended:
            ended = run_once(folder, data, backend, tally, rng)
        assert bits(folder) == expected
        assert sorted(os.listdir(folder)) == ["history.csv", "model.keras"]  # no backup, nothing half written
        tally.whole += 1
    print(tally)
    assert tally.resumed >= 5
    assert any(name.startswith(".latest.npz") for name in tally.torn)


def run_once(folder: Path, data: str, backend: str, tally: Tally, rng: np.random.Generator) -> bool:
    """Start the command, and kill it as long as there are kills left; return whether it came to its end."""
    backup = folder / "backup" / "latest.npz"
    tally.resumed += backup.exists()
    with start(folder, data, backend, "--resume", str(folder / "backup")) as process:
        if tally.kills < KILLS // 2:
            wait(process, lambda: False, rng.uniform(0, SECONDS))
            if tally.kills % 3 == 1:
                wait(process, lambda: bool(parts(folder)), 60)
            elif tally.kills % 5 == 2:
                wait(process, (folder / "model.keras").exists, 60)
            process.kill()
        assert process.stderr is not None
        said = process.stderr.read().decode()
        ended = process.wait() == 0
    assert process.returncode in (0, -9), said
    if not ended:
        tally.kills += 1
        tally.torn.update(parts(folder))
        tally.between += (folder / "model.keras").exists() and backup.exists()
    return ended

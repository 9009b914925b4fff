"""Whole programs, from the start of the process to its end: seconds and peak memory.

Three kinds of start are told apart: ``cold``, the first ever, with no compiled kernel anywhere; ``cached``, with the
kernels of an earlier run on disk; and, in ``questions.py``, steps of a process that has compiled them already.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measurement.same import DifferentError
from benchmarks.measurement.worker import ROOT

LAUNCH = str(Path(__file__).with_name("launch.py"))
RESULT = re.compile(r"Test loss (\d+\.\d+), test accuracy (\d+\.\d+)")
# Printed with four digits.  Ten epochs side by side end within 1e-4 in the loss and two digits of 10,000 in accuracy
# (parity_tests); one unit more in the last place for the rounding of what is printed.
LOSS, ACCURACY = 2e-4, 3e-4


class ProgramError(RuntimeError):
    """A program that failed; the message has its last line."""


@dataclass(frozen=True)
class Run:
    """What a program cost and said."""

    seconds: float
    peak: int
    output: str


def run(*arguments: str, **variables: str) -> Run:
    """Run Python with those arguments and, on top of ours, those environment variables.

    Raises:
        ProgramError: if it fails.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        command = [sys.executable, "-I", "-S", LAUNCH, str(result), sys.executable, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        cost = json.loads(result.read_text()) if result.exists() else {"status": done.returncode}
    if cost["status"]:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise ProgramError(f"python {' '.join(arguments)} ended with status {cost['status']}: {last}")
    return Run(cost["seconds"], cost["peak"], done.stdout)


def no_kernels() -> AbstractContextManager[str]:
    """A folder for compiled kernels, with none in it; gone at the end."""
    return tempfile.TemporaryDirectory(prefix="kernels-")


def scratch(*options: str, kernels: str) -> Run:
    """Run ``python -m scratch`` with its compiled kernels in that folder."""
    return run("-m", "scratch", "--quiet", *options, NUMBA_CACHE_DIR=kernels)


def scratch_cold(*options: str) -> Run:
    """Run it as if for the first time ever."""
    with no_kernels() as kernels:
        return scratch(*options, kernels=kernels)


def keras(*options: str) -> Run:
    """Run ``python -m keras_impl`` on TensorFlow."""
    return run("-m", "keras_impl", "--quiet", *options, KERAS_BACKEND="tensorflow")


def check_same(ours: Run, theirs: Run) -> None:
    """Refuse programs that don't end alike.

    Raises:
        DifferentError: if test loss or accuracy differ by more than rounding.
    """
    texts = [side.output.strip() for side in (ours, theirs)]
    found = [RESULT.search(text) for text in texts]
    if None not in found:
        (loss, accuracy), (other_loss, other_accuracy) = ([float(n) for n in match.groups()] for match in found)
        if abs(loss - other_loss) <= LOSS and abs(accuracy - other_accuracy) <= ACCURACY:
            return
    raise DifferentError(f"The programs are not timed: they don't end alike: {texts[0]!r} and {texts[1]!r}.")

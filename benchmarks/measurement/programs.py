"""Run whole programs, from the start of the process to its end, and measure their time and peak memory.

A program starts in one of two states: *cold*, the first run ever, without compiled kernels on disk; or *cached*, with
the compiled kernels of an earlier run on disk.
"""

import json
import re
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measurement.same import DifferentError
from benchmarks.measurement.worker import child_environment

LAUNCH = str(Path(__file__).with_name("launch.py"))
RESULT = re.compile(r"Test loss (\d+\.\d+), test accuracy (\d+\.\d+)")
# The programs print four digits. After ten epochs with the same batches, losses differ by at most 1e-4 and accuracies
# by two of 10,000 digits (parity_tests); one more unit in the last place allows for the rounding of printed numbers.
LOSS_TOLERANCE, ACCURACY_TOLERANCE = 2e-4, 3e-4


class ProgramError(RuntimeError):
    """A program that failed; the message contains its last line of error output."""


@dataclass(frozen=True)
class Run:
    """One run of a program.

    Attributes:
        seconds: from the start of the process to its end.
        peak: peak memory in bytes.
        output: what the program printed.
    """

    seconds: float
    peak: int
    output: str


def run_python(*arguments: str, **variables: str) -> Run:
    """Run ``python`` with the given arguments and additional environment variables.

    Raises:
        ProgramError: if the program fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "result.json")
        command = [sys.executable, "-I", "-S", LAUNCH, str(file), sys.executable, *arguments]
        completed = subprocess.run(command, capture_output=True, text=True, env=child_environment(**variables))
        result = json.loads(file.read_text()) if file.exists() else {"status": completed.returncode}
    if result["status"]:
        last = (completed.stderr.strip() or "no error output").splitlines()[-1]
        raise ProgramError(f"python {' '.join(arguments)} ended with status {result['status']}: {last}")
    return Run(result["seconds"], result["peak"], completed.stdout)


def empty_kernel_cache() -> AbstractContextManager[str]:
    """Return a temporary folder for compiled kernels, as a context manager."""
    return tempfile.TemporaryDirectory(prefix="kernels-")


def run_scratch(*options: str, kernels: str) -> Run:
    """Run ``python -m scratch`` with the folder ``kernels`` as the cache of compiled kernels."""
    return run_python("-m", "scratch", "--quiet", *options, NUMBA_CACHE_DIR=kernels)


def run_scratch_floats(*options: str, kernels: str) -> Run:
    """Run ``python -m scratch`` on float32 digits instead of bytes."""
    return run_python("-m", "benchmarks.measurement.float_program", "--quiet", *options, NUMBA_CACHE_DIR=kernels)


def run_scratch_cold(*options: str) -> Run:
    """Run ``python -m scratch`` without compiled kernels on disk."""
    with empty_kernel_cache() as kernels:
        return run_scratch(*options, kernels=kernels)


def run_keras(*options: str) -> Run:
    """Run ``python -m keras_impl`` on TensorFlow."""
    return run_python("-m", "keras_impl", "--quiet", *options, KERAS_BACKEND="tensorflow")


def check_same_result(scratch: Run, other: Run) -> None:
    """Compare the test loss and the test accuracy that two programs printed.

    Raises:
        DifferentError: if they differ by more than rounding, or were not printed.
    """
    matches = [RESULT.search(run.output) for run in (scratch, other)]
    if None not in matches:
        (loss, accuracy), (other_loss, other_accuracy) = ([float(n) for n in match.groups()] for match in matches)
        if abs(loss - other_loss) <= LOSS_TOLERANCE and abs(accuracy - other_accuracy) <= ACCURACY_TOLERANCE:
            return
    raise DifferentError(
        "The programs are not timed: their final results differ: "
        f"{scratch.output.strip()!r} and {other.output.strip()!r}."
    )

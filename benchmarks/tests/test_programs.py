"""Test the measurement of whole programs, the comparison of their results, and the record of the environment."""

import sys

import numpy as np
import pytest

from benchmarks.measurement import environment, programs
from benchmarks.measurement.same import DifferentError


def test_program_has_time_and_peak_memory() -> None:
    """Filling 200 MB adds 200 MB to the peak memory; the memory of this process does not count."""
    small = programs.run_python("-c", "print('done')")
    assert small.output == "done\n"
    assert 0 < small.seconds < 60
    large = programs.run_python("-c", "x = bytearray(b'1') * 200_000_000")
    assert 180e6 < large.peak - small.peak < 300e6
    ballast = np.ones(40_000_000)
    assert programs.run_python("-c", "pass").peak < ballast.nbytes / 2


def test_failed_program_is_one_line() -> None:
    with pytest.raises(programs.ProgramError, match=r"ended with status 1: ValueError: no$"):
        programs.run_python("-c", "raise ValueError('no')")


def test_programs_with_different_results_are_rejected() -> None:
    def run(loss: float, accuracy: float) -> programs.Run:
        return programs.Run(1.0, 1, f"Test loss {loss:.4f}, test accuracy {accuracy:.4f}, 1.0 s for 10 epochs.\n")

    programs.check_same_result(run(0.2, 0.94), run(0.2001, 0.9402))
    for other in (run(0.2003, 0.94), run(0.2, 0.9405), programs.Run(1.0, 1, "Nothing.")):
        with pytest.raises(DifferentError, match=r"their final results differ: 'Test loss 0.2000, "):
            programs.check_same_result(run(0.2, 0.94), other)


def test_environment_is_recorded() -> None:
    recorded = environment.record()
    assert recorded["python"] == ".".join(map(str, sys.version_info[:3]))
    assert recorded["packages"]["numpy"] == np.__version__
    assert recorded["cores"] >= 1
    assert recorded["load"] >= 0
    assert recorded["blas"]

"""No HDF5 file with damaged structures crashes the reader, or takes much time or memory: see ``hdf5_mutants.py``."""

import itertools
import json
import os
import subprocess
import sys
from collections import Counter

import pytest

IMPORTS = "import faulthandler, os, time; from parity_tests.robustness import hdf5_mutants; faulthandler.enable()"
FILES = ("model", "earliest", "mixed", "latest")


def run(*calls: str, before: str = "") -> Counter[str]:
    """Call functions of ``hdf5_mutants``, each in a process of its own, and return the sum of the printed results.

    Args:
        calls: such as ``"main(0, 100)"``.
        before: statements that the processes execute first.
    """
    commands = [[sys.executable, "-c", f"{IMPORTS}\n{before}\nhdf5_mutants.{call}"] for call in calls]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = [subprocess.Popen(command, text=True, **pipes) for command in commands]
    results: Counter[str] = Counter()
    for process in started:
        out, err = process.communicate()
        *mutants, last = out.splitlines() or [""]
        assert process.returncode == 0, f"exit status {process.returncode} at mutant {last}:\n{err}"
        result = json.loads(last)
        assert sum(result.values()) == len(mutants)
        results.update(result)
    return results


def run_seeds(first: int, count: int) -> Counter[str]:
    """Read the mutants of ``count`` seeds, in one process for each processor."""
    workers = len(os.sched_getaffinity(0))
    limits = [first + count * i // workers for i in range(workers + 1)]
    return run(*(f"main({a}, {b - a})" for a, b in itertools.pairwise(limits)))


@pytest.mark.slow
def test_400_mutants() -> None:
    results = run_seeds(0, 400)
    assert results.total() == 400
    assert set(results) == {"model read", "earliest read", *(f"{name} rejected" for name in FILES)}


@pytest.mark.slow
def test_25000_mutants() -> None:
    results = run_seeds(400, 25_000)
    assert results.total() == 25_000
    assert min(results[f"{name} rejected"] for name in FILES) > 2000
    assert min(results["model read"], results["earliest read"]) > 2000


@pytest.mark.slow
def test_every_byte_of_fractal_heaps() -> None:
    """With h5py, libhdf5 1.14 ends the process at many of these bytes."""
    results = run("main_fractal_heaps()")
    assert set(results) == {"mixed rejected", "latest rejected"}
    assert results.total() > 5000


# --- the limits themselves ----------------------------------------------------------------------------------------

READERS = {
    "crash": ("lambda content: os.kill(os.getpid(), 11)", "exit status -11 at mutant 5:"),
    "endless loop": ("lambda content: any(False for _ in iter(int, 1))", "exit status 1 at mutant 5:.*Timeout"),
    "slow": ("lambda content: sum(range(10**7)) and {}", "exit status 1 at mutant 5:.*s for one file"),
    "memory": ("lambda content: bytearray(300_000_000)", "exit status 1 at mutant 5:.*MemoryError"),
    "other error": ("lambda content: 1 // 0", "exit status 1 at mutant 5:.*ZeroDivisionError"),
}
PLANT = """
from parity_tests.robustness import damage
prepare = hdf5_mutants.prepare
def plant():
    prepare()
    hdf5_mutants.read_datasets = {reader}
hdf5_mutants.prepare, damage.SECONDS, damage.TIMEOUT = plant, {seconds}, {timeout}
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_limits_of_the_process(name: str) -> None:
    reader, message = READERS[name]
    limits = {"seconds": 0.05 if name == "slow" else 100, "timeout": 0.2 if name == "endless loop" else 100}
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        run("main(5, 1)", before=PLANT.format(reader=reader, **limits))

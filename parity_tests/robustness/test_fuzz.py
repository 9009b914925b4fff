"""No damaged file crashes a reader, takes much time or memory, or is read wrongly: see ``fuzz.py``."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest


def fuzz(first: int, count: int) -> Counter[str]:
    """Read the files of ``count`` seeds, and return how many of each format were read and how many rejected.

    The files are read in one process for each processor: a crash, a timeout or the limit on memory would end the tests.
    """
    workers = len(os.sched_getaffinity(0))
    counts = [count // workers + (i < count % workers) for i in range(workers)]
    started = []
    for seeds in counts:
        command = [sys.executable, "-m", "parity_tests.robustness.fuzz", str(first), str(seeds)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, text=True, **pipes))
        first += seeds
    results: Counter[str] = Counter()
    for process, seeds in zip(started, counts, strict=True):
        out, err = process.communicate()
        *printed, last = out.splitlines() or [""]
        assert process.returncode == 0, f"exit status {process.returncode} at seed {last}:\n{err}"
        assert len(printed) == seeds
        results.update(json.loads(last))
    assert results.total() == count
    return results


@pytest.mark.slow
def test_300_damaged_files() -> None:
    formats = {name.rpartition(" ")[0] for name in fuzz(0, 300)}
    assert formats == {".keras", ".weights.h5", ".npz", "idx", "gzip"}


@pytest.mark.slow
def test_25000_damaged_files() -> None:
    results = fuzz(300, 25_000)
    for name in (".keras", ".weights.h5", ".npz", "idx", "gzip"):
        assert results[f"{name} read"] > 50  # the damage is small enough that more than the beginning is read
        assert results[f"{name} rejected"] > 2000

"""No damaged file crashes, hangs, fills the memory or is believed: see ``parity_tests.robustness.fuzz``."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest


def fuzz(first: int, count: int) -> Counter[str]:
    """Read the files of that many seeds, in as many processes as there are processors; how many were read or refused.

    A limit on memory, a crash or a hang would end the tests themselves: hence processes of their own.
    """
    workers = len(os.sched_getaffinity(0))
    shares = [count // workers + (i < count % workers) for i in range(workers)]
    started = []
    for share in shares:
        command = [sys.executable, "-m", "parity_tests.robustness.fuzz", str(first), str(share)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, text=True, **pipes))
        first += share
    found: Counter[str] = Counter()
    for process, share in zip(started, shares, strict=True):
        out, err = process.communicate()
        *seeds, last = out.splitlines() or [""]
        assert process.returncode == 0, f"it ended with {process.returncode} at seed {last}:\n{err}"
        assert len(seeds) == share
        found.update(json.loads(last))
    assert found.total() == count
    return found


def test_a_few_hundred_damaged_files() -> None:
    found = fuzz(0, 300)
    kinds = {name.rpartition(" ")[0] for name in found}
    assert kinds == {".keras", ".weights.h5", ".npz", "idx", "gzip"}


@pytest.mark.slow
def test_twenty_thousand_damaged_files() -> None:
    found = fuzz(300, 25_000)
    for kind in (".keras", ".weights.h5", ".npz", "idx", "gzip"):
        assert found[f"{kind} read"] > 50  # the damage is not so great that nothing but the beginning is looked at
        assert found[f"{kind} refused"] > 2000

"""Programs in processes that are forked from one that has imported Numba and compiled with it, which takes a second."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numba
import numpy as np
from numba.core import config

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload([__name__])


@numba.njit
def _sum(x: np.ndarray) -> float:
    total = np.zeros(x.shape[1], x.dtype)
    for row in x:
        total += row
    return total[0]


_sum(np.ones((1, 1), np.float32))  # Numba loads most of its compiler when it first compiles


def run_forked(program: str, cwd: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program in a new process that has Numba, but nothing of this repository, for two minutes at most.

    Args:
        program: source code.
        cwd: working directory, whose packages the program imports first.
        environment: all environment variables.
    """
    with tempfile.TemporaryDirectory() as folder:
        outputs = Path(folder, "out"), Path(folder, "err")
        process = context.Process(target=_execute, args=(program, cwd, environment, outputs))
        process.start()
        process.join(120)
        out, err = (path.read_text("utf-8") for path in outputs)
        return subprocess.CompletedProcess(program, process.exitcode, out, err)


def _execute(program: str, cwd: Path, environment: dict[str, str], outputs: tuple[Path, Path]) -> None:
    """Execute a program as ``python -c`` does, with its standard output and standard error in two files."""
    for descriptor, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    config.reload_config()
    sys.path.insert(0, str(cwd))
    exec(program, {"__name__": "__main__"})

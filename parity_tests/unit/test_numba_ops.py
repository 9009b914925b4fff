"""``backend="numba"`` if Numba is missing, broken, too old or must not compile: an error, and ``numpy`` still works."""

import os
from pathlib import Path

import pytest

from parity_tests.unit.kernels import run_python

BOTH_BACKENDS = """
import numpy as np, sys
from scratch.models import Sequential
from scratch.layers import Dense
for _ in range(2):
    try:
        Sequential([Dense(3)], backend="numba")
    except ImportError as error:
        print(error)
model = Sequential([Dense(3, "softmax")], backend="numpy")
model.compile("sgd", "sparse_categorical_crossentropy")
print(len(model.fit(np.ones((4, 2)), np.zeros(4, int), verbose=0).history["loss"]))
from argparse import Namespace
from scratch.cli.terminal import run_command
from scratch.cli.train import ScratchProgram
program = ScratchProgram(Namespace(seed=0, hidden=[3], backend="numba"))
print(run_command("scratch", lambda: program.make_model(784, 10) and 0))
"""
HALTED = "import sys; sys.modules['numba'] = None\n"


def check_numba_fails(program: str, **environment: str) -> str:
    """Run ``BOTH_BACKENDS``; check that "numpy" trains and "numba" fails twice alike; return the error's text."""
    done = run_python(program, **environment)
    first, second, epochs, status = done.stdout.splitlines()
    assert first == second
    assert (epochs, status) == ("1", "2")
    assert done.stderr == f"python -m scratch: {first}\n"
    return first


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (None, "import of numba halted; None in sys.modules"),
        ("raise ImportError('Numba needs NumPy 2.4 or less. Got NumPy 3.0.')", "Numba needs NumPy 2.4 or less"),
        (
            "raise ValueError('numpy.dtype size changed\\nmay indicate binary incompatibility')",
            "numpy.dtype size changed",
        ),
        ("raise OSError('libllvmlite.so: cannot open shared object file')", "libllvmlite.so: cannot open"),
        ("raise RuntimeError", "RuntimeError"),
        ("__version__ = '0.1'", "numba"),
    ],
)
def test_a_missing_or_broken_numba_is_an_import_error(tmp_path: Path, fault: str | None, reason: str) -> None:
    if fault is None:
        error = check_numba_fails(HALTED + BOTH_BACKENDS)
    else:
        (tmp_path / "numba").mkdir()
        (tmp_path / "numba" / "__init__.py").write_text(fault)
        path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
        error = check_numba_fails(BOTH_BACKENDS, PYTHONPATH=path)
    assert error.startswith("backend='numba' needs Numba, which cannot be loaded (")
    assert reason in error
    assert error.endswith("python -m pip install --upgrade numba, or use backend='numpy', which needs NumPy only.")


def test_a_numba_that_must_not_compile_is_an_import_error() -> None:
    error = check_numba_fails(BOTH_BACKENDS, NUMBA_DISABLE_JIT="1")
    assert "NUMBA_DISABLE_JIT=1 forbids it to compile; unset that" in error

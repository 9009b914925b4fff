"""Operations of the network: one module per backend, all with the same functions."""

import os
from functools import cache
from importlib import import_module
from types import ModuleType

from scratch.checks import check_name

BACKENDS = ("numpy", "numba")  # the NumPy reference, and the compiled version
MAX_THREADS = 1024  # of Numba; far more would exceed the system's limits, which ends the process without an exception


@cache
def get(backend: str) -> ModuleType:
    """Return the module of operations with that name, ``scratch.ops.numpy_ops`` or ``scratch.ops.numba_ops``.

    Numba is imported on the first call with ``'numba'``.

    Raises:
        ValueError: if there is no such backend; the message lists the known names.  For ``'numba'``, also if the
            environment variable ``NUMBA_NUM_THREADS`` is not an integer from 1 to ``MAX_THREADS``.
        ImportError: if Numba is missing or broken; the message says how to install it.
    """
    check_name("backend", backend, BACKENDS)
    if backend == "numba":
        _check_thread_count(os.environ.get("NUMBA_NUM_THREADS", "1"))
    try:
        return import_module(f"scratch.ops.{backend}_ops")
    except Exception as error:  # a broken package may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ImportError(
            f"backend='numba' needs Numba, which cannot be loaded ({reason}): "
            "python -m pip install --upgrade numba, or use backend='numpy', which needs NumPy only."
        ) from error


def _check_thread_count(text: str) -> None:
    if not (text.isdecimal() and len(text) <= len(str(MAX_THREADS)) and 1 <= int(text) <= MAX_THREADS):
        raise ValueError(
            f"The environment variable NUMBA_NUM_THREADS must be an integer from 1 to {MAX_THREADS}; got {text!r}. "
            "Change or unset it."
        )

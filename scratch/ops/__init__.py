"""The arithmetic, behind one seam: a backend is a module, and all backends have the same functions."""

from functools import cache
from importlib import import_module
from types import ModuleType

from scratch.utils import check_name

BACKENDS = ("numpy", "numba")  # the reference, and the same compiled


@cache
def get(backend: str) -> ModuleType:
    """Return the module of operations with that name, ``scratch.ops.numpy_ops`` or ``scratch.ops.numba_ops``.

    Numba is loaded when it is asked for, and no sooner.

    Raises:
        ValueError: if there is no such backend; the message lists the known ones.
        ImportError: if Numba is missing or broken; the message says how to mend it.
    """
    check_name("backend", backend, BACKENDS)
    try:
        return import_module(f"scratch.ops.{backend}_ops")
    except Exception as error:  # a broken package may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ImportError(
            f"backend='numba' needs Numba, which can't be loaded ({reason}): "
            "python -m pip install --upgrade numba, or use backend='numpy', which needs NumPy only."
        ) from error

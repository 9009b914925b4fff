"""Operations of the network: one module per backend, all with the same functions."""

from functools import cache
from importlib import import_module
from types import ModuleType

from scratch.utils import check_name

BACKENDS = ("numpy", "numba")  # the NumPy reference, and the compiled version


@cache
def get(backend: str) -> ModuleType:
    """Return the module of operations with that name, ``scratch.ops.numpy_ops`` or ``scratch.ops.numba_ops``.

    Numba is imported on the first call with ``'numba'``.

    Raises:
        ValueError: if there is no such backend; the message lists the known names.
        ImportError: if Numba is missing or broken; the message says how to install it.
    """
    check_name("backend", backend, BACKENDS)
    try:
        return import_module(f"scratch.ops.{backend}_ops")
    except Exception as error:  # a broken package may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ImportError(
            f"backend='numba' needs Numba, which cannot be loaded ({reason}): "
            "python -m pip install --upgrade numba, or use backend='numpy', which needs NumPy only."
        ) from error

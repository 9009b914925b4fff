"""The arithmetic, behind one seam: a backend is a module, and all backends have the same functions."""

from types import ModuleType

from scratch.ops import numpy_ops
from scratch.utils import check_name

BACKENDS: dict[str, ModuleType] = {
    "numpy": numpy_ops,
    "numba": numpy_ops,  # the reference stands in until the compiled core exists: the same results
}


def get(backend: str) -> ModuleType:
    """Return the module of operations with that name.

    Raises:
        ValueError: if there is no such backend; the message lists the known ones.
    """
    return BACKENDS[check_name("backend", backend, BACKENDS)]

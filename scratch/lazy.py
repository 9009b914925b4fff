"""Modules that are imported when they are first used (PEP 562), so that ``import scratch`` stays fast."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any


def exports(package: str, **modules: Sequence[str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package that imports some of its modules on first use.

    The package imports the same names under ``TYPE_CHECKING``, for type checkers and editors.

    Args:
        package: the full name of the package.
        **modules: for each module, the names that the package takes from it.
    """
    found = {name: module for module, names in modules.items() for name in (module, *names)}

    def load(name: str) -> Any:
        if name not in found:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{found[name]}")
        value = module if name == found[name] else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return load, lambda: sorted({*vars(sys.modules[package]), *found})

"""The catalogue of planted faults: mistakes that people make, each of which replaces one function of scratch.

A planted fault is a function with the mistake, decorated with what it replaces and the check that must catch it:

    @planted_fault(numpy_ops, "dense_forward", caught_by="trace")
    def bias_added_twice(x, W, b):
        "The bias is added twice."

A fault of the compiled core, whose functions are compiled into each other, replaces lines of source instead:

    planted_in_kernel(passes, "n = t.dtype.type(batch.n)", "n = …", name="…", mistake="…")

The modules of this package hold the faults, one module for each part of the network; ``faults.FAULTS`` has them all.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest import mock

from parity_tests.faults import switched
from parity_tests.faults.switched import Replacement
from scratch import ops
from scratch.ops import numpy_ops


@dataclass(frozen=True)
class PlantedFault:
    """A mistake, and where to put it.

    Attributes:
        name: an identifier, for example ``bias_added_twice``.
        mistake: one sentence that says what is wrong.
        target: the module or class of scratch whose attribute is replaced.
        attribute: the name of the attribute.
        replacement: the function with the mistake.
        caught_by: the name of the check that must catch it, one of ``checks.registry.CHECKS``.
        backends: the backends in which the fault can be planted.
    """

    name: str
    mistake: str
    target: Any
    attribute: str
    replacement: Callable[..., Any]
    caught_by: str
    backends: tuple[str, ...]

    @contextmanager
    def planted(self, backend: str) -> Iterator[None]:
        """Replace the attribute within the ``with`` block; an operation is replaced in the backend's module."""
        target = ops.get(backend) if self.target is numpy_ops else self.target
        with mock.patch.object(target, self.attribute, self.replacement):
            yield


@dataclass(frozen=True)
class KernelFault:
    """A mistake in a kernel of the compiled core.

    Attributes:
        name, mistake, caught_by, backends: as those of ``PlantedFault``.
        replacement: the lines that the fault replaces.
    """

    name: str
    mistake: str
    replacement: Replacement
    caught_by: str = "training"
    backends: tuple[str, ...] = ("numba",)

    def planted(self, backend: str) -> AbstractContextManager[None]:
        """Let ``fit`` use a compiled core with this fault within the ``with`` block."""
        del backend
        replacements = kernel_replacements()
        return switched.planted(replacements, replacements.index(self.replacement) + 1)


FAULTS: list[PlantedFault | KernelFault] = []


def kernel_replacements() -> Sequence[Replacement]:
    """Return the replacements of all faults of the compiled core."""
    return tuple(fault.replacement for fault in FAULTS if isinstance(fault, KernelFault))


def planted_in_kernel(module: ModuleType, original: str, faulty: str, *, name: str, mistake: str) -> None:
    """Enter a fault of the compiled core into the catalogue.

    Args:
        module: one of ``switched.COPIED``.
        original: complete lines of its source.
        faulty: the lines that replace them.
        name: an identifier.
        mistake: one sentence that says what is wrong.
    """
    FAULTS.append(KernelFault(name, mistake, Replacement(module, original, faulty)))


def planted_fault(
    target: Any, attribute: str, *, caught_by: str, backends: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function into the catalogue.

    Args:
        target: the module or class of scratch that has the attribute; ``numpy_ops`` stands for every backend's module.
        attribute: what the decorated function replaces.
        caught_by: the check that must catch the fault.
        backends: where it can be planted; default: both backends for an operation, otherwise NumPy.

    Raises:
        AttributeError: if the target has no such attribute.
    """
    getattr(target, attribute)
    where = tuple(backends) or (tuple(ops.BACKENDS) if target is numpy_ops else ("numpy",))

    def enter(replacement: Callable[..., Any]) -> Callable[..., Any]:
        mistake = (replacement.__doc__ or "").partition("\n")[0]
        FAULTS.append(PlantedFault(replacement.__name__, mistake, target, attribute, replacement, caught_by, where))
        return replacement

    return enter

"""The catalogue of planted faults: mistakes that people make, each of which replaces one function of scratch.

A planted fault is a function with the mistake, decorated with what it replaces and the check that must catch it:

    @planted_fault(numpy_ops, "dense_forward", caught_by="trace")
    def bias_added_twice(x, W, b):
        "The bias is added twice."

The modules of this package hold the faults, one module for each part of the network; ``faults.FAULTS`` has them all.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

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
    """

    name: str
    mistake: str
    target: Any
    attribute: str
    replacement: Callable[..., Any]
    caught_by: str

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends in which the fault can be planted: both for an operation, otherwise NumPy."""
        return tuple(ops.BACKENDS) if self.target is numpy_ops else ("numpy",)

    @contextmanager
    def planted(self, backend: str) -> Iterator[None]:
        """Replace the attribute within the ``with`` block; an operation is replaced in the backend's module."""
        target = ops.get(backend) if self.target is numpy_ops else self.target
        with mock.patch.object(target, self.attribute, self.replacement):
            yield


FAULTS: list[PlantedFault] = []


def planted_fault(target: Any, attribute: str, *, caught_by: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function into the catalogue.

    Args:
        target: the module or class of scratch that has the attribute; ``numpy_ops`` stands for every backend's module.
        attribute: what the decorated function replaces.
        caught_by: the check that must catch the fault.

    Raises:
        AttributeError: if the target has no such attribute.
    """
    getattr(target, attribute)

    def enter(replacement: Callable[..., Any]) -> Callable[..., Any]:
        mistake = (replacement.__doc__ or "").partition("\n")[0]
        FAULTS.append(PlantedFault(replacement.__name__, mistake, target, attribute, replacement, caught_by))
        return replacement

    return enter

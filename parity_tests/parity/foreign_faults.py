"""Faults in the networks of ``networks``: edits of their text, each with the mistakes whose sentences are right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from threadpoolctl import threadpool_limits

from parity_tests.diagnosis.examine import examine
from parity_tests.diagnosis.own_gradient import OwnGradient
from parity_tests.diagnosis.report import Report, make_report

Edit = tuple[str, str]  # old text and new text
NETWORKS = Path(__file__).parent / "networks"
SIZES = (20, 16, 12, 5)
NOT_ASKED = OwnGradient(None, "not asked")


@dataclass(frozen=True)
class Fault:
    """A mistake in the text of a network.

    Attributes:
        name: an identifier.
        edits: pairs of old and new text.
        mistakes: names of findings that are right for it, one of which must be the first.
        hidden: the activation of the hidden layers: Relu, Sigmoid or Tanh.
        settings: declared settings of SGD, which the right network and Keras use as well.
        dtypes: the dtypes in which the network computes when it can be seen.
        refused: part of the exception that the network raises for a usual batch; "" if it can be run.  The user is
            shown this exception and its line, and no finding.
    """

    name: str
    edits: tuple[Edit, ...]
    mistakes: tuple[str, ...]
    hidden: str = "Relu"
    settings: dict[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ("float64", "float32")
    refused: str = ""

    def factory(self, network: str, dtype: str | None) -> Callable[[], Any]:
        """Return a function that returns a fresh network with the fault."""
        return factory(network, self.edits, self.hidden, dtype, **self.settings)


def fault(name: str, old: str, new: str, *mistakes: str, **options: Any) -> Fault:
    """Return a fault that is one edit; further edits and other attributes are options."""
    more = options.pop("more", ())
    return Fault(name, ((old, new), *more), mistakes, **options)


def edited(source: str, edits: Sequence[Edit]) -> str:
    """Return a text with edits.

    Raises:
        ValueError: if an old text does not occur exactly once.
    """
    for old, new in edits:
        if source.count(old) != 1:
            raise ValueError(
                f"the text of a fault must occur once in the network; it occurs {source.count(old)} times: {old}"
            )
        source = source.replace(old, new)
    return source


@cache
def module_of(network: str, edits: tuple[Edit, ...]) -> ModuleType:
    """Return the module of a network with edits."""
    path = NETWORKS / f"{network}.py"
    module = ModuleType(network)
    exec(compile(edited(path.read_text("utf-8"), edits), str(path), "exec"), vars(module))
    return module


def factory(
    network: str, edits: tuple[Edit, ...] = (), hidden: str = "Relu", dtype: str | None = None, **settings: Any
) -> Callable[[], Any]:
    """Return a function that returns a fresh network with edits; the dtype None is that of its inputs."""
    return partial(module_of(network, tuple(edits)).Network, SIZES, hidden, dtype, **settings)


def diagnosis_of(factory: Callable[[], Any], **settings: Any) -> Report:
    """Return what is found in a network; its own loss is not differentiated."""
    with threadpool_limits(
        1
    ):  # several threads would wait for one another, PyTorch's ten times as long as they compute
        return make_report("network", examine(factory, **settings), NOT_ASKED)

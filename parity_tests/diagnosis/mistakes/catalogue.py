"""The dictionary of mistakes: what each one is, how to mend it, and the formula that it replaces.

A mistake is a function that takes the formulas of a network and returns them with one replaced:

    @mistake("The bias gradient is averaged over the batch.", "Sum it: db = np.sum(dout, axis=0).")
    def bias_gradient_averaged(f):
        return replace(f, bias_gradient=lambda layer, dz: f.bias_gradient(layer, dz) / len(dz))

It is written on top of the formulas that it gets, so that mistakes combine.  A mistake with a parameter takes it as its
second argument; the search fits it.  A mistake in a formula of
a layer is tried in all layers together and in each one alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from parity_tests.diagnosis.formulas import FIRST_STAGE, STAGES, Formulas

LAYER_FORMULAS = (
    "inputs",
    "affine",
    "activate",
    "slope",
    "flowing",
    "weight_gradient",
    "bias_gradient",
    "input_gradient",
    "update",
)


@dataclass(frozen=True)
class Mistake:
    """A mistake that can be made in a network.

    Attributes:
        name: an identifier, for example ``bias_gradient_averaged``.
        what: one sentence that says what is wrong; ``{p}`` stands for the parameter.
        remedy: one sentence that says what to change.
        change: (formulas) → formulas with the mistake, or (formulas, parameter) →.
        values: usual values of the parameter, the first guesses of the fit; empty if there is no parameter.
    """

    name: str
    what: str
    remedy: str
    change: Callable[..., Formulas]
    values: tuple[float, ...] = ()

    @cached_property
    def replaced(self) -> list[str]:
        """Names of the formulas that it replaces; none if it is about a setting of SGD that is not declared."""
        return _replaced(Formulas(), self.applied(Formulas(), *self.values[:1]))

    @property
    def in_one_layer(self) -> bool:
        """Whether it can be made in one layer alone: all formulas that it replaces belong to a layer."""
        return all(name in LAYER_FORMULAS for name in self.replaced)

    @cached_property
    def stage(self) -> str:
        """The first stage of which it can change a tensor."""
        return min((FIRST_STAGE.get(name, "gradients") for name in self.replaced), key=STAGES.index, default="steps")

    def applied(self, formulas: Formulas, parameter: float | None = None, layer: int | None = None) -> Formulas:
        """Return the formulas with this mistake: with a value of its parameter, in one layer or in all of them."""
        changed = self.change(formulas) if parameter is None else self.change(formulas, parameter)
        if layer is None:
            return changed
        names = _replaced(formulas, changed)
        return replace(formulas, **{name: _in_layer(layer, name, changed, formulas) for name in names})


def _replaced(formulas: Formulas, changed: Formulas) -> list[str]:
    """Return the names of the formulas in which two networks differ."""
    return [f.name for f in fields(Formulas) if getattr(changed, f.name) is not getattr(formulas, f.name)]


def _in_layer(index: int, name: str, mistaken: Formulas, right: Formulas) -> Callable[..., Any]:
    """Return a formula that is the mistaken one in the layer with this index, and the right one in others."""
    wrong, usual = getattr(mistaken, name), getattr(right, name)
    return lambda layer, *arguments: (wrong if layer.index == index else usual)(layer, *arguments)


MISTAKES: list[Mistake] = []


def mistake(
    what: str, remedy: str, *, values: tuple[float, ...] = ()
) -> Callable[[Callable[..., Formulas]], Callable[..., Formulas]]:
    """Enter the decorated function into the dictionary; see ``Mistake`` for the arguments."""

    def enter(change: Callable[..., Formulas]) -> Callable[..., Formulas]:
        MISTAKES.append(Mistake(change.__name__, what, remedy, change, values))
        return change

    return enter

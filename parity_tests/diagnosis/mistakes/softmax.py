"""Mistakes in the softmax of the last layer: they change the outputs, and the loss and gradient computed from them.

Each one is entered twice: in a network whose loss is computed from the mistaken probabilities, and in one whose loss is
computed from the logits and is right.  In both of them the gradient is the mistaken p - t.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from parity_tests.diagnosis.formulas import ACTIVATIONS, Array, Formulas
from parity_tests.diagnosis.mistakes.catalogue import MISTAKES, Mistake, mistake
from parity_tests.diagnosis.mistakes.forward import output

EACH_ROW = "Subtract each row's own maximum: z.max(axis=1, keepdims=True)."
LAST_AXIS = "Sum over the last axis: e / e.sum(axis=1, keepdims=True)."
RIGHT_LOSS = " The loss, computed from the logits, is right."


def other_softmax(f: Formulas, softmax: Callable[[Array], Array]) -> Formulas:
    """Return formulas with another softmax, whose outputs the loss and its gradient p − t use."""
    return replace(
        outside_loss(f, softmax), losses=lambda z, out, t: -(t * np.log(out.astype(f.dtype).astype(float))).sum(axis=1)
    )


def outside_loss(f: Formulas, softmax: Callable[[Array], Array]) -> Formulas:
    """Return formulas with another softmax, whose outputs the gradient p − t uses, and the loss does not."""
    return replace(output(f, softmax), loss_gradient=lambda z, out, t: out * t.sum(axis=1, keepdims=True) - t)


def softmax_mistake(
    what: str, remedy: str, *, values: tuple[float, ...] = ()
) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """Enter the decorated softmax, a function of (formulas, z) and its parameter, as two mistakes; see the module."""

    def enter(softmax: Callable[..., Array]) -> Callable[..., Array]:
        def everywhere(f: Formulas, *p: float) -> Formulas:
            return other_softmax(f, lambda z: softmax(f, z, *p))

        def beside_loss(f: Formulas, *p: float) -> Formulas:
            return outside_loss(f, lambda z: softmax(f, z, *p))

        name = softmax.__name__
        MISTAKES.append(Mistake(name, what, remedy, everywhere, values))
        MISTAKES.append(Mistake(f"{name}_outside_loss", what + RIGHT_LOSS, remedy, beside_loss, values))
        return softmax

    return enter


@softmax_mistake(
    "Softmax overflows: exp(z) is infinite from z = 710 on (88 in float32).",
    "Subtract each row's maximum first: np.exp(z - z.max(axis=1, keepdims=True)).",
)
def softmax_overflows(f: Formulas, z: Array) -> Array:
    e = np.exp(z.astype(f.dtype)).astype(float)
    return e / e.sum(axis=1, keepdims=True)


@softmax_mistake("Softmax subtracts the maximum of the whole batch: rows far below it become 0 / 0.", EACH_ROW)
def softmax_maximum_of_batch(f: Formulas, z: Array) -> Array:
    e = np.exp((z - z.max()).astype(f.dtype)).astype(float)
    return e / e.sum(axis=1, keepdims=True)


@softmax_mistake("Softmax normalises over the samples (axis 0) instead of the classes (axis 1).", LAST_AXIS)
def softmax_over_samples(f: Formulas, z: Array) -> Array:
    e = np.exp(z - z.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


@softmax_mistake(
    "Softmax subtracts each row's maximum, and normalises over the samples (axis 0) instead of the classes (axis 1).",
    LAST_AXIS,
)
def softmax_sum_over_samples(f: Formulas, z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


@softmax_mistake("Softmax normalises over samples and classes together: the whole batch sums to 1.", LAST_AXIS)
def softmax_over_everything(f: Formulas, z: Array) -> Array:
    e = np.exp(z - z.max())
    return e / e.sum()


@softmax_mistake(
    "Softmax subtracts each row's maximum, and normalises over samples and classes together: the batch sums to 1.",
    LAST_AXIS,
)
def softmax_sum_over_everything(f: Formulas, z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum()


@softmax_mistake(
    "Softmax divides by the sum of the exponentials + {p:.2g}: probabilities do not sum to 1.",
    "Divide by the sum alone: with each row's maximum subtracted, it is at least 1.",
    values=(1e-8, 1e-7, 1e-6, 1e-10, 1e-12),
)
def softmax_sum_shifted(f: Formulas, z: Array, epsilon: float) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / (e.sum(axis=1, keepdims=True) + epsilon)


@softmax_mistake("Softmax does not normalise: it returns exp(z - max z).", "Divide by the sum of each row.")
def softmax_not_normalised(f: Formulas, z: Array) -> Array:
    return np.exp(z - z.max(axis=1, keepdims=True))


@softmax_mistake("Softmax is applied twice.", "Apply it once, in the network or in the loss.")
def softmax_twice(f: Formulas, z: Array) -> Array:
    return ACTIVATIONS["softmax"](ACTIVATIONS["softmax"](z))


@mistake("Softmax is applied twice in the outputs, and once in the loss.", "Apply it once.")
def softmax_twice_in_outputs(f: Formulas) -> Formulas:
    return output(f, lambda z: ACTIVATIONS["softmax"](ACTIVATIONS["softmax"](z)))


@mistake(
    "The last layer has no softmax: the loss takes its logits for probabilities.", "Apply softmax to the last layer."
)
def softmax_missing(f: Formulas) -> Formulas:
    return other_softmax(f, lambda z: z)


@softmax_mistake("The last layer has a sigmoid instead of a softmax.", "Use softmax: the classes exclude each other.")
def sigmoid_instead_of_softmax(f: Formulas, z: Array) -> Array:
    return ACTIVATIONS["sigmoid"](z)

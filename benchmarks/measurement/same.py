"""Check that a peer computes the same as scratch's NumPy reference; a peer that does not is not timed.

Compared are a peer's outputs on the first batch, and its weights and loss after a few training steps in order, from the
same initial weights. Only rounding may differ. ``parity_tests`` derives what rounding amounts to, tensor by tensor;
here one coarse tolerance per kind of output suffices, chosen between rounding and the smallest error in the program:

- ``probabilities``: 1e-4, absolute. Rounding changes them by 1e-7 to 1e-5; those of a different network differ by 1e-2.
- ``weights``: root mean square of an array's differences, at most a hundredth of how far training has moved the array,
  plus one rounding of the weights per step. Rounding comes to 1e-6 of that distance, or to 1e-3 if it switches a unit
  of a ReLU; one of twenty steps left out comes to 5e-2, a learning rate that is 2 % off to 2e-2.
- ``loss``: 1e-3 of the loss, plus one rounding of a probability near 1 in each program, of which a loss of 1e-6 has
  only a few. Rounding comes to 1e-6, or to 1e-4 if it switches a unit of a ReLU; one of twenty steps left out to 1e-2.
- ``product``: 1e-4 of the largest entry. Rounding comes to 1e-6; one sample or unit left out to 1e-3.

Two programs with Dropout draw different masks. Their outputs before training have none and are compared as above. Of
the weights after training, the root mean square distance from those of the same training without Dropout is compared.
It may differ by 15 % of the reference's, for a bias, which has fewer numbers, by half; the loss by 0.5 %. Other masks
change the distance of W by 2 to 4 %, that of the last bias by 8 %, and the loss by 0.1 %. For the first W, a rate of
0.25 instead of 0.2 changes the distance by 18 %, a gradient without the mask by 35 %, a factor left out by 74 % (and
the loss by 2 %), and Dropout left out by 100 %.
"""

from dataclasses import replace

import numpy as np

from benchmarks.peers.base import Outputs
from benchmarks.peers.registry import PEERS, create_peer
from benchmarks.tasks import Array, Task

UNIT_ROUNDOFF = float(np.finfo(np.float32).eps) / 2


class DifferentError(ValueError):
    """Two programs compute different results; the message says which result differs, and by how much."""


def reference_outputs(kind: str, task: Task) -> Outputs:
    """Return the outputs that a correct peer of this kind has."""
    return create_peer(PEERS[kind].reference, task).reference_outputs()


def check_outputs(kind: str, task: Task, outputs: Outputs, expected: Outputs) -> None:
    """Compare a peer's outputs with the reference's.

    Raises:
        DifferentError: if an output is missing, has another shape, or differs by more than its tolerance.
    """
    title = PEERS[kind].title
    plain = None
    if task.variant.dropout:
        plain = reference_outputs(kind, replace(task, variant=task.variant._replace(dropout=0.0)))
    if list(outputs) != list(expected):
        raise DifferentError(
            f"{title} is not timed: expected the outputs {', '.join(expected)}; got {', '.join(outputs) or 'none'}."
        )
    for name, reference in expected.items():
        if outputs[name].shape != reference.shape:
            raise DifferentError(
                f"{title} is not timed: expected {name} of shape {reference.shape}; got {outputs[name].shape}."
            )
        error, tolerance = _error_and_tolerance(name, outputs[name], reference, task, plain)
        if not error <= tolerance:  # also if the error is NaN
            raise DifferentError(
                f"{title} is not timed: {name} differs from the NumPy reference by {error:.2g} "
                f"on {task.name} (tolerance: {tolerance:.2g})."
            )


def _error_and_tolerance(
    name: str, output: Array, reference: Array, task: Task, plain: Outputs | None
) -> tuple[float, float]:
    """Return by how much an output differs, and by how much it may; the name's first word selects the rule.

    ``plain`` are the reference's outputs without Dropout, for a task with Dropout.
    """
    difference = output.astype(np.float64) - reference
    kind, *words = name.split()
    if kind == "weights" and plain is not None:
        distance = _rms(reference - plain[name])
        return abs(_rms(output - plain[name]) - distance), (0.15 if output.ndim > 1 else 0.5) * distance
    if kind == "weights":
        initial = task.weights[int(words[0])]
        steps = task.checked_samples // task.batch_size
        return _rms(difference), 0.01 * _rms(reference - initial) + steps * UNIT_ROUNDOFF * _rms(reference)
    largest = float(np.abs(reference).max())
    of_loss = (1e-3 if plain is None else 5e-3) * largest + 2 * UNIT_ROUNDOFF
    tolerance = {"probabilities": 1e-4, "loss": of_loss, "product": 1e-4 * largest}[kind]
    return float(np.abs(difference).max()), tolerance


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))

"""Check that a peer computes the same as scratch's NumPy reference; a peer that does not is not timed.

Compared are a peer's outputs on the first batch, and its weights and loss after a few training steps in order, from the
same initial weights. Only rounding may differ. ``parity_tests`` derives what rounding amounts to, tensor by tensor;
here one coarse tolerance per kind of output suffices, chosen between rounding and the smallest error in the program:

- ``probabilities``: 1e-4, absolute. Rounding changes them by 1e-7 to 1e-5; those of a different network differ by 1e-2.
- ``weights``: root mean square of an array's differences, at most a hundredth of how far training has moved the array,
  plus one rounding of the weights per step. Rounding comes to 1e-6 of that distance, or to 1e-3 if it switches a unit
  of a ReLU; one of twenty steps left out comes to 5e-2, a learning rate that is 2 % off to 2e-2.
- ``loss``: 1e-3 of the loss. Rounding comes to 1e-6, or to 1e-4 if it switches a unit of a ReLU; one of twenty steps
  left out comes to 1e-2.
- ``product``: 1e-4 of the largest entry. Rounding comes to 1e-6; one sample or unit left out to 1e-3.
"""

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
    if list(outputs) != list(expected):
        raise DifferentError(
            f"{title} is not timed: expected the outputs {', '.join(expected)}; got {', '.join(outputs) or 'none'}."
        )
    for name, reference in expected.items():
        if outputs[name].shape != reference.shape:
            raise DifferentError(
                f"{title} is not timed: expected {name} of shape {reference.shape}; got {outputs[name].shape}."
            )
        error, tolerance = _error_and_tolerance(name, outputs[name], reference, task)
        if not error <= tolerance:  # also if the error is NaN
            raise DifferentError(
                f"{title} is not timed: {name} differs from the NumPy reference by {error:.2g} "
                f"on {task.name} (tolerance: {tolerance:.2g})."
            )


def _error_and_tolerance(name: str, output: Array, reference: Array, task: Task) -> tuple[float, float]:
    """Return by how much an output differs, and by how much it may; the name's first word selects the rule."""
    difference = output.astype(np.float64) - reference
    kind, *words = name.split()
    if kind == "weights":
        initial = task.weights[int(words[0])]
        steps = task.checked_samples // task.batch_size
        return _rms(difference), 0.01 * _rms(reference - initial) + steps * UNIT_ROUNDOFF * _rms(reference)
    largest = float(np.abs(reference).max())
    tolerance = {"probabilities": 1e-4, "loss": 1e-3 * largest, "product": 1e-4 * largest}[kind]
    return float(np.abs(difference).max()), tolerance


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))

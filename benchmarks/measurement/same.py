"""Nothing is timed that does not compute the same: each peer's evidence is held against scratch's NumPy reference.

The evidence is what the peer makes of the first batch, and its weights after a few steps in order, from the same first
weights.  What may differ is rounding.  What that amounts to tensor by tensor is derived and tested in
``parity_tests``; here a coarse rule is enough, between what rounding does and what the smallest real difference does:

- Probabilities: 1e-4.  Rounding moves them by 1e-7 to 1e-5; another network's differ by 1e-2 and more.
- Weights, all of an array by their root mean square: a hundredth of how far training has moved them, and one rounding
  of the weights for each step.  Rounding comes to 1e-6 of the way, or 1e-3 where it turns a unit of a ReLU on or off;
  one step of twenty too few is 5e-2, a learning rate that is 2 % off is 2e-2.
- Products: 1e-4 of the largest entry.  Rounding comes to 1e-6 of it; one sample or one unit left out to 1e-3.
"""

import numpy as np

from benchmarks.measurement.tasks import Array, Task
from benchmarks.peers.base import PEERS, Peer, Scratch, make

Evidence = dict[str, Array]
U = float(np.finfo(np.float32).eps) / 2


class DifferentError(ValueError):
    """Two programs that don't compute the same; the message says what differs, where, and by how much."""


def expected(kind: str, task: Task) -> Evidence:
    """What the reference has in the place of that peer's evidence."""
    reference: Peer = make("products" if kind == "products" else "numpy", task)
    return reference.expected() if kind == "products" else Scratch.evidence(reference)


def check(kind: str, task: Task, got: Evidence, wanted: Evidence) -> None:
    """Refuse a peer whose evidence is not the reference's.

    Raises:
        DifferentError: if a tensor is missing, has another shape, or differs by more than rounding.
    """
    title = PEERS[kind].title
    if list(got) != list(wanted):
        raise DifferentError(f"{title} is not timed: it shows {', '.join(got)}; needed: {', '.join(wanted)}.")
    for name, reference in wanted.items():
        if got[name].shape != reference.shape:
            raise DifferentError(f"{title} is not timed: {name} has shape {got[name].shape}, not {reference.shape}.")
        off, allowed = distance(name, got[name], reference, task)
        if not off <= allowed:  # also if it is NaN
            raise DifferentError(
                f"{title} is not timed: it does not compute the same on {task.name}; "
                f"{name} is off by {off:.2g} where {allowed:.2g} is allowed."
            )


def distance(name: str, got: Array, reference: Array, task: Task) -> tuple[float, float]:
    """How far apart they are, and how far they may be."""
    difference = got.astype(np.float64) - reference
    if name.startswith("product"):
        return float(np.abs(difference).max()), 1e-4 * float(np.abs(reference).max())
    if not name.startswith("weight"):
        return float(np.abs(difference).max()), 1e-4
    start = task.weights[int(name.split()[2])]
    steps = task.proof_samples // task.batch
    return _rms(difference), 0.01 * _rms(reference - start) + steps * U * _rms(reference)


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))

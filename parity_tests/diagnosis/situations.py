"""The batches in which a network under test is looked at: each one reveals mistakes that a usual batch hides."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np

Array = np.ndarray
BATCH = 32
SHORT = 7


@dataclass(frozen=True, eq=False)  # compared by identity, as a key of the cache in examine.py
class Situation:
    """Weights and a batch.

    Attributes:
        name: what is special about it.
        weights: W and b of each layer, in order.
        x: samples (N, inputs).
        t: targets (N, classes).
        earlier: batches (x, t) that the same network was called with before.
    """

    name: str
    weights: list[Array]
    x: Array
    t: Array
    earlier: tuple[tuple[Array, Array], ...] = field(default=())

    def astype(self, dtype: str) -> "Situation":
        """Return the same situation in another dtype."""
        earlier = tuple((x.astype(dtype), t.astype(dtype)) for x, t in self.earlier)
        weights = [W.astype(dtype) for W in self.weights]
        return Situation(self.name, weights, self.x.astype(dtype), self.t.astype(dtype), earlier)


def draw_weights(rng: np.random.Generator, sizes: Sequence[int]) -> list[Array]:
    """Return weights (Glorot) and biases that are not zero."""
    weights = []
    for inputs, units in pairwise(sizes):
        weights += [rng.normal(size=(inputs, units)) * np.sqrt(2 / (inputs + units)), rng.normal(size=units) * 0.1]
    return weights


def draw_batch(rng: np.random.Generator, sizes: Sequence[int], samples: int) -> tuple[Array, Array]:
    """Return normal samples (samples, inputs) and one-hot targets (samples, classes)."""
    return rng.normal(size=(samples, sizes[0])), np.eye(sizes[-1])[rng.integers(sizes[-1], size=samples)]


@lru_cache(maxsize=2)
def situations(sizes: tuple[int, ...], seed: int = 0) -> tuple[Situation, ...]:
    """Return the situations for a network with these sizes: inputs, units of each layer; in float32 values.

    They are the same objects in every call, and not to be changed.
    """
    rng = np.random.default_rng([seed, *sizes])
    weights, (x, t) = draw_weights(rng, sizes), draw_batch(rng, sizes, BATCH)
    classes = sizes[-1]

    def scaled(first: float, last: float) -> list[Array]:
        changed = list(weights)
        changed[0], changed[-2] = changed[0] * first, changed[-2] * last
        return changed

    integers = [rng.integers(-1, 2, W.shape).astype(float) for W in weights[:-2]]
    soft = 0.75 * t + rng.multinomial(64, np.full(classes, 1 / classes), size=BATCH) / 256  # exact: rows sum to 1
    missing = np.eye(classes)[rng.integers(classes - 1, size=BATCH)]
    found = [
        Situation("a usual batch", weights, x, t),
        Situation("one sample", weights, *draw_batch(rng, sizes, 1)),
        Situation("a short batch", weights, *draw_batch(rng, sizes, SHORT)),
        Situation(
            "zeros before the activation", [*integers, *weights[-2:]], rng.integers(-1, 2, x.shape).astype(float), t
        ),
        Situation("large hidden values", scaled(1e3, 1e-3), x, t),
        Situation("saturated softmax", scaled(1, 50), x, t),
        Situation("logits of ±10,000", scaled(1, 1e4), x, t),
        Situation("soft labels", weights, x, soft),
        Situation("a class missing", weights, x, missing),
        Situation("a second call", weights, x, t, (draw_batch(rng, sizes, BATCH),)),
    ]
    return tuple(situation.astype("float32").astype("float64") for situation in found)

"""Batches: which samples an epoch trains on, and in which order."""

from typing import Any

import numpy as np

from parity_tests.comparison import Comparison, equal
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.utils import set_random_seed

SAMPLES = 23


def check_shuffling(backend: str) -> list[Comparison]:
    """Each epoch uses every sample once, with its own target, in a new order."""
    seen: list[tuple[int, int]] = []

    class Recorder(Sequential):
        """Records number and target of each sample; sample i is the number i, with target i."""

        def train_step(self, x: np.ndarray, y: np.ndarray) -> Any:
            seen.extend(zip(x[:, 0].astype(int).tolist(), y.argmax(axis=1).tolist(), strict=True))
            return super().train_step(x, y)

    set_random_seed(0)
    model = Recorder([Dense(SAMPLES, "softmax")], backend=backend)
    model.compile("sgd", "categorical_crossentropy")
    model.fit(np.arange(float(SAMPLES))[:, None], np.eye(SAMPLES), batch_size=5, epochs=2, verbose=0)
    first, second = seen[:SAMPLES], seen[SAMPLES:]
    rows = [equal("samples with their targets", [a for a, _ in seen], [b for _, b in seen])]
    everything = list(range(SAMPLES))
    rows += [
        equal("samples of an epoch", sorted(sample for sample, _ in epoch), everything) for epoch in (first, second)
    ]
    return [*rows, equal("orders differ", first != second and first != sorted(first), True)]

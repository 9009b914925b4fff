"""Mini-batches (ミニバッチ), and the validation split."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from scratch.checks import check_number
from scratch.pixels import Pixels
from scratch.utils import Array

Rows = slice | Array  # indexes an array of samples: a slice for consecutive rows, else row numbers (n,)


class Data(NamedTuple):
    """Checked samples (N, …), their targets (N, …) and, if there are any, their weights (N,)."""

    x: Array | Pixels
    y: Array
    sample_weight: Array | None = None

    def take(self, rows: Rows) -> "Data":
        """Return the data of these rows."""
        return Data(self.x[rows], self.y[rows], None if self.sample_weight is None else self.sample_weight[rows])


def batches(n: int, batch_size: int, rng: np.random.Generator | None = None) -> Iterator[Rows]:
    """Split n samples into batches, the last of which may be smaller.

    Args:
        n: number of samples.
        batch_size: samples per batch.
        rng: draws one permutation of the samples; without it the samples stay in order.

    Yields:
        The rows of each batch: a slice without ``rng``, else an array of row numbers.
    """
    order, batch_size = None if rng is None else rng.permutation(n), int(batch_size)  # an int8 cannot hold a row number
    for start in range(0, n, batch_size):
        rows = slice(start, start + batch_size)
        yield rows if order is None else order[rows]


def split_validation(data: Data, validation_split: float) -> tuple[Data, Data | None]:
    """Split off the last samples for validation, as Keras does, without a copy.

    Args:
        data: N samples with targets.
        validation_split: share of the samples to split off, at least 0 and less than 1.

    Returns:
        The data to train on, and the data to validate on: None for a share of 0.

    Raises:
        ValueError: if the share is out of range or leaves one side empty.
    """
    if isinstance(validation_split, bool) or not 0 <= check_number("validation_split", validation_split) < 1:
        raise ValueError(f"validation_split must be at least 0 and less than 1; got {validation_split!r}.")
    if validation_split == 0:
        return data, None
    n = len(data.x)
    kept = math.floor(n * (1 - validation_split))
    if kept in (0, n):
        purpose = "validate" if kept else "train"
        raise ValueError(f"validation_split={validation_split} of {n} samples leaves none to {purpose} on.")
    return data.take(slice(kept)), data.take(slice(kept, None))

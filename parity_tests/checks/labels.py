"""Labels: one-hot rows."""

import keras
import numpy as np

from parity_tests.comparison import Comparison, compare
from scratch.utils import to_categorical

LABELS = (np.array([0, 2, 1, 9]), np.array([[1], [3]]), np.array([[1, 0], [2, 2]]), [3, 0], 2, [2], [[2]], [[[2]]])


def check_to_categorical() -> list[Comparison]:
    """``to_categorical`` returns Keras's rows, entry for entry and of the same dtype."""
    rows = []
    for x in LABELS:
        rows.append(compare(f"to_categorical({x!r})", to_categorical(x), keras.utils.to_categorical(x), 0.0))
        expected = keras.utils.to_categorical(x, 12)
        rows.append(compare(f"to_categorical({x!r}, 12)", to_categorical(x, 12), expected, 0.0))
    return rows

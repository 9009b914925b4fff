"""``utils``: one-hot encoding."""

import numpy as np
import pytest

from scratch.utils import to_categorical


@pytest.mark.parametrize(
    ("labels", "num_classes", "expected"),
    [
        ([2], None, [[0, 0, 1]]),  # the axis of one label is the axis of the samples, and stays
        ([2], 4, [[0, 0, 1, 0]]),
        (2, None, [0, 0, 1]),
        ([[2]], None, [[0, 0, 1]]),  # a last axis of length 1 is dropped
        ([[0], [1]], None, [[1, 0], [0, 1]]),
        ([[0, 1], [1, 0]], None, [[[1, 0], [0, 1]], [[0, 1], [1, 0]]]),
        ([True, False], None, [[0, 1], [1, 0]]),
        ([1.0, 0.0], 3, [[0, 1, 0], [1, 0, 0]]),
    ],
)
def test_to_categorical(labels: object, num_classes: int | None, expected: list) -> None:
    """The expected arrays are those of ``keras.utils.to_categorical``."""
    one_hot = to_categorical(labels, num_classes)
    assert one_hot.dtype == np.float64
    np.testing.assert_array_equal(one_hot, expected)
    assert one_hot.shape == np.shape(expected)

"""Losses called on arrays, and the two accuracies."""

import numpy as np
import pytest

from scratch.losses import CategoricalCrossentropy, SoftmaxCrossEntropy, SparseCategoricalCrossentropy
from scratch.metrics import CategoricalAccuracy, Mean, SparseCategoricalAccuracy

Y = np.array([[0.05, 0.95, 0], [0.1, 0.8, 0.1]])
T = np.array([[0, 1, 0], [0, 0, 1]])


def test_keras_documented_values() -> None:
    assert float(CategoricalCrossentropy()(T, Y)) == pytest.approx(1.177, abs=5e-4)
    assert float(CategoricalCrossentropy(reduction="sum")(T, Y)) == pytest.approx(2.354, abs=5e-4)
    np.testing.assert_allclose(CategoricalCrossentropy(reduction=None)(T, Y), [0.0513, 2.303], atol=5e-4)
    assert float(SparseCategoricalCrossentropy()([1, 2], Y)) == pytest.approx(1.177, abs=5e-4)


def test_from_logits_is_softmax_cross_entropy(rng: np.random.Generator) -> None:
    logits = rng.normal(scale=5, size=(2, 3))
    expected = SoftmaxCrossEntropy().forward(logits, T.astype(float))
    assert CategoricalCrossentropy(from_logits=True)(T, logits) == expected
    assert SparseCategoricalCrossentropy(from_logits=True)([1, 2], logits) == expected
    by_hand = np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, [1, 2], strict=True)])
    assert float(expected) == pytest.approx(by_hand, rel=1e-12)


def test_label_smoothing_mixes_in_the_uniform_distribution() -> None:
    smoothed = T * 0.7 + 0.1
    got = CategoricalCrossentropy(label_smoothing=0.3)(T, Y)
    clipped = np.clip(Y, 1e-7, 1 - 1e-7)
    assert float(got) == pytest.approx(-(smoothed * np.log(clipped)).sum(axis=1).mean(), rel=1e-12)


def test_dtype_follows_the_predictions() -> None:
    for dtype in ("float32", "float64"):
        assert CategoricalCrossentropy()(T, Y.astype(dtype)).dtype == dtype


def test_backward_is_divided_by_the_batch() -> None:
    loss = SoftmaxCrossEntropy()
    loss.forward(np.zeros((4, 2)), np.eye(2)[[0, 1, 0, 1]])
    np.testing.assert_array_equal(loss.backward(), np.array([[-1, 1], [1, -1], [-1, 1], [1, -1]]) / 8)


def test_accuracies() -> None:
    dense, sparse = CategoricalAccuracy(), SparseCategoricalAccuracy()
    for truth, right in (([1, 2], 1), ([1, 1], 2), ([0, 2], 0)):
        dense.reset_state()
        sparse.reset_state()
        dense.update_state(np.eye(3)[truth], Y)
        sparse.update_state(np.array(truth), Y)
        assert dense.result() == sparse.result() == right / 2
    sparse.update_state(np.array([[1], [1]]), Y)
    assert sparse.result() == 0.5


def test_mean_weighs_every_sample_alike() -> None:
    mean = Mean()
    assert mean.result() == 0
    mean.add(3 * 1.0, 3)
    mean.add(5.0, 1)
    assert mean.result() == 2

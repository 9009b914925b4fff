"""``WeightedLoss``: the weights of samples, in the dtype and with the reduction of the loss."""

import numpy as np
import pytest

from scratch.losses import BinaryCrossentropy, CategoricalCrossentropy, Loss, MeanSquaredError
from scratch.losses.weighted import WeightedLoss

WEIGHTS = np.array([0.5, 2.0, 0.0])  # float64, as users write them
Y = np.array([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], np.float32)
T = np.eye(3, dtype=np.float32)[[1, 0, 0]]


@pytest.mark.parametrize(("reduction", "divisor"), [("sum", 1), ("sum_over_batch_size", 3)])
@pytest.mark.parametrize("loss_class", [CategoricalCrossentropy, MeanSquaredError])
def test_the_weighted_loss_and_its_gradient(loss_class: type[Loss], reduction: str, divisor: int) -> None:
    loss, each = WeightedLoss(loss_class(reduction=reduction), WEIGHTS), loss_class(reduction="none")
    value, dy = loss.forward(Y, T), loss.backward()
    assert value.dtype == dy.dtype == np.float32
    assert float(value) == pytest.approx(float(each.forward(Y, T) @ WEIGHTS) / divisor, rel=1e-6)
    np.testing.assert_allclose(dy, each.backward() * WEIGHTS[:, None] / divisor, rtol=1e-6)


def test_a_loss_of_logits_stays_one_of_logits() -> None:
    for loss in (CategoricalCrossentropy(reduction="sum"), BinaryCrossentropy(reduction="sum")):
        weighted = WeightedLoss(loss, WEIGHTS).for_logits()
        of_logits = loss.for_logits()
        assert weighted is not None
        assert of_logits is not None
        assert (weighted.logits_of, weighted.reduction) == (of_logits.logits_of, "sum")
        of_logits.reduction = "none"
        assert float(weighted.forward(Y, T)) == pytest.approx(float(of_logits.forward(Y, T) @ WEIGHTS), rel=1e-6)
    assert WeightedLoss(MeanSquaredError(), WEIGHTS).for_logits() is None


def test_the_targets_have_the_dtype_of_the_outputs() -> None:
    assert WeightedLoss(CategoricalCrossentropy(), WEIGHTS).targets(T, 3, np.float64).dtype == np.float64

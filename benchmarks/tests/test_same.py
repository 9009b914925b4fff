"""Test the check of a peer's outputs: a peer that does not compute the same is rejected, with what differs."""

from typing import Any

import numpy as np
import pytest

from benchmarks.measurement.same import DifferentError, check_outputs, reference_outputs
from benchmarks.peers.base import Peer
from benchmarks.peers.numpy import InPlacePeer
from benchmarks.peers.registry import PEERS, create_peer
from benchmarks.tasks import Task, article_task, dense_task

TASK = dense_task(batch_size=10, width=20, depth=2, steps=20, checked_steps=20)
NOT_TIMED = "in-place NumPy is not timed: "


def rejection(peer: Peer) -> str:
    """Return the message with which a peer, checked as in-place NumPy, is rejected."""
    peer.set_weights(TASK.weights)
    with pytest.raises(DifferentError) as error:
        check_outputs("in-place", TASK, peer.outputs(), reference_outputs("in-place", TASK))
    return str(error.value)


@pytest.mark.parametrize("kind", ["numba", "in-place", "products", "scratch-products"])
@pytest.mark.parametrize(
    "task",
    [TASK, dense_task(4, 16, 1, steps=2), dense_task(1, 8, 6, steps=5), dense_task(1, 1024, 1)],  # the last loss: 6e-6
    ids=lambda task: task.name,
)
def test_correct_peer_is_accepted(kind: str, task: Task) -> None:
    check_outputs(kind, task, create_peer(kind, task).outputs(), reference_outputs(kind, task))


def test_one_step_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = InPlacePeer(TASK)
    train = peer.train
    monkeypatch.setattr(peer, "train", lambda samples, shuffle: train(samples - TASK.batch_size, shuffle))
    message = rejection(peer)
    assert message.startswith(NOT_TIMED + "weights 0 after training differs from the NumPy reference by ")
    assert " on batch 10, width 20, depth 2 (tolerance: " in message


def test_learning_rate_slightly_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peers.numpy.LEARNING_RATE", 0.0102)
    assert "weights 0 after training" in rejection(InPlacePeer(TASK))


def test_batches_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = InPlacePeer(TASK)
    train = peer.train
    monkeypatch.setattr(peer, "train", lambda samples, shuffle: train(samples, True))
    assert "after training" in rejection(peer)


def test_bias_that_is_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = InPlacePeer(TASK)
    get_weights = peer.get_weights
    monkeypatch.setattr(peer, "get_weights", lambda: [W if W.ndim > 1 else 0 * W for W in get_weights()])
    assert "weights 1 after training" in rejection(peer)


def test_probabilities_that_are_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = InPlacePeer(TASK)
    monkeypatch.setattr(peer, "predict", lambda x: np.full((len(x), 10), np.nan))
    assert "probabilities of model(x) differs from the NumPy reference by nan" in rejection(peer)


def test_wrong_shape_and_missing_outputs() -> None:
    expected = reference_outputs("in-place", TASK)
    message = r"expected probabilities of predict of shape \(10, 10\); got \(3, 10\)"
    with pytest.raises(DifferentError, match=message):
        check_outputs("in-place", TASK, {**expected, "probabilities of predict": np.zeros((3, 10))}, expected)
    with pytest.raises(DifferentError, match=r"expected the outputs probabilities of .*; got none\."):
        check_outputs("in-place", TASK, {}, expected)


def test_products_with_a_sample_left_out() -> None:
    peer: Any = create_peer("products", TASK)
    outputs = peer.outputs()
    outputs["product 0 for dW"] = TASK.x[1 : TASK.batch_size].T @ peer.douts[0][1:]
    with pytest.raises(DifferentError, match=r"bare matrix products is not timed: product 0 for dW differs"):
        check_outputs("products", TASK, outputs, peer.reference_outputs())


def test_three_products_forward_and_five_backward(few_digits: tuple[np.ndarray, np.ndarray]) -> None:
    outputs = create_peer("products", article_task(*few_digits, batch_size=10)).outputs()
    assert len(outputs) == 8
    assert [name for name in outputs if "dx" in name] == ["product 1 for dx", "product 2 for dx"]


def test_incomplete_batch_is_left_out(few_digits: tuple[np.ndarray, np.ndarray]) -> None:
    assert len(article_task(*few_digits, batch_size=15).x) == 30
    with pytest.raises(ValueError, match="must be a multiple of batch_size=15; got 40 samples"):
        Task("", np.zeros((40, 3)), np.zeros(40), TASK.weights, 15)


def test_peers_are_created_with_the_same_weights() -> None:
    assert NOT_TIMED.startswith(PEERS["in-place"].title)
    for kind in ("numba", "numpy", "in-place"):
        for got, expected in zip(create_peer(kind, TASK).get_weights(), TASK.weights, strict=True):
            np.testing.assert_array_equal(got, expected)

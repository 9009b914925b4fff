"""A peer that doesn't compute the same is not timed, and the refusal says what differs."""

from typing import Any

import numpy as np
import pytest

from benchmarks.measurement import programs, same
from benchmarks.measurement.tasks import Task, article, dense
from benchmarks.peers.base import PEERS, Peer, make
from benchmarks.peers.plain import InPlace

TASK = dense(batch=10, width=20, depth=2, steps=20, proof_steps=20)
WRONG = "in-place NumPy is not timed: it does not compute the same on batch 10, width 20, depth 2; "


def refuse(peer: Peer) -> str:
    """What is said about that peer, in the place of in-place NumPy."""
    peer.set_weights(TASK.weights)
    with pytest.raises(same.DifferentError) as error:
        same.check("in-place", TASK, peer.evidence(), same.expected("in-place", TASK))
    return str(error.value)


@pytest.mark.parametrize("kind", ["numba", "in-place", "products"])
@pytest.mark.parametrize("task", [TASK, dense(4, 16, 1, steps=2), dense(1, 8, 6, steps=5)])
def test_who_computes_the_same_may_be_timed(kind: str, task: Task) -> None:
    same.check(kind, task, make(kind, task).evidence(), same.expected(kind, task))


def test_one_step_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = InPlace(TASK)
    train = peer.train
    monkeypatch.setattr(peer, "train", lambda samples, shuffle: train(samples - TASK.batch, shuffle))
    assert refuse(peer).startswith(WRONG + "weight array 0 after training is off by")


def test_a_learning_rate_slightly_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peers.plain.LEARNING_RATE", 0.0102)
    assert "weight array 0 after training" in refuse(InPlace(TASK))


def test_batches_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = InPlace(TASK)
    train = peer.train
    monkeypatch.setattr(peer, "train", lambda samples, shuffle: train(samples, True))
    assert "after training" in refuse(peer)


def test_a_bias_that_is_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = InPlace(TASK)
    get_weights = peer.get_weights
    monkeypatch.setattr(peer, "get_weights", lambda: [W if W.ndim > 1 else 0 * W for W in get_weights()])
    assert "weight array 1 after training" in refuse(peer)


def test_probabilities_that_are_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = InPlace(TASK)
    monkeypatch.setattr(peer, "predict", lambda x: np.full((len(x), 10), np.nan))
    assert "the output of model(x) is off by nan" in refuse(peer)


def test_another_shape_and_nothing_at_all() -> None:
    wanted = same.expected("in-place", TASK)
    with pytest.raises(same.DifferentError, match=r"the output of predict has shape \(3, 10\), not \(10, 10\)"):
        same.check("in-place", TASK, {**wanted, "the output of predict": np.zeros((3, 10))}, wanted)
    with pytest.raises(same.DifferentError, match="it shows ; needed: the output of"):
        same.check("in-place", TASK, {}, wanted)


def test_products_with_a_sample_left_out() -> None:
    peer: Any = make("products", TASK)
    got = peer.evidence()
    got["product 0 for dW"] = TASK.x[1 : TASK.batch].T @ peer.douts[0][1:]
    with pytest.raises(same.DifferentError, match=r"bare matrix products is not timed.*product 0 for dW is off by"):
        same.check("products", TASK, got, peer.expected())


def test_there_are_three_products_forward_and_five_back(few_digits: tuple[np.ndarray, np.ndarray]) -> None:
    found = make("products", article(*few_digits, batch=10)).evidence()
    assert len(found) == 8
    assert [name for name in found if "dx" in name] == ["product 1 for dx", "product 2 for dx"]


def test_samples_that_fill_no_batch_are_left_out(few_digits: tuple[np.ndarray, np.ndarray]) -> None:
    assert len(article(*few_digits, batch=15).x) == 30
    with pytest.raises(ValueError, match="40 samples are no whole number of batches of 15"):
        Task("", np.zeros((40, 3)), np.zeros(40), TASK.weights, 15)


def test_all_peers_are_made_with_the_same_weights() -> None:
    assert PEERS["in-place"].title in WRONG
    for kind in ("numba", "numpy", "in-place"):
        for got, wanted in zip(make(kind, TASK).get_weights(), TASK.weights, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_programs_that_end_differently_are_refused() -> None:
    def run(loss: float, accuracy: float) -> programs.Run:
        return programs.Run(1.0, 1, f"Test loss {loss:.4f}, test accuracy {accuracy:.4f}, 1.0 s for 10 epochs.\n")

    programs.check_same(run(0.2, 0.94), run(0.2001, 0.9402))
    for other in (run(0.2003, 0.94), run(0.2, 0.9405), programs.Run(1.0, 1, "Nothing.")):
        with pytest.raises(same.DifferentError, match=r"they don't end alike: 'Test loss 0.2000, "):
            programs.check_same(run(0.2, 0.94), other)

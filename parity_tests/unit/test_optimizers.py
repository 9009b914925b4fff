"""``SGD``: updates calculated by hand, clipping, and rejected gradients."""

import numpy as np
import pytest

from scratch.kernels import UPDATE_RULES, Rule
from scratch.optimizers import SGD, get


def steps(optimizer: SGD, gradients: list[float], w: float = 1.0) -> list[float]:
    """Return the value of one weight after each update."""
    W, values = np.array([w]), []
    for gradient in gradients:
        optimizer.update({"W": W}, {"W": np.array([gradient])})
        values.append(float(W[0]))
    return values


def test_plain() -> None:
    assert steps(SGD(0.1), [1, -2]) == pytest.approx([0.9, 1.1])
    assert SGD().learning_rate == get("sgd").learning_rate == 0.01


def test_momentum() -> None:
    # v = -0.1, then 0.9·(-0.1) - 0.1·1 = -0.19
    assert steps(SGD(0.1, momentum=0.9), [1, 1, 0]) == pytest.approx([0.9, 0.71, 0.539])


def test_nesterov() -> None:
    # w += 0.9·v - 0.1·g with v = -0.1, then v = -0.19
    assert steps(SGD(0.1, momentum=0.9, nesterov=True), [1, 1]) == pytest.approx([0.81, 0.539])
    # v = -0.2, then -0.08: w += 0.9·v - 0.1·g
    assert steps(SGD(0.1, momentum=0.9, nesterov=True), [2, -1]) == pytest.approx([0.62, 0.648])


def test_weight_decay_is_decoupled_from_momentum() -> None:
    # First w·(1 - 0.5·0.1), then the update; the decay is not part of the velocity.
    assert steps(SGD(0.1, weight_decay=0.5), [1, 0]) == pytest.approx([0.85, 0.8075])
    assert steps(SGD(0.1, momentum=0.9, weight_decay=0.5), [0, 0, 1]) == pytest.approx([0.95, 0.9025, 0.757375])


def norms(**options: float) -> dict[str, float]:
    """Return the L2 norms of the updates for two gradients with norms 5 and 1."""
    params = {"a": np.zeros(2), "b": np.zeros(1)}
    SGD(1.0, **options).update(params, {"a": np.array([3.0, 4.0]), "b": np.array([1.0])})
    return {key: float(np.linalg.norm(W)) for key, W in params.items()}


def test_clipping() -> None:
    assert norms() == pytest.approx({"a": 5, "b": 1})
    assert norms(clipnorm=2) == pytest.approx({"a": 2, "b": 1})
    assert norms(clipvalue=3.5) == pytest.approx({"a": np.hypot(3, 3.5), "b": 1})
    global_norm = np.sqrt(26)
    assert norms(global_clipnorm=2) == pytest.approx({"a": 5 * 2 / global_norm, "b": 2 / global_norm})
    assert norms(global_clipnorm=9) == pytest.approx({"a": 5, "b": 1})
    params = {"a": np.zeros(2)}
    SGD(clipnorm=1.0).update(params, {"a": np.zeros(2)})
    np.testing.assert_array_equal(params["a"], 0)


def test_parameter_with_a_used_name_and_another_shape_has_zero_velocity() -> None:
    optimizer = SGD(0.5, momentum=0.5)
    optimizer.update({"W": np.zeros(3)}, {"W": np.ones(3)})
    W = np.zeros(4)
    optimizer.update({"W": W}, {"W": np.ones(4)})
    np.testing.assert_array_equal(W, -0.5)


def test_clipvalue_limits_both_signs() -> None:
    assert steps(SGD(1.0, clipvalue=3.5), [-5, 5, -1, 1], w=0.0) == pytest.approx([3.5, 0, 1, 0])


@pytest.mark.parametrize("option", ["clipnorm", "global_clipnorm"])
def test_gradient_with_a_square_that_overflows_is_clipped(option: str) -> None:
    """Exploding gradients are a reason to clip: 4e20 fits into float32, its square does not."""
    W = np.zeros(2, "float32")
    SGD(1.0, **{option: 1.0}).update({"W": W}, {"W": np.array([3e20, -4e20], "float32")})
    np.testing.assert_allclose(W, [-0.6, 0.8], rtol=1e-6)


def test_rejected_gradient_changes_nothing() -> None:
    optimizer = SGD(0.1, momentum=0.9)
    params = {"W": np.ones((2, 3)), "b": np.ones(3)}
    with pytest.raises(ValueError, match=r"^The parameter 'b' needs a gradient of shape \(3,\); got none\.$"):
        optimizer.update(params, {"W": np.ones((2, 3))})
    with pytest.raises(ValueError, match=r"^The parameter 'b' needs a gradient of shape \(3,\); got \(1,\)\.$"):
        optimizer.update(params, {"W": np.ones((2, 3)), "b": np.ones(1)})
    for W in params.values():
        np.testing.assert_array_equal(W, 1)
    assert optimizer.iterations == 0
    assert optimizer.v == {}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.1}, {"global_clipnorm": 0.5}],
    ids=str,
)
def test_parameters_are_updated_in_place_and_gradients_are_not_modified(
    options: dict[str, float], dtype: str, rng: np.random.Generator
) -> None:
    W, dW = rng.normal(size=(3, 2)).astype(dtype), rng.normal(size=(3, 2)).astype(dtype)
    W_before, dW_before = W.copy(), dW.copy()
    optimizer = SGD(0.1, **options)
    for _ in range(3):
        optimizer.update({"W": W}, {"W": dW})
    assert W.dtype == dtype
    assert (W_before != W).all()
    np.testing.assert_array_equal(dW, dW_before)
    assert all(v.dtype == dtype for v in optimizer.v.values())
    assert optimizer.iterations == 3


def test_the_rule_of_the_fused_step() -> None:
    """Of several limits that were assigned, the first one counts, as layer by layer."""
    assert SGD().fused_rule == Rule(UPDATE_RULES.index("sgd"), 0.0, 0.0, 0.0, False, 0.0, 0.0, 0.0, 0.0)
    optimizer = SGD(clipnorm=2.0)
    optimizer.global_clipnorm, optimizer.clipvalue = 3.0, 4.0
    assert optimizer.fused_rule[-3:] == (0.0, 2.0, 0.0)  # clipvalue, clipnorm, global_clipnorm
    optimizer.clipnorm = None
    assert optimizer.fused_rule[-3:] == (0.0, 0.0, 3.0)

"""The error model: bounds hold when inputs are moved by as much as they allow, and are not much too wide."""

import numpy as np
import pytest

from parity_tests.reference.activations import ACTIVATIONS as MODELS
from parity_tests.reference.error_model import ELEMENTARY, Array, Bounded, Rounding, exact
from parity_tests.reference.losses import LOSSES, LossRule, mean, total
from scratch import losses, ops
from scratch.layers import ACTIVATIONS

ROUNDING = Rounding("float64")
RULES = [pytest.param(m.outputs.with_options(m.options), False, id=name) for name, m in LOSSES.items()]
RULES += [
    pytest.param(m.logits.with_options(m.options), True, id=f"{name}-logits") for name, m in LOSSES.items() if m.logits
]


def largest_ratio(difference: Array, bound: Array) -> float:
    """Return the largest |difference| / bound; where the bound is 0, there must be no difference."""
    assert not difference[bound == 0].any()
    return float(np.max(np.abs(difference[bound > 0]) / bound[bound > 0], initial=0))


def test_every_activation_and_loss_has_an_error_model() -> None:
    assert set(MODELS) == set(ACTIVATIONS)
    assert set(LOSSES) == {loss.__name__ for loss in losses.LOSSES.values()}


@pytest.mark.parametrize("name", MODELS)
def test_bounds_of_activations(name: str) -> None:
    rng, model = np.random.default_rng(0), MODELS[name]
    z = Bounded(rng.normal(scale=3, size=(40, 6)), rng.uniform(0, 1e-3, (40, 6)))
    dout = exact(rng.normal(size=(40, 6)))
    out = model.forward(ROUNDING, z)
    dz = model.backward(ROUNDING, dout, z, out)
    forward, backward = [], []
    for _ in range(200):
        moved = exact(z.value + z.bound * rng.choice([-1, 1], z.value.shape))
        moved_out = model.forward(ROUNDING, moved)
        forward.append(largest_ratio(moved_out.value - out.value, out.bound))
        moved_dz = model.backward(ROUNDING, dout, moved, moved_out)
        backward.append(largest_ratio(moved_dz.value - dz.value, dz.bound))
    assert 0.5 < max(forward) <= 1 + 1e-9
    assert max(backward) <= 1 + 1e-9


@pytest.mark.parametrize(("rule", "logits"), RULES)
def test_bounds_of_losses(rule: LossRule, logits: bool) -> None:
    """The inputs move by 1e-8 at most, since the bounds are of first order."""
    rng = np.random.default_rng(0)
    values = rng.normal(scale=3, size=(40, 6)) if logits else rng.uniform(0.01, 0.9, (40, 6))
    y, t = Bounded(values, rng.uniform(0, 1e-8, (40, 6))), np.eye(6)[rng.integers(6, size=40)]
    loss, gradient = rule.forward(ROUNDING, y, t), rule.backward(ROUNDING, y, t)
    forward, backward = [], []
    for _ in range(200):
        moved = exact(y.value + y.bound * rng.choice([-1, 1], y.value.shape))
        forward.append(largest_ratio(rule.forward(ROUNDING, moved, t).value - loss.value, loss.bound))
        backward.append(largest_ratio(rule.backward(ROUNDING, moved, t).value - gradient.value, gradient.bound))
    assert 0.3 < max(forward) <= 1 + 1e-5
    assert max(backward) <= 1 + 1e-5


def test_reductions() -> None:
    values = Bounded(np.array([1.0, 3.0]), np.array([0.1, 0.3]))
    assert mean(ROUNDING, values).value == 2.0
    assert mean(ROUNDING, values).bound == pytest.approx(0.2)
    assert total(ROUNDING, values).value == 4.0
    assert total(ROUNDING, values).bound == pytest.approx(0.4)


def test_bound_of_a_product_holds_and_is_not_much_too_wide() -> None:
    """Float32 products stay within the bound, products of rounded operands do not."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 784)).astype("float32"), rng.normal(size=(784, 60)).astype("float32")
    reference = Rounding("float32").product(exact(a), exact(b))
    one_accumulator = np.zeros((50, 60), "float32")
    for k in range(784):
        one_accumulator += a[:, k : k + 1] * b[k : k + 1]
    assert (np.abs(one_accumulator - reference.value) <= reference.bound).all()
    half_precision = (a.astype("float16").astype("float32")) @ b
    assert (np.abs(half_precision - reference.value) > reference.bound).any()


@pytest.mark.parametrize("backend", ops.BACKENDS)
def test_elementary_functions_are_within_their_bound(backend: str) -> None:
    z = np.concatenate([np.random.default_rng(0).normal(scale=s, size=(100, 100)) for s in (0.1, 1, 4, 20)])
    z = z.astype("float32")
    precise, u = ops.get("numpy"), Rounding("float32").u
    for name in ("sigmoid_forward", "tanh_forward", "softplus_forward", "elu_forward"):
        expected = getattr(precise, name)(z.astype(np.float64))
        relative = np.abs(getattr(ops.get(backend), name)(z) - expected) / np.abs(expected)
        normal = np.abs(expected) > np.finfo("float32").tiny
        assert relative[normal].max() <= ELEMENTARY / 2 * u

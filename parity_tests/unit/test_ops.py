"""The operations of each backend: values computed by hand or in float64, dtypes, extreme values, NaN and infinity."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch import losses
from scratch.ops import BACKENDS, get, numpy_ops

pytestmark = pytest.mark.parametrize("ops", [get(backend) for backend in BACKENDS], ids=BACKENDS)
# Without private functions, and without the copies, x_…__mutmut_1, that mutation testing adds for each function.
FUNCTIONS = [
    name for name, f in vars(numpy_ops).items() if inspect.isfunction(f) and name[0] != "_" and "__mutmut" not in name
]


def arguments(name: str, rng: np.random.Generator, dtype: str) -> dict[str, object]:
    """Return arguments for the operation with that name: a batch of 5 samples, 4 inputs, 3 outputs."""
    t = np.eye(3, dtype=dtype)[[0, 2, 1, 0, 2]]
    probabilities = rng.dirichlet(np.ones(3), 5).astype(dtype)
    values = {
        "x": rng.normal(size=(5, 4)).astype(dtype),
        "W": rng.normal(size=(4, 3)).astype(dtype),
        "b": rng.normal(size=3).astype(dtype),
        "dout": rng.normal(size=(5, 3)).astype(dtype),
        "out": probabilities,
        "y": probabilities,
        "t": t,
        "need_dx": True,
        "alpha": 0.5,
        "negative_slope": 0.25,
        **{option: getattr(loss(), option) for loss in losses.LOSSES.values() for option in loss.op_options},
    }
    if "cross" in name:
        values["x"] = rng.normal(size=(5, 3)).astype(dtype)
    return {p: values[p] for p in inspect.signature(getattr(numpy_ops, name)).parameters}


def test_backends_have_the_same_names_and_signatures(ops: object) -> None:
    for name in FUNCTIONS:
        assert inspect.signature(getattr(ops, name)) == inspect.signature(getattr(numpy_ops, name))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_dtype_and_inputs_are_unchanged(ops: object, name: str, dtype: str, rng: np.random.Generator) -> None:
    given_arguments = arguments(name, rng, dtype)
    before = {key: np.copy(value) for key, value in given_arguments.items()}
    results = getattr(ops, name)(**given_arguments)
    for result in results if isinstance(results, tuple) else (results,):
        assert result.dtype == dtype
    for key, value in before.items():
        np.testing.assert_array_equal(given_arguments[key], value)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_results_are_close_to_float64(ops: object, name: str, rng: np.random.Generator) -> None:
    single = arguments(name, rng, "float32")
    double = {key: np.asarray(v, "float64") if isinstance(v, np.ndarray) else v for key, v in single.items()}
    got, expected = getattr(ops, name)(**single), getattr(numpy_ops, name)(**double)
    for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (got, expected)), strict=True):
        # Sums of at most 5 terms below 10: their rounding errors are a few units in the last place.
        np.testing.assert_allclose(a, b, rtol=0, atol=10 * 8 * np.finfo("float32").eps)


def test_dense_on_values_computed_by_hand(ops: object) -> None:
    x, W, b = (
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]]),
        np.array([1.0, 2.0, 3.0]),
    )
    np.testing.assert_array_equal(ops.dense_forward(x, W, b), [[6, 4, 2], [12, 6, 0]])
    np.testing.assert_array_equal(ops.dense_forward(x, W, None), [[5, 2, -1], [11, 4, -3]])
    dout = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
    dx, dW, db = ops.dense_backward(dout, x, W, True)
    np.testing.assert_array_equal(dx, [[-1, 2], [-1, 1]])
    np.testing.assert_array_equal(dW, [[1, 3, 5], [2, 4, 8]])
    np.testing.assert_array_equal(db, [1, 1, 3])
    assert ops.dense_backward(dout, x, W, False)[0] is None


@pytest.mark.parametrize("n", [128, 129, 300, 784])
def test_long_sums_contain_every_term_once(ops: object, n: int, rng: np.random.Generator) -> None:
    """Compare products whose sums are longer than a block with sums of the products of their terms."""
    x, W, dout = rng.normal(size=(2, n)), rng.normal(size=(n, 3)), rng.normal(size=(2, 3))
    np.testing.assert_allclose(ops.dense_forward(x, W, None), (x[:, :, None] * W).sum(axis=1), rtol=1e-11)
    np.testing.assert_allclose(ops.dense_backward(dout, x, W, True)[0], dout @ W.T, rtol=1e-11)
    rows = rng.normal(size=(n, 3))  # n samples, so that dW has the long sums
    dW = ops.dense_backward(rows, W, rng.normal(size=(3, 3)), False)[1]
    np.testing.assert_allclose(dW, (W[:, :, None] * rows[:, None, :]).sum(axis=0), rtol=1e-11)


def test_long_sums_are_accurate(ops: object, rng: np.random.Generator) -> None:
    """Bound the error of sums of n = 4,096 float32 terms.

    In units of √n·eps, it is 1.7 for sums of blocks of 128 terms, and 2.4 or more for one running sum.
    """
    n = 4096
    x, W = rng.normal(size=(50, n)).astype("float32"), rng.normal(size=(n, 40)).astype("float32")
    error = ops.dense_forward(x, W, None) - x.astype(float) @ W.astype(float)
    assert np.sqrt(np.mean(error**2)) < 2.1 * np.sqrt(n) * np.finfo("float32").eps


@pytest.mark.parametrize("n", [10, 1000, 20_000])
def test_db_is_rounded_once(ops: object, n: int, rng: np.random.Generator) -> None:
    """Compare db with the float64 sum over the samples, rounded once at the end."""
    dout = rng.normal(size=(n, 3)).astype("float32")
    db = ops.dense_backward(dout, np.ones((n, 1), "float32"), np.ones((1, 3), "float32"), False)[2]
    np.testing.assert_array_equal(db, dout.sum(axis=0, dtype="float64").astype("float32"))


def test_relu_at_zero_and_at_extreme_values(ops: object) -> None:
    x = np.array([[-2.0, -0.0, 0.0, 1e-300, 3.0, np.inf, -np.inf, np.nan]])
    out = ops.relu_forward(x)
    np.testing.assert_array_equal(out, [[0, 0, 0, 1e-300, 3, np.inf, 0, np.nan]])
    np.testing.assert_array_equal(ops.relu_backward(np.full_like(x, 7), out), [[0, 0, 0, 7, 7, 7, 0, 0]])


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6), st.floats(-1e4, 1e4))
def test_softmax_sums_to_1_and_is_invariant_to_shifts(ops: object, row: list[float], shift: float) -> None:
    x = np.array([row])
    p = ops.softmax_forward(x)
    assert p.sum() == pytest.approx(1)
    assert (p >= 0).all()
    # Adding the shift rounds the logits, which are up to 2e4, by up to 2e4 · 2⁻⁵³.
    np.testing.assert_allclose(ops.softmax_forward(x + shift), p, rtol=1e-11, atol=1e-11)


def test_sigmoid_and_tanh_at_extreme_values(ops: object) -> None:
    x = np.array([[-1e4, -800.0, 0.0, 800.0, 1e4, np.nan]], dtype="float32")
    np.testing.assert_array_equal(ops.sigmoid_forward(x), np.array([[0, 0, 0.5, 1, 1, np.nan]], "float32"))
    np.testing.assert_array_equal(ops.tanh_forward(x), np.array([[-1, -1, 0, 1, 1, np.nan]], "float32"))


def test_cross_entropy_of_extreme_logits_is_their_difference(ops: object) -> None:
    x = np.array([[50.0, 0.0], [1e4, -1e4], [0.0, 0.0]], dtype="float32")
    t = np.array([[0, 1], [0, 1], [1, 0]], dtype="float32")
    np.testing.assert_allclose(ops.softmax_cross_entropy_forward(x, t), [50, 2e4, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(ops.softmax_cross_entropy_backward(x, t), [[1, -1], [1, -1], [-0.5, 0.5]], atol=1e-6)


def test_nan_and_infinity_are_propagated(ops: object) -> None:
    for bad in (np.nan, np.inf):
        x = np.array([[bad, 1.0], [2.0, 3.0]])
        with np.errstate(invalid="ignore"):
            for out in (
                ops.dense_forward(x, np.ones((2, 2)), None),
                ops.softmax_forward(x),
                ops.softmax_cross_entropy_forward(x, np.eye(2)),
            ):
                assert not np.isfinite(out[0]).any()
                assert np.isfinite(out[1]).all()


def test_probabilities_are_rescaled_and_clipped_as_in_keras(ops: object) -> None:
    # The example in Keras's documentation of CategoricalCrossentropy.
    y, t = np.array([[0.05, 0.95, 0], [0.1, 0.8, 0.1]]), np.array([[0.0, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(ops.categorical_crossentropy_forward(y, t), [0.0513, 2.303], atol=5e-4)
    np.testing.assert_allclose(ops.categorical_crossentropy_forward(3 * y, t), [0.0513, 2.303], atol=5e-4)
    certain_and_wrong = np.array([[1.0, 0.0, 0.0]])
    wrong = ops.categorical_crossentropy_forward(certain_and_wrong, t[:1])
    assert wrong[0] == pytest.approx(16.118, abs=1e-3)
    # The gradient of a clipped probability is 0.
    np.testing.assert_array_equal(ops.categorical_crossentropy_backward(certain_and_wrong, t[:1]), [[0, 0, 0]])
    np.testing.assert_array_equal(ops.sparse_categorical_crossentropy_backward(certain_and_wrong, t[:1]), [[0, 0, 0]])
    # The sparse form clips first, then rescales.
    q = np.array([1 - 1e-7, 1e-7, 1e-7])
    sparse = ops.sparse_categorical_crossentropy_forward(certain_and_wrong, t[:1])
    assert sparse[0] == pytest.approx(-np.log(q[1] / q.sum()), rel=1e-12)


def test_a_certain_and_correct_prediction(ops: object) -> None:
    """A probability of 1 is clipped: the loss is -log(1 - 1e-7) instead of 0, and the gradient is 0."""
    certain = np.array([[1.0, 0.0, 0.0]])
    for name in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        np.testing.assert_array_equal(getattr(ops, f"{name}_backward")(certain, certain), [[0, 0, 0]])
    got = ops.categorical_crossentropy_forward(certain, certain)
    np.testing.assert_allclose(got, [-np.log1p(-1e-7)], rtol=1e-8)


def test_gradients_beside_a_clipped_probability(ops: object) -> None:
    """Compare the gradients of the probabilities that are not clipped with values computed by hand."""
    t = np.array([[1.0, 0.0, 0.0]])
    # y_3 = 0 changes the loss only through the sum that the row is divided by: its gradient is d/dy_3 of log Σy.
    got = ops.categorical_crossentropy_backward(np.array([[0.6, 0.4, 0.0]]), t)
    np.testing.assert_allclose(got, [[1 - 1 / 0.6, 1, 1]], rtol=1e-14)
    # -log(y_2 / (clip(y_1) + y_2)) with y_1 = 1, clipped to 1 - 1e-7.
    got = ops.sparse_categorical_crossentropy_backward(np.array([[1.0, 0.2]]), np.array([[0.0, 1.0]]))
    np.testing.assert_allclose(got, [[0, 1 / (1.2 - 1e-7) - 1 / 0.2]], rtol=1e-14)


def test_gradients_at_the_clip_limits_are_not_zero(ops: object) -> None:
    """Compare gradients at the probabilities 1e-7 and 1 - 1e-7, which clipping does not change."""
    y, t = np.array([[1e-7, 1 - 1e-7]]), np.array([[1.0, 0.0]])
    for name in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        np.testing.assert_allclose(getattr(ops, f"{name}_backward")(y, t), [[1 - 1e7, 1]], rtol=1e-12)
        np.testing.assert_allclose(getattr(ops, f"{name}_backward")(y, t[:, ::-1]), [[1, -1e-7]], rtol=1e-6)

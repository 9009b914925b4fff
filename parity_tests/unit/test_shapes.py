"""Arrays of wrong shape, dtype or layout: an error of one sentence or the right result, never other memory."""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.unit import trainings
from parity_tests.unit.kernels import ROOT
from parity_tests.unit.test_ops import FUNCTIONS, arguments
from parity_tests.unit.trainings import Training, X, Y, results
from scratch.callbacks import LambdaCallback
from scratch.kernels import plan
from scratch.kernels.fused_step import FusedStep
from scratch.kernels.gemm import product
from scratch.layers import Activation, Dense
from scratch.models import Sequential
from scratch.ops import BACKENDS, numba_ops, numpy_ops
from scratch.optimizers import SGD

Array = np.ndarray
CHECKED = [name for name in FUNCTIONS if not name.startswith("linear")]  # linear returns its argument


def unaligned(array: Array) -> Array:
    """Return a copy that starts one byte after an address of the dtype."""
    buffer = np.empty(array.nbytes + array.itemsize, np.uint8)
    start = 1 - buffer.ctypes.data % array.itemsize
    copy = buffer[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def read_only(array: Array) -> Array:
    copy = array.copy()
    copy.setflags(write=False)
    return copy


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "Fortran order": np.asfortranarray,
    "strides": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "negative strides": lambda array: array[::-1].copy()[::-1],
    "broadcast": lambda array: np.broadcast_to(array[:1], array.shape),
    "read-only": read_only,
    "unaligned": unaligned,
}
OTHERS: dict[str, Callable[[Array], Any]] = {
    "one row more": lambda array: np.concatenate([array, array[:1]]),
    "one row": lambda array: array[:1],
    "no rows": lambda array: array[:0],
    "one column more": lambda array: np.concatenate([array, array[..., :1]], axis=-1),
    "one column": lambda array: array[..., :1],
    "no columns": lambda array: array[..., :0],
    "one axis more": lambda array: array[None],
    "one axis fewer": np.ravel,
    "no axes": lambda array: array.flat[0].reshape(()),
    "transposed": np.transpose,
    "float16": lambda array: array.astype(np.float16),
    "float64": lambda array: array.astype(np.float64),
    "int64": lambda array: array.astype(np.int64),
    "other byte order": lambda array: array.astype(">f4"),
    "None": lambda array: None,
}


def outcome(function: Callable[..., Any], given: dict[str, Any]) -> list[Any] | ValueError:
    """Return the results of an operation, or the ``ValueError`` that it raises."""
    try:
        found = function(**given)
    except ValueError as error:
        return error
    return list(found) if isinstance(found, tuple) else [found]


def check_equal(found: list[Any], expected: list[Any]) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        assert np.shape(a) == np.shape(b)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", CHECKED)
def test_every_memory_layout_gives_the_same_result(name: str, layout: str, rng: np.random.Generator) -> None:
    given = arguments(name, rng, "float32")
    given = {key: LAYOUTS[layout](value) if isinstance(value, Array) else value for key, value in given.items()}
    before = {key: np.copy(value) for key, value in given.items()}
    found = outcome(getattr(numba_ops, name), given)
    assert isinstance(found, list)
    check_equal(found, outcome(getattr(numpy_ops, name), given))
    for key, value in before.items():
        np.testing.assert_array_equal(given[key], value)


@pytest.mark.parametrize("name", CHECKED)
def test_wrong_arrays_raise_one_sentence_or_give_the_result_of_numpy(name: str, rng: np.random.Generator) -> None:
    values = arguments(name, rng, "float32")
    arrays = [key for key, value in values.items() if isinstance(value, Array)]
    raised = 0
    for key in arrays:
        for change in OTHERS.values():
            given = values | {key: change(values[key])}
            found = outcome(getattr(numba_ops, name), given)
            if isinstance(found, ValueError):
                assert str(found).startswith(f"{name} needs arrays ")
                assert "\n" not in str(found)
                raised += 1
            else:
                check_equal(found, outcome(getattr(numpy_ops, name), given))
    assert raised >= 4 * len(arrays)  # at least those of another dtype


@pytest.mark.parametrize("name", CHECKED)
def test_a_batch_without_samples_gives_results_without_samples(name: str, rng: np.random.Generator) -> None:
    values = arguments(name, rng, "float32")
    given = {key: value[:0] if np.shape(value)[:1] == (5,) else value for key, value in values.items()}
    check_equal(outcome(getattr(numba_ops, name), given), results_without_samples(name, given))


def results_without_samples(name: str, given: dict[str, Any]) -> list[Any]:
    """Return what numpy_ops gives; the gradients of the parameters are sums without terms."""
    if name == "dense_backward":
        return [given["x"], np.zeros_like(given["W"]), np.zeros(given["W"].shape[1])]
    return outcome(getattr(numpy_ops, name), given)


def takes_two_arrays(name: str) -> bool:
    parameters = inspect.signature(getattr(numpy_ops, name)).parameters.values()
    return [parameter.default for parameter in parameters] == [inspect.Parameter.empty] * 2


@pytest.mark.parametrize("name", [name for name in CHECKED if takes_two_arrays(name)])
def test_one_array_as_both_arguments_gives_the_same_result(name: str) -> None:
    array = np.random.default_rng(0).dirichlet(np.ones(3), 5).astype(np.float32)
    check_equal([getattr(numba_ops, name)(array, array)], [getattr(numpy_ops, name)(array, array)])


@pytest.mark.parametrize(
    ("A", "B", "bias"),
    [((5, 4), (3, 2), None), ((5, 4), (4, 2), (3,)), ((5, 4), (4, 2), (2, 1)), ((0, 4), (3, 2), None)],
)
def test_a_product_of_wrong_shapes_raises(A: Any, B: Any, bias: Any) -> None:
    arrays = [shape if shape is None else np.ones(shape, np.float32) for shape in (A, B, bias)]
    with pytest.raises(ValueError, match=r"^product needs A \(M, K\), B \(K, N\) and a bias \(N,\) of one dtype; got "):
        product(*arrays)


@pytest.mark.parametrize("shape", [(0, 4), (5, 0), (5, 4)])
def test_a_product_without_rows_terms_or_columns(shape: tuple[int, int]) -> None:
    A = np.ones(shape, np.float32)
    for N in (0, 3):
        B = np.ones((shape[1], N), np.float32)
        np.testing.assert_array_equal(product(A, B), A @ B)
        np.testing.assert_array_equal(product(np.ascontiguousarray(A.T).T, B), A @ B)


# --- the fused step ---


def fused_step() -> FusedStep:
    return Training().run().fused  # for 5 inputs, 8 ReLU units and 3 classes


VALID = {"x": X, "order": np.arange(len(X)), "t": Y.astype(np.float32), "batch_size": 16, "rule": SGD(0.1).fused_rule}
VALID["steps"] = np.full((3, 2), 0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"x": X[:, :4].copy()},
        {"x": X[:39]},
        {"x": X[:0], "order": np.arange(0), "t": VALID["t"][:0]},
        {"order": np.arange(1, 41)},
        {"order": np.arange(-1, 39)},
        {"order": np.arange(39)},
        {"order": np.arange(40.0)},
        {"order": np.arange(40, dtype=np.int32)},
        {"order": np.arange(40).reshape(40, 1)},
        {"t": VALID["t"][:39]},
        {"t": VALID["t"][:, :2]},
        {"t": Y},
        {"batch_size": 0},
        {"batch_size": -1},
        {"rule": SGD(0.1, momentum=0.9).fused_rule},  # without velocities
        {"steps": np.full((2, 2), 0.1)},
        {"steps": np.full((3, 2), 0.1, np.float32)},
    ],
)
def test_wrong_arguments_of_a_fused_step_raise_and_change_nothing(wrong: dict[str, Any]) -> None:
    step = fused_step()
    before = [array.copy() for pair in step.weights for array in pair]
    with pytest.raises(ValueError, match=r"^(A fused step needs|The first layer expects) .*[;] "):
        step.train(**VALID | wrong)
    np.testing.assert_equal([array for pair in step.weights for array in pair], before)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_fused_step_reads_every_memory_layout(layout: str) -> None:
    step, other = fused_step(), fused_step()
    given = VALID | {"x": LAYOUTS[layout](X), "t": LAYOUTS[layout](VALID["t"])}
    found = step.train(**given)
    np.testing.assert_equal(
        found,
        other.train(**{key: np.array(value) if isinstance(value, Array) else value for key, value in given.items()}),
    )


@pytest.mark.parametrize(
    ("layer", "wrong"),
    [
        (0, {"W": np.ones((5, 7), np.float32)}),
        (0, {"W": np.ones((8, 5), np.float32).T}),
        (0, {"W": np.ones((5, 8))}),
        (0, {"b": np.ones(7, np.float32)}),
        (0, {"b": np.ones((8, 1), np.float32)}),
        (1, {"W": np.ones((7, 3), np.float32)}),
    ],
)
def test_a_fused_step_with_wrong_parameters_raises(layer: int, wrong: dict[str, Array]) -> None:
    weights = [{"W": np.ones((5, 8), np.float32), "b": None}, {"W": np.ones((8, 3), np.float32), "b": None}]
    weights[layer] |= wrong
    with pytest.raises(ValueError, match=r"^A fused step needs a contiguous float(32|64) parameter of shape .*; got "):
        FusedStep([(each["W"], each["b"]) for each in weights], ["relu", "softmax"])


def test_parameters_that_share_memory_have_the_bits_of_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MIN_PARALLEL_WORK", 0)
    monkeypatch.setattr(plan.config, "NUMBA_NUM_THREADS", 2)

    def share(model: Sequential) -> None:
        buffer = np.random.default_rng(0).normal(size=2000).astype(np.float32) / 5
        for layer, start in zip(model.layers[1:3], (0, 400), strict=True):
            layer.params["W"] = buffer[start : start + 1600].reshape(40, 40)

    training = Training(lambda: [*(Dense(40, "relu") for _ in range(3)), Dense(3, "softmax")], prepare=share)
    monkeypatch.setattr(trainings, "BATCH_SIZE", 32)  # enough samples for two chunks
    monkeypatch.setattr(trainings, "Y", np.tile(Y, (16, 1)))
    x = np.tile(X, (16, 1))
    assert results(training.run(x=x)) == results(training.run(x=x, run_eagerly=True))


# --- layers and models ---


@pytest.mark.parametrize("activation", ["linear", "relu", "softmax"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_of_another_shape_than_the_output_raises(backend: str, activation: str) -> None:
    model = Sequential([Dense(8, activation, input_shape=(5,)), Activation("tanh")], backend=backend)
    model.forward(X)
    for shape in ((39, 8), (41, 8), (40, 7), (40, 9), (2, 40, 8)):
        for layer in model.layers:
            with pytest.raises(ValueError, match=rf"^Layer '{layer.name}' needs a dout of shape \(40, 8\); got \("):
                layer.backward(np.ones(shape, np.float32))


REPLACED: dict[str, dict[str, Array]] = {
    "W with more inputs": {"W": np.ones((6, 8), np.float32)},
    "W with fewer inputs": {"W": np.ones((4, 8), np.float32)},
    "W with more units": {"W": np.ones((5, 9), np.float32)},
    "W with fewer units": {"W": np.ones((5, 7), np.float32)},
    "W and b with fewer units": {"W": np.ones((5, 7), np.float32), "b": np.ones(7, np.float32)},
    "longer b": {"b": np.ones(9, np.float32)},
    "W without rows": {"W": np.ones((0, 8), np.float32)},
}


def change_units(model: Sequential, params: dict[str, Array]) -> None:
    """Replace the parameters, and the number of units that the layer states."""
    model.layers[0].params.update(params)
    if "W" in params:
        model.layers[0].units = params["W"].shape[1]


def train_then_replace(backend: str, replaced: dict[str, Array], method: str) -> None:
    """Replace parameters of the first layer of a trained model, or in the middle of a training, and use the model."""
    if method == "fit, in the middle":
        change = LambdaCallback(on_epoch_end=lambda *_: change_units(change.model, replaced))
        Training(callbacks=lambda model: [change]).run(backend=backend)
    model = Training().run(backend=backend)
    model.layers[0].params.update(replaced)
    getattr(model, method)(*(X,) if method == "predict" else (X, Y))


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "trace", "train_on_batch", "fit, in the middle"])
@pytest.mark.parametrize("name", REPLACED)
@pytest.mark.parametrize("backend", BACKENDS)
def test_parameters_of_another_shape_raise(backend: str, name: str, method: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        train_then_replace(backend, REPLACED[name], method)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_kernel_leaves_an_array_that_numba_checks(tmp_path: Path) -> None:
    """Run tests of the kernels with ``NUMBA_BOUNDSCHECK=1``: an index outside of an array is an IndexError then."""
    names = ("test_shapes", "test_fused_step", "test_gemm", "test_execution_machine")
    tests = [str(Path(__file__).with_name(f"{name}.py")) for name in names]
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

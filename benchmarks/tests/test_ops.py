"""What does each operation cost, in NumPy, in Numba and in Keras, on the shapes of the article's first layer?

Keras's are those of ``keras.ops``, on the framework of this process; where it has none, as for gradients, it is absent.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.base import missing
from scratch import ops
from scratch.ops import numpy_ops

Arguments = dict[str, Any]
NAMES = [name for name, f in vars(numpy_ops).items() if inspect.isfunction(f) and not name.startswith("_")]
KERAS: dict[str, Callable[[Any, Arguments], Any]] = {
    "dense_forward": lambda ops, a: ops.add(ops.matmul(a["x"], a["W"]), a["b"]),
    "relu_forward": lambda ops, a: ops.relu(a["x"]),
    "sigmoid_forward": lambda ops, a: ops.sigmoid(a["x"]),
    "softmax_forward": lambda ops, a: ops.softmax(a["x"]),
    "tanh_forward": lambda ops, a: ops.tanh(a["x"]),
    "softmax_cross_entropy_forward": lambda ops, a: ops.categorical_crossentropy(a["t"], a["x"], from_logits=True),
    "categorical_crossentropy_forward": lambda ops, a: ops.categorical_crossentropy(a["t"], a["y"]),
}


def arguments(name: str, batch: int, inputs: int, units: int, classes: int = 10) -> Arguments:
    """Arguments of that operation: pixels, of which a fifth is not zero, for Dense; classes for a softmax."""
    rng = np.random.default_rng(0)
    width = units if name.startswith(("relu", "sigmoid", "tanh", "linear")) else classes
    x = rng.normal(size=(batch, width))
    if name.startswith("dense"):
        x, width = rng.random((batch, inputs)) * (rng.random((batch, inputs)) < 0.19), units
    out = rng.dirichlet(np.ones(width), batch)
    values: Arguments = {"x": x, "W": rng.normal(size=(inputs, units)) / 20, "b": rng.normal(size=units), "out": out}
    values |= {"y": out, "dout": rng.normal(size=(batch, width)), "t": np.eye(width)[rng.integers(width, size=batch)]}
    values = {key: value.astype(np.float32) for key, value in values.items()} | {"need_dx": True}
    return {key: values[key] for key in inspect.signature(getattr(numpy_ops, name)).parameters}


def keras_operation(name: str, given: Arguments) -> Callable[[], Any]:
    """Keras's operation on tensors of its own; its result as an array, so that it is there."""
    if reason := missing("keras-tensorflow"):
        pytest.skip(reason)
    import keras

    tensors = {key: keras.ops.convert_to_tensor(value) for key, value in given.items()}
    return lambda: keras.ops.convert_to_numpy(KERAS[name](keras.ops, tensors))


@pytest.mark.parametrize(
    ("name", "side"), [(n, s) for n in NAMES for s in ("numpy", "numba", "keras") if s != "keras" or n in KERAS]
)
def test_operation(benchmark: Any, timed: bool, name: str, side: str) -> None:
    given = arguments(name, *((100, 784, 256) if timed else (3, 5, 4)))
    work = keras_operation(name, given) if side == "keras" else lambda: getattr(ops.get(side), name)(**given)
    got, wanted = (r if isinstance(r, tuple) else (r,) for r in (work(), getattr(numpy_ops, name)(**given)))
    for a, b in zip(got, wanted, strict=True):
        # Sums of at most 784 products of size 1 or less: rounding comes to 1e-5, a term left out to 1e-2.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    benchmark.group = name
    benchmark(work)

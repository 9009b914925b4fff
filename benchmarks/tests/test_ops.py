"""How long does each operation take, in NumPy, in Numba and in Keras, on the shapes of the article's first layer?

Keras's operations are those of ``keras.ops`` on the framework of this process; Keras has none for the gradients.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scratch import losses, ops
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


def arguments(name: str, batch_size: int, inputs: int, units: int, classes: int = 10) -> Arguments:
    """Return arguments of an operation: for Dense, inputs of which a fifth is not zero; for a softmax, ``classes``."""
    rng = np.random.default_rng(0)
    width = units if name.startswith(("relu", "sigmoid", "tanh", "linear")) else classes
    x = rng.normal(size=(batch_size, width))
    if name.startswith("dense"):
        x, width = rng.random((batch_size, inputs)) * (rng.random((batch_size, inputs)) < 0.19), units
    y = rng.dirichlet(np.ones(width), batch_size)
    values: Arguments = {"x": x, "W": rng.normal(size=(inputs, units)) / 20, "b": rng.normal(size=units), "out": y}
    t = np.eye(width)[rng.integers(width, size=batch_size)]
    values |= {"y": y, "dout": rng.normal(size=(batch_size, width)), "t": t}
    values = {key: value.astype(np.float32) for key, value in values.items()} | {"need_dx": True}
    values |= {option: getattr(loss(), option) for loss in losses.LOSSES.values() for option in loss.op_options}
    parameters = inspect.signature(getattr(numpy_ops, name)).parameters.values()
    return {each.name: values[each.name] for each in parameters if each.default is each.empty}


def keras_operation(name: str, given: Arguments) -> Callable[[], Any]:
    """Return a function that applies Keras's operation to tensors and waits for the result, as an array."""
    import keras

    tensors = {key: keras.ops.convert_to_tensor(value) for key, value in given.items()}
    return lambda: keras.ops.convert_to_numpy(KERAS[name](keras.ops, tensors))


@pytest.mark.parametrize(
    ("name", "side"), [(n, s) for n in NAMES for s in ("numpy", "numba", "keras") if s != "keras" or n in KERAS]
)
def test_operation(benchmark: Any, timed: bool, require_peer: Callable, name: str, side: str) -> None:
    if side == "keras":
        require_peer("keras-tensorflow")
    given = arguments(name, *((100, 784, 256) if timed else (3, 5, 4)))
    work = keras_operation(name, given) if side == "keras" else lambda: getattr(ops.get(side), name)(**given)
    results, expected = (r if isinstance(r, tuple) else (r,) for r in (work(), getattr(numpy_ops, name)(**given)))
    for result, reference in zip(results, expected, strict=True):
        # Sums of at most 784 products of size 1 or less: rounding comes to 1e-5, a term left out to 1e-2.
        np.testing.assert_allclose(result, reference, rtol=1e-4, atol=1e-4)
    benchmark.group = name
    benchmark(work)

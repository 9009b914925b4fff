"""Initial weights: the distribution that each initializer draws from."""

from functools import lru_cache
from types import ModuleType
from typing import Any

import keras
import numpy as np

from keras_impl.frameworks import FRAMEWORK, to_numpy
from parity_tests.comparison import Comparison, compare, equal
from scratch import initializers
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.utils import set_random_seed

INPUTS, UNITS = 784, 256
N = INPUTS * UNITS
ROUNDING = 2 * float(np.finfo(np.float32).eps)
ARGUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "uniform from -1 to 3": ("RandomUniform", {"minval": -1.0, "maxval": 3.0}),
    "normal around 1": ("RandomNormal", {"mean": 1.0, "stddev": 0.25}),
    "truncated normal around 1": ("TruncatedNormal", {"mean": 1.0, "stddev": 0.25}),
    "uniform, outputs": ("VarianceScaling", {"scale": 2.0, "mode": "fan_out", "distribution": "uniform"}),
    "normal, average": ("VarianceScaling", {"scale": 0.5, "mode": "fan_avg", "distribution": "untruncated_normal"}),
    "constant 0.25": ("Constant", {"value": 0.25}),
    "2 orthogonal": ("Orthogonal", {"gain": 2.0}),
    "3 identity": ("Identity", {"gain": 3.0}),
}
NO_LARGEST = ("random_normal", "orthogonal", "normal around 1", "normal, average", "2 orthogonal")


def initializer(api: ModuleType, label: str) -> Any:
    """Return the initializer of a label: one of ``ARGUMENTS``, or a name with the default arguments."""
    class_name, arguments = ARGUMENTS.get(label, (label.title().replace("_", ""), {}))
    return getattr(api, class_name)(**arguments)


@lru_cache
def keras_distributions() -> dict[str, tuple[float, float, float]]:
    """Return the largest magnitude, mean and standard deviation of a kernel from each of Keras's initializers."""
    found = {}
    for name in (*initializers.INITIALIZERS, *ARGUMENTS):
        keras.utils.set_random_seed(0)
        W = to_numpy(initializer(keras.initializers, name)((INPUTS, UNITS))).astype(np.float64)
        found[name] = float(np.abs(W).max()), float(W.mean()), float(W.std())
    return found


def check_initial_weights(backend: str) -> list[Comparison]:
    """Mean, standard deviation and largest magnitude agree with Keras's, biases are zero, and the default is Keras's.

    A seed of an initializer, and not that of the model, determines the values.

    Bounds: two samples of N values each.  The difference of their means has a standard deviation of std·√(2/N), that of
    their standard deviations one of std·√(1/N) if the values are normal, less if they are uniform; five of these are
    allowed.  The largest of N uniform values is within a relative 1/N of the limit; 0.1 % is allowed.
    A product of two columns of an orthogonal matrix adds entries that are rounded to float32, each by a relative ε/2:
    by Cauchy and Schwarz at most ε, relative to the columns' lengths, if the float64 QR decomposition is exact; 2 ε.
    """
    rows = []
    for name, (largest, mean, std) in keras_distributions().items():
        set_random_seed(1)
        layer = Dense(UNITS, kernel_initializer=initializer(initializers, name), input_shape=(INPUTS,))
        W, b = (array.astype(np.float64) for array in Sequential([layer], backend=backend).get_weights())
        rows.append(compare(f"{name}, mean", W.mean(), np.float64(mean), 5 * std * np.sqrt(2 / N)))
        rows.append(compare(f"{name}, deviation", W.std(), np.float64(std), 5 * std * np.sqrt(1 / N)))
        # A normal distribution has no largest value, and Keras on torch truncates at another limit.
        truncated = "normal" in name or name == "variance_scaling"
        if name not in NO_LARGEST and not (FRAMEWORK == "torch" and truncated):
            rows.append(compare(f"{name}, largest", np.abs(W).max(), np.float64(largest), 0.001 * largest))
        rows.append(equal(f"bias beside {name}", bool(b.any()), False))
        if "orthogonal" in name:
            gain = 2.0 if name in ARGUMENTS else 1.0
            rows.append(compare(f"{name}, products", W.T @ W, gain**2 * np.eye(UNITS), gain**2 * ROUNDING))
    rows += [equal(f"{name}, seeded", *_seeded(name, backend)) for name in ("HeNormal", "RandomUniform", "Orthogonal")]
    default = Sequential([Dense(UNITS, input_shape=(INPUTS,))], backend=backend).get_weights()[0]
    limit = np.sqrt(6 / (INPUTS + UNITS))  # glorot_uniform
    rows.append(compare("default initializer, largest", np.float64(np.abs(default).max()), limit, 1e-4))
    return rows


def _seeded(class_name: str, backend: str) -> list[bytes]:
    """Return the kernel of two models with the same seed of the initializer, and another seed of scratch."""
    kernels = []
    for seed in (1, 2):
        set_random_seed(seed)
        layer = Dense(4, kernel_initializer=getattr(initializers, class_name)(seed=3), input_shape=(5,))
        kernels.append(Sequential([layer], backend=backend).get_weights()[0].tobytes())
    return kernels

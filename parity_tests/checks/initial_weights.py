"""Initial weights: the distribution that each initializer draws from."""

from functools import lru_cache

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


@lru_cache
def keras_distributions() -> dict[str, tuple[float, float, float]]:
    """Return the largest magnitude, mean and standard deviation of a kernel from each of Keras's initializers."""
    found = {}
    for name in initializers.INITIALIZERS:
        keras.utils.set_random_seed(0)
        W = to_numpy(keras.initializers.get(name)((INPUTS, UNITS))).astype(np.float64)
        found[name] = float(np.abs(W).max()), float(W.mean()), float(W.std())
    return found


def check_initial_weights(backend: str) -> list[Comparison]:
    """Mean, standard deviation and largest magnitude agree with Keras's, biases are zero, and the default is Keras's.

    Bounds: two samples of N values each.  The difference of their means has a standard deviation of std·√(2/N), that of
    their standard deviations one of std·√(1/N) if the values are normal, less if they are uniform; five of these are
    allowed.  The largest of N uniform values is within a relative 1/N of the limit; 0.1 % is allowed.
    """
    rows = []
    for name, (largest, mean, std) in keras_distributions().items():
        set_random_seed(1)
        layer = Dense(UNITS, kernel_initializer=name, input_shape=(INPUTS,))
        W, b = (array.astype(np.float64) for array in Sequential([layer], backend=backend).get_weights())
        rows.append(compare(f"{name}, mean", W.mean(), np.float64(mean), 5 * std * np.sqrt(2 / N)))
        rows.append(compare(f"{name}, deviation", W.std(), np.float64(std), 5 * std * np.sqrt(1 / N)))
        # A normal distribution has no largest value, and Keras on torch truncates at another limit.
        if name != "random_normal" and not (FRAMEWORK == "torch" and "normal" in name):
            rows.append(compare(f"{name}, largest", np.abs(W).max(), np.float64(largest), 0.001 * largest))
        rows.append(equal(f"bias beside {name}", bool(b.any()), False))
    default = Sequential([Dense(UNITS, input_shape=(INPUTS,))], backend=backend).get_weights()[0]
    limit = np.sqrt(6 / (INPUTS + UNITS))  # glorot_uniform
    rows.append(compare("default initializer, largest", np.float64(np.abs(default).max()), limit, 1e-4))
    return rows

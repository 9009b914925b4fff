"""Dropout: how often, and to what, its masks set the inputs; training beside inference."""

from collections.abc import Iterator
from functools import lru_cache

import keras
import numpy as np

from keras_impl.frameworks import to_numpy
from parity_tests.comparison import Comparison, compare, equal, same
from parity_tests.reference.error_model import Rounding
from scratch.layers import Dropout, Input
from scratch.models import Sequential

RATES = (0.125, 0.3, 0.5)
SHAPE = (200, 500)
U = Rounding("float32").u


@lru_cache
def keras_factor(rate: float) -> np.ndarray:
    """Return by what Keras multiplies the inputs that it keeps."""
    out = to_numpy(keras.layers.Dropout(rate, seed=0)(np.ones(SHAPE, "float32"), training=True))
    return out.max()


def _frequency(name: str, mask: np.ndarray, expected: float) -> Comparison:
    """Compare a relative frequency of independent events with its probability; five standard deviations are allowed."""
    bound = 5 * np.sqrt(expected * (1 - expected) / mask.size)
    return compare(name, np.float64(mask.mean()), np.float64(expected), bound)


def check_dropout(backend: str) -> Iterator[Comparison]:
    """Masks have the right frequencies and are independent, kept inputs Keras's factor; inference changes nothing."""
    x = np.random.default_rng(0).uniform(1, 2, SHAPE).astype("float32")
    for rate in RATES:
        layer = Dropout(rate, seed=1)
        model = Sequential([Input(SHAPE[1:]), layer], backend=backend)
        first, second = (model.forward(x, training=True) for _ in range(2))
        yield _frequency(f"rate {rate}: share of zeros", first == 0, rate)
        both = rate**2
        yield _frequency(f"rate {rate}: zeros in two masks", (first == 0) & (second == 0), both)
        yield _frequency(f"rate {rate}: zeros in two neighbours", (first[:, 1:] == 0) & (first[:, :-1] == 0), both)
        yield _frequency(f"rate {rate}: zeros in two samples", (first[1:] == 0) & (first[:-1] == 0), both)
        kept = first != 0  # two roundings on either side: that of the factor, and that of the product
        yield compare(f"rate {rate}: kept inputs", first[kept], x[kept] * keras_factor(rate), 4 * U * first[kept])
        yield same(f"rate {rate}: dx", layer.backward(x), np.where(second != 0, second, 0).astype("float32"))
        yield same(f"rate {rate}: inference", model.predict(x, verbose=0), x)
        yield equal(f"rate {rate}: masks drawn", layer.state["masks"].tolist(), [1, 2])

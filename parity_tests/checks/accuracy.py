"""Accuracy: how far each tensor of a pass is from float64, compared with Keras's own distance.

The bounds of the error model are worst cases; a program may stay within them and still be less accurate than Keras.
This check measures the accuracy itself: the root mean square (RMS) of the errors, over many batches and weights.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np

from parity_tests.checks.networks import Networks, tensors
from parity_tests.comparison import Comparison, compare
from parity_tests.reference.cases import ARTICLE, Case, bounded_trace, keras_trace

NETWORKS = (ARTICLE, Case((300, 50, 10), ("tanh", "sigmoid", "softmax"), features=400, batch=128))
SEEDS = 20
FACTOR = 1.1  # of Keras's RMS error


def rms_errors(network: Case, trace: Callable[[Case], dict[str, np.ndarray]]) -> dict[str, float]:
    """Return the RMS distance from float64 of each tensor that ``trace`` returns, over ``SEEDS`` cases."""
    squares: dict[str, float] = {}
    for seed in range(SEEDS):
        case = replace(network, seed=seed)
        for name, tensor in trace(case).items():
            error = tensor - bounded_trace(case)[name].value
            squares[name] = squares.get(name, 0.0) + float(np.mean(error**2))
    return {name: float(np.sqrt(total / SEEDS)) for name, total in squares.items()}


def own_rms_errors(networks: Networks, network: Case) -> dict[str, float]:
    """Return the RMS errors of an implementation's network."""
    return rms_errors(network, lambda case: tensors(networks.build(case), case))


@lru_cache
def keras_rms_errors(network: Case) -> dict[str, float]:
    """Return the RMS errors of Keras."""
    return rms_errors(network, keras_trace)


def check_accuracy(networks: Networks) -> Iterator[Comparison]:
    """The RMS error of each tensor is at most 1.1 times that of Keras."""
    for network in NETWORKS:
        for name, error in own_rms_errors(networks, network).items():
            bound = FACTOR * keras_rms_errors(network)[name]
            label = f"{network} and {SEEDS - 1} more seeds: {name}, RMS distance from float64"
            yield compare(label, np.float64(error), np.float64(0), bound)

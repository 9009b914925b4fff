"""Adapter for scikit-learn's ``MLPClassifier``."""

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from parity_tests.implementations.construct import DEFAULT_SIZES
from parity_tests.implementations.protocol import Array, CannotRunError, NotOffered


class ScikitLearnNetwork:
    """An ``MLPClassifier`` as it is configured: alpha, momentum, Nesterov; only public methods are called.

    The loss and the gradients are those of one ``partial_fit``; soft labels are not offered.

    Attributes:
        network: the fitted classifier; one that was not fitted is given the sizes.
        calls: what each method of this adapter calls.
    """

    def __init__(self, network: Any, sizes: Sequence[int] | None):
        if not hasattr(network, "partial_fit") or not hasattr(network, "hidden_layer_sizes"):
            raise CannotRunError(f"Of scikit-learn, only MLPClassifier can be tested; got {type(network).__name__}.")
        self.network = network if hasattr(network, "coefs_") else initialized(network, sizes or DEFAULT_SIZES[0])
        self.calls = {"outputs": "predict_proba", "loss": "partial_fit, loss_", "step": "partial_fit"}
        if network.solver == "sgd":
            self.step = self._step

    def get_weights(self) -> list[Array]:
        layers = zip(self.network.coefs_, self.network.intercepts_, strict=True)
        return [np.array(W) for layer in layers for W in layer]

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.network.coefs_, self.network.intercepts_ = list(weights[::2]), list(weights[1::2])

    def outputs(self, x: Array) -> Array:
        return np.asarray(self.network.predict_proba(x))

    def loss(self, x: Array, t: Array) -> float:
        trained = copy.deepcopy(self)
        trained._partial_fit(x, t)
        return float(trained.network.loss_)

    def _step(self, x: Array, t: Array, learning_rate: float) -> None:
        self.network.set_params(learning_rate_init=learning_rate)  # read by the first step
        if hasattr(self.network, "_optimizer"):
            self.network._optimizer.learning_rate = learning_rate  # read by later steps
        self._partial_fit(x, t)

    def _partial_fit(self, x: Array, t: Array) -> None:
        if not ((t == 0) | (t == 1)).all():
            raise NotOffered("MLPClassifier takes class numbers, not soft labels")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a batch smaller than batch_size
            self.network.partial_fit(x, t.argmax(axis=1))


def initialized(network: Any, sizes: Sequence[int]) -> Any:
    """Return a classifier with the same settings and these sizes, after one step on zeros."""
    network = clone(network).set_params(hidden_layer_sizes=tuple(sizes[1:-1]))
    network.partial_fit(np.zeros((sizes[-1], sizes[0])), np.arange(sizes[-1]), classes=np.arange(sizes[-1]))
    del network._optimizer  # it has a velocity already
    return network

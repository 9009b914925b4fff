"""Adapter for a JAX function ``f(params, x)`` with params as a list of (W, b)."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from parity_tests.implementations.protocol import Array, NotOffered


class JaxFunction:
    """A function that returns logits or log-probabilities; its loss is a mean cross-entropy, its gradients are JAX's.

    A function offers no training steps: an update rule would be the adapter's.

    Attributes:
        function: the function.
        params: the list of (W, b).
        calls: what each method of this adapter calls.
    """

    def __init__(self, function: Callable[[Any, Any], Any], sizes: Sequence[int]):
        self.function = function
        self.params = [(np.zeros(shape), np.zeros(shape[1])) for shape in zip(sizes, sizes[1:], strict=False)]
        name = getattr(function, "__name__", "f")
        loss = f"the mean of -sum(t * log_softmax({name}(params, x)))"
        self.calls = {"outputs": f"{name}(params, x)", "loss": loss, "gradients": "jax.grad of the loss"}

    def get_weights(self) -> list[Array]:
        return [np.array(W) for layer in self.params for W in layer]

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.params = list(zip(weights[::2], weights[1::2], strict=True))

    def outputs(self, x: Array) -> Array:
        with jax.enable_x64(True):  # without it, float64 becomes float32
            return np.asarray(self.function(self._params(), jnp.asarray(x)))

    def loss(self, x: Array, t: Array) -> Array:
        with jax.enable_x64(True):
            return np.asarray(self._loss(self._params(), jnp.asarray(x), jnp.asarray(t)))

    def gradients(self, x: Array, t: Array) -> list[Array]:
        self._check_logits(x)
        with jax.enable_x64(True):
            found = jax.grad(self._loss)(self._params(), jnp.asarray(x), jnp.asarray(t))
            return [np.asarray(dW) for layer in found for dW in layer]

    def backward(self, x: Array, dout: Array) -> list[Array]:
        with jax.enable_x64(True):
            _, pull_back = jax.vjp(lambda params: self.function(params, jnp.asarray(x)), self._params())
            return [np.asarray(dW) for layer in pull_back(jnp.asarray(dout))[0] for dW in layer]

    def _params(self) -> list[tuple[Any, Any]]:
        return [(jnp.asarray(W), jnp.asarray(b)) for W, b in self.params]

    def _check_logits(self, x: Array) -> None:
        out = self.outputs(x)
        if (out >= 0).all() and np.allclose(out.sum(axis=1), 1, atol=1e-4):
            raise NotOffered("the function returns probabilities, and the loss of the adapter takes logits")

    def _loss(self, params: Any, x: Any, t: Any) -> Any:
        logarithms = jax.nn.log_softmax(self.function(params, x))
        return -(t * logarithms).sum(axis=1).mean()

"""Adapter for a JAX function ``f(params, x)`` with params as a list of (W, b)."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from parity_tests.implementations.protocol import Array, NotOffered

Function = Callable[..., Any]


@lru_cache(maxsize=4)  # fresh networks share the compiled functions
def compiled(function: Function) -> tuple[Function, ...]:
    """Return a function of (params, x), its loss, the gradient of the loss, and that of Σ outputs·dout, compiled."""

    def weighted(params: Any, x: Any, dout: Any) -> Any:
        return (function(params, x) * dout).sum()

    def loss(params: Any, x: Any, t: Any) -> Any:
        return -(t * jax.nn.log_softmax(function(params, x))).sum(axis=1).mean()

    return jax.jit(function), jax.jit(loss), jax.jit(jax.grad(loss)), jax.jit(jax.grad(weighted))


class JaxFunction:
    """A function that returns logits or log-probabilities; its loss is a mean cross-entropy, its gradients are JAX's.

    JAX compiles the function.  It offers no training steps: an update rule would be the adapter's.

    Attributes:
        params: the list of (W, b).
        calls: what each method of this adapter calls.
    """

    def __init__(self, function: Function, sizes: Sequence[int]):
        self._outputs, self._loss, self._gradient, self._weighted = compiled(function)
        self.params = [(np.zeros(shape), np.zeros(shape[1])) for shape in pairwise(sizes)]
        name = getattr(function, "__name__", "f")
        loss = f"the mean of -sum(t * log_softmax({name}(params, x)))"
        self.calls = {"outputs": f"{name}(params, x)", "loss": loss, "gradients": "jax.grad of the loss"}

    def get_weights(self) -> list[Array]:
        return [np.array(W) for layer in self.params for W in layer]

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.params = list(zip(weights[::2], weights[1::2], strict=True))

    def outputs(self, x: Array) -> Array:
        return np.asarray(self._call(self._outputs, x))

    def loss(self, x: Array, t: Array) -> Array:
        self._check_logits(self.outputs(x))
        return np.asarray(self._call(self._loss, x, t))

    def gradients(self, x: Array, t: Array) -> list[Array]:
        self._check_logits(self.outputs(x))
        return [np.asarray(dW) for layer in self._call(self._gradient, x, t) for dW in layer]

    def backward(self, x: Array, dout: Array) -> list[Array]:
        return [np.asarray(dW) for layer in self._call(self._weighted, x, dout) for dW in layer]

    def _call(self, function: Function, *arrays: Array) -> Any:
        """Return function(params, …); without 64-bit numbers, JAX would convert float64 to float32."""
        with jax.enable_x64(True):
            params = [(jnp.asarray(W), jnp.asarray(b)) for W, b in self.params]
            return function(params, *(jnp.asarray(array) for array in arrays))

    def _check_logits(self, out: Array) -> None:
        if (out >= 0).all() and np.allclose(out.sum(axis=1), 1, atol=1e-4):
            raise NotOffered("the function returns probabilities, and the loss of the adapter takes logits")

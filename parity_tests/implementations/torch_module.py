"""Adapter for ``torch.nn.Module``."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from parity_tests.implementations.calling import find_method
from parity_tests.implementations.protocol import Array, CannotRunError

LOSS_LAYERS = ("loss", "criterion", "loss_fn")


class TorchModule:
    """A module of Dense layers that returns logits, log-probabilities or probabilities; gradients are autograd's.

    The loss is the module's own ``loss(x, t)`` or its loss layer ``loss`` or ``criterion``, otherwise torch's
    ``cross_entropy``, which takes logits: a module that returns probabilities has no other loss than its own.  A step
    is the module's own ``step(x, t, learning_rate)``, otherwise one of ``torch.optim.SGD``.

    Attributes:
        module: the module.
        layout: the shape of square weights.
        calls: what of the module each method of this adapter calls.
    """

    def __init__(self, module: torch.nn.Module):
        self.module = module
        self.parameters = list(module.parameters())
        if [p.ndim for p in self.parameters] != [2, 1] * (len(self.parameters) // 2) or not self.parameters:
            shapes = ", ".join(str(tuple(p.shape)) for p in self.parameters) or "none"
            raise CannotRunError(
                f"A module must have W and b for each layer, in order; got parameters of shape {shapes}."
            )
        is_linear = any(isinstance(layer, torch.nn.Linear) for layer in module.modules())
        self.layout = "units,inputs" if is_linear else "inputs,units"
        layers = (getattr(module, name, None) for name in LOSS_LAYERS)
        self.loss_layer = next((layer for layer in layers if isinstance(layer, torch.nn.Module)), None)
        methods = () if self.loss_layer else ("loss", "compute_loss")
        self.own_loss = find_method(module, methods, {"x", "t", "out"}, {"t"})
        self.own_step = find_method(module, ("step", "train_step"), {"x", "t", "rate"}, {"x", "t", "rate"})
        self._offer()

    def _offer(self) -> None:
        self.calls = {"outputs": "forward"}
        own = self.own_loss or self.loss_layer
        if own is not None or not self._returns_probabilities():
            name = str(own or "torch.nn.functional.cross_entropy").splitlines()[0]
            self.loss, self.calls["loss"] = self._loss_value, name
            self.gradients, self.calls["gradients"] = self._loss_gradients, "autograd of the loss"
            self.step, self.calls["step"] = self._sgd_step, "torch.optim.SGD"
        if self.own_step:
            self.step, self.calls["step"] = self._own_step, str(self.own_step)

    def _returns_probabilities(self) -> bool:
        kernel = self.parameters[0]
        inputs = kernel.shape[1] if self.layout == "units,inputs" else kernel.shape[0]
        with torch.no_grad():
            out = self.module(torch.zeros(1, inputs, dtype=kernel.dtype))
        return bool((out > 0).all()) and abs(float(out.sum()) - 1) < 1e-4

    @cached_property
    def optimizer(self) -> torch.optim.SGD:
        """Plain SGD; the learning rate is set before each step."""
        return torch.optim.SGD(self.parameters, lr=1.0)

    def get_weights(self) -> list[Array]:
        return [p.detach().numpy().copy() for p in self.parameters]

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.module.to(_tensor(weights[0]).dtype)
        with torch.no_grad():
            for p, W in zip(self.parameters, weights, strict=True):
                p.copy_(_tensor(W))

    def outputs(self, x: Array) -> Array:
        with torch.no_grad():
            return np.asarray(self.module(_tensor(x)).numpy())

    def backward(self, x: Array, dout: Array) -> list[Array]:
        self.module.zero_grad()
        self.module(_tensor(x)).backward(_tensor(dout))
        return self._gradients()

    def _loss_value(self, x: Array, t: Array) -> Array:
        with torch.no_grad():
            return np.asarray(self._loss(x, t).numpy())

    def _loss_gradients(self, x: Array, t: Array) -> list[Array]:
        self.module.zero_grad()
        self._loss(x, t).backward()
        return self._gradients()

    def _sgd_step(self, x: Array, t: Array, learning_rate: float) -> None:
        self.optimizer.param_groups[0]["lr"] = learning_rate
        self.optimizer.zero_grad()
        self._loss(x, t).backward()
        self.optimizer.step()

    def _own_step(self, x: Array, t: Array, learning_rate: float) -> None:
        assert self.own_step is not None
        self.own_step({"x": _tensor(x), "t": _tensor(t), "rate": learning_rate})

    def _gradients(self) -> list[Array]:
        return [np.zeros(p.shape) if p.grad is None else p.grad.numpy().copy() for p in self.parameters]

    def _loss(self, x: Array, t: Array) -> Any:
        inputs, targets = _tensor(x), _tensor(t)
        if self.own_loss and not self.own_loss.takes("out"):
            return self.own_loss({"x": inputs, "t": targets})
        out = self.module(inputs)
        if self.own_loss:
            return self.own_loss({"x": inputs, "t": targets, "out": out})
        return (self.loss_layer or torch.nn.functional.cross_entropy)(out, targets)


def _tensor(array: Array) -> torch.Tensor:
    """Return a tensor that shares the array's memory where it can."""
    return torch.from_numpy(np.ascontiguousarray(array))

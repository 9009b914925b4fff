"""Adapter for ``torch.nn.Module``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from parity_tests.implementations.calling import find_method
from parity_tests.implementations.protocol import Array, CannotRunError, NotOffered


class TorchModule:
    """A module of Dense layers that returns logits, log-probabilities or probabilities; gradients are autograd's.

    The loss is the module's own ``loss(x, t)`` or its loss layer ``loss`` or ``criterion``, otherwise torch's
    ``cross_entropy``, which takes logits.  A step is the module's own ``step(x, t, learning_rate)``, otherwise one of
    ``torch.optim.SGD``.

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
            raise CannotRunError(f"A module must have a W and a b for each layer, in order; got parameters of shape {shapes}.")
        is_linear = any(isinstance(layer, torch.nn.Linear) for layer in module.modules())
        self.layout = "units,inputs" if is_linear else "inputs,units"
        layers = (getattr(module, name, None) for name in ("loss", "criterion", "loss_fn"))
        self.loss_layer = next((layer for layer in layers if isinstance(layer, torch.nn.Module)), None)
        self.own_loss = None if self.loss_layer else find_method(module, ("loss", "compute_loss"), {"x", "t", "out"}, {"t"})
        self.own_step = find_method(module, ("step", "train_step"), {"x", "t", "rate"}, {"x", "t", "rate"})
        self.optimizer = torch.optim.SGD(self.parameters, lr=1.0)
        loss = self.own_loss or type(self.loss_layer or torch.nn.CrossEntropyLoss()).__name__
        self.calls = {"outputs": "forward", "loss": str(loss), "gradients": "autograd of the loss"}
        self.calls["step"] = str(self.own_step or "torch.optim.SGD")

    def get_weights(self) -> list[Array]:
        return [p.detach().numpy().copy() for p in self.parameters]

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.module.to(torch.from_numpy(np.asarray(weights[0])).dtype)
        with torch.no_grad():
            for p, W in zip(self.parameters, weights, strict=True):
                p.copy_(torch.from_numpy(W))

    def outputs(self, x: Array) -> Array:
        with torch.no_grad():
            return np.asarray(self.module(torch.from_numpy(np.ascontiguousarray(x))).numpy())

    def loss(self, x: Array, t: Array) -> Array:
        with torch.no_grad():
            return np.asarray(self._loss(x, t).numpy())

    def gradients(self, x: Array, t: Array) -> list[Array]:
        self.module.zero_grad()
        self._loss(x, t).backward()
        return [np.zeros(p.shape) if p.grad is None else p.grad.numpy().copy() for p in self.parameters]

    def backward(self, x: Array, dout: Array) -> list[Array]:
        self.module.zero_grad()
        out = self.module(torch.from_numpy(np.ascontiguousarray(x)))
        out.backward(torch.from_numpy(np.ascontiguousarray(dout)))
        return [np.zeros(p.shape) if p.grad is None else p.grad.numpy().copy() for p in self.parameters]

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        if self.own_step:
            inputs, targets = (torch.from_numpy(np.ascontiguousarray(a)) for a in (x, t))
            self.own_step({"x": inputs, "t": targets, "rate": learning_rate})
            return
        self.optimizer.param_groups[0]["lr"] = learning_rate
        self.optimizer.zero_grad()
        self._loss(x, t).backward()
        self.optimizer.step()

    def _loss(self, x: Array, t: Array) -> Any:
        inputs, targets = (torch.from_numpy(np.ascontiguousarray(a)) for a in (x, t))
        if self.own_loss:
            values = {"x": inputs, "t": targets}
            return self.own_loss(values | {"out": self.module(inputs)} if self.own_loss.takes("out") else values)
        out = self.module(inputs)
        if self.loss_layer:
            return self.loss_layer(out, targets)
        if bool((out >= 0).all()) and torch.allclose(out.sum(dim=1), torch.ones(1, dtype=out.dtype), atol=1e-4):
            raise NotOffered("the module returns probabilities, and cross_entropy takes logits; give it a loss(x, t)")
        return torch.nn.functional.cross_entropy(out, targets)

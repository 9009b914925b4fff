"""A network computed in float64, in the plainest way, with the bound of the error model beside every number."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from parity_tests.reference import losses, sgd
from parity_tests.reference.activations import ACTIVATIONS
from parity_tests.reference.error_model import LAMBDA, Array, Bounded, Rounding, exact
from parity_tests.reference.layers import LAYERS, PENALTIES, Pass, Settings, penalty, penalty_gradient
from parity_tests.reference.sgd import OptimizerSettings, SGDSettings, State

Parameters = dict[str, Bounded]  # by name: 'dense_0/W', 'dense_0/b', …


class LayerSpec(NamedTuple):
    """A layer: its name, its class, its activation, and the further arguments of a class in ``LAYERS``.

    Other classes are ``Dense``, ``Flatten`` and those that only activate.
    """

    name: str
    kind: str
    activation: str
    settings: Settings = MappingProxyType({})


@dataclass
class BoundedNetwork:
    """A network with a bound beside every number.

    Attributes:
        layers: the layers, first to last.
        params: weights by name, each with its bound.
        rounding: the arithmetic whose errors are bounded.
        loss: the formula of the loss.
        loss_on_logits: whether the loss is computed on the logits of the softmax that the network ends in.
        settings: the settings of the optimizer.
        state: the optimizer's state by the names of ``params``; empty before the first step.
        iterations: number of steps that the optimizer has taken.
        steps: number of steps that this network has taken.
        regularized: whether the loss has the penalties of ``layers.PENALTIES``.
    """

    layers: Sequence[LayerSpec]
    params: Parameters
    rounding: Rounding
    loss: losses.LossRule
    loss_on_logits: bool
    settings: OptimizerSettings = field(default_factory=SGDSettings)
    state: dict[str, State] = field(default_factory=dict)
    iterations: int = 0
    steps: int = 0
    regularized: bool = False

    def forward(self, x: Array, training: bool = False) -> dict[str, tuple[Bounded, Bounded]]:
        """Return z (the input of the activation) and the output of each layer, by its name, for a batch x."""
        out, outputs = _flattened(x), {}
        for layer in self.layers:
            z = out
            if layer.kind == "Dense":
                z = self.rounding.dense(out, self.params[f"{layer.name}/W"], self.params.get(f"{layer.name}/b"))
            elif layer.kind in LAYERS:
                model = LAYERS[layer.kind]
                z = (model.forward if training else model.inference)(self._pass(layer, out))
            out = ACTIVATIONS[layer.activation].forward(self.rounding, z)
            outputs[layer.name] = z, out
        return outputs

    def predict(self, x: Array) -> Bounded:
        """Return the outputs of the last layer for a batch x."""
        return self.forward(x)[self.layers[-1].name][1]

    def trace(self, x: Array, t: Array) -> dict[str, Bounded]:
        """Return what ``model.trace(x, t)`` returns, with bounds.

        Args:
            x: a batch (N, …).
            t: its targets (N, C), as the loss uses them: one-hot and smoothed.
        """
        outputs = self.forward(x, training=True)
        last = self.layers[-1].name
        y = outputs[last][0 if self.loss_on_logits else 1]
        trace = {f"{name}/out": out for name, (_, out) in outputs.items()}
        trace["loss"] = losses.mean(self.rounding, self.loss.forward(self.rounding, y, t))
        trace["loss/dx"] = losses.mean_backward(self.rounding, self.loss.backward(self.rounding, y, t))
        trace |= self._backward(x, trace["loss/dx"], outputs)
        return self._with_penalties(trace) if self.regularized else trace

    def _with_penalties(self, trace: dict[str, Bounded]) -> dict[str, Bounded]:
        """Return the trace with the penalties in the loss, and their gradients in those of the parameters."""
        for name, W in self.params.items():
            layer, key = name.split("/")
            if key in PENALTIES:
                trace["loss"] = self.rounding.add(trace["loss"], penalty(self.rounding, key, W))
                gradient = penalty_gradient(self.rounding, key, W)
                trace[f"{layer}/d{key}"] = self.rounding.add(trace[f"{layer}/d{key}"], gradient)
        return trace

    def _backward(self, x: Array, dout: Bounded, outputs: dict[str, tuple[Bounded, Bounded]]) -> dict[str, Bounded]:
        """Return the gradients that flow back and those of the parameters, last layer first."""
        gradients: dict[str, Bounded] = {}
        inputs = [_flattened(x), *(out for _, out in outputs.values())]
        for i, layer in reversed(list(enumerate(self.layers))):
            name, kind, activation, _ = layer
            if not (self.loss_on_logits and i == len(self.layers) - 1):
                dout = ACTIVATIONS[activation].backward(self.rounding, dout, *outputs[name])
            if kind == "Dense":
                dz, dout = dout, self.rounding.product(dout, self.params[f"{name}/W"].T)
                gradients[f"{name}/dx"] = dout
                gradients[f"{name}/dW"] = self.rounding.product(inputs[i].T, dz, over_samples=True)
                if f"{name}/b" in self.params:
                    ones = exact(np.ones((1, len(x))))
                    gradients[f"{name}/db"] = self.rounding.product(ones, dz, over_samples=True).reshape(-1)
            elif kind in LAYERS:
                dout, grads = LAYERS[kind].backward(self._pass(layer, inputs[i]), dout)
                gradients[f"{name}/dx"] = dout
                gradients |= {f"{name}/d{key}": gradient for key, gradient in grads.items()}
            else:
                gradients[f"{name}/dx"] = dout.reshape(*np.shape(x)) if kind == "Flatten" else dout
        return gradients

    def _pass(self, layer: LayerSpec, x: Bounded) -> Pass:
        """Return what a layer of ``LAYERS`` computes with."""
        prefix = f"{layer.name}/"
        params = {key.removeprefix(prefix): W for key, W in self.params.items() if key.startswith(prefix)}
        return Pass(self.rounding, layer.settings, self.steps, params, x)

    def _moved(self, x: Array) -> Parameters:
        """Return the weights without a gradient after a training step."""
        inputs = [_flattened(x), *(out for _, out in self.forward(x, training=True).values())]
        return {
            f"{layer.name}/{key}": W
            for layer, out in zip(self.layers, inputs, strict=False)
            if layer.kind in LAYERS
            for key, W in LAYERS[layer.kind].moved(self._pass(layer, out)).items()
        }

    def step(self, x: Array, t: Array) -> dict[str, Bounded]:
        """Update the weights and their bounds by one step; return the trace from before it."""
        trace = self.trace(x, t)
        gradients = {name: trace[key] for name in self.params if (key := "/d".join(name.split("/"))) in trace}
        clipped = sgd.clip(self.rounding, list(gradients.values()), self.settings)
        moved = self._moved(x)
        self.iterations += 1
        for name, dW in zip(gradients, clipped, strict=True):
            W, state = self.params[name], self.state.get(name, {})
            self.params[name], self.state[name] = self.settings.update(self.rounding, W, dW, state, self.iterations)
        self.params |= moved
        self.steps += 1
        return trace

    def fit(self, x: Array, t: Array, batches: Iterable[Any], rates: Iterable[float] = ()) -> list[Bounded]:
        """Take a step on each batch; return the loss of each batch, from before its step.

        Args:
            x: samples (N, …).
            t: their targets (N, C).
            batches: what to index the samples with, one entry for each step.
            rates: the learning rate of each step; that of the settings if there are none.
        """
        losses, batches, rates = [], list(batches), list(rates)
        for rows, rate in zip(batches, rates or [self.settings.learning_rate] * len(batches), strict=True):
            self.settings = self.settings._replace(learning_rate=rate)
            losses.append(self.step(x[rows], t[rows])["loss"])
        return losses

    def share_kept(self, name: str) -> float:
        """Return the factor of a weight in what a step makes of it: that of its decay, or of a moving average."""
        layer, key = name.split("/")
        if key.startswith("moving_"):
            return next(float(spec.settings["momentum"]) for spec in self.layers if spec.name == layer)
        return abs(sgd.share_kept(self.settings))

    def difference_after(self, name: str, d: Array) -> Array:
        """Return how far apart a weight may be in two programs after a step that started from the bound λ·d.

        The step keeps a share s of the difference d before it, and adds β − λ·s·d in each program, with β the bound
        after it: s·d + 2·(β − λ·s·d).  Without s, the λ-fold bound would shrink by more than d itself.
        """
        remaining = self.share_kept(name) * d
        return remaining + 2 * (self.params[name].bound - LAMBDA * remaining)

    def with_weights(self, weights: dict[str, Array], bounds: dict[str, Array]) -> "BoundedNetwork":
        """Return the same network with other weights, each with its bound."""
        params = {name: Bounded(np.array(weights[name], np.float64), bounds[name]) for name in self.params}
        return replace(self, params=params)


def in_order(samples: int, batch_size: int) -> list[slice]:
    """Return the rows of each batch of samples that are not shuffled; the last batch may be smaller."""
    return [slice(start, start + batch_size) for start in range(0, samples, batch_size)]


def _flattened(x: Array) -> Bounded:
    return exact(np.reshape(x, (len(x), -1)))

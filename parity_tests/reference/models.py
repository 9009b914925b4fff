"""The error model of a model of scratch at any moment of its training: the bounds of one more training step.

``lock_step`` and the other checks derive their networks from ``cases``.  A program has a model of its own, with models
in it, callbacks that change the learning rate, weights of samples, and an optimizer with a state; ``snapshot`` copies
all that a step depends on, and ``Snapshot.step`` computes it in float64 with the bounds of the error model.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from parity_tests.reference.adaptive import AdagradSettings, AdamSettings, RMSpropSettings
from parity_tests.reference.bounded_network import BoundedNetwork, LayerSpec
from parity_tests.reference.error_model import LAMBDA, Array, Bounded, Rounding, exact
from parity_tests.reference.losses import LOSSES, LossRule
from parity_tests.reference.sgd import SGDSettings

SETTINGS = {settings.optimizer: settings for settings in (SGDSettings, AdamSettings, RMSpropSettings, AdagradSettings)}
LAYER_SETTINGS = ("rate", "momentum", "epsilon", "alpha", "negative_slope", "scale", "offset")
States = list[Array]  # of the optimizer, in the order of Keras's variables


class Batch(NamedTuple):
    """Samples (n, …), their targets as the program has them, and their weights (n,) or None."""

    x: Array
    y: Array
    sample_weight: Array | None


class Snapshot(NamedTuple):
    """What a training step depends on.

    Attributes:
        network: the model, with exact weights.
        integer_targets: whether targets are class indices.
        weights: by the names of the network.
        states: of the optimizer.
        state_order: name and weight of each of them.
    """

    network: BoundedNetwork
    integer_targets: bool
    weights: dict[str, Array]
    states: States
    state_order: list[tuple[str, str]]

    def step(self, batch: Batch, weights: dict[str, Array], states: States) -> BoundedNetwork:
        """Return the network after a step, for a program with these weights and states before it.

        As in ``lock_step``, a difference d before the step is taken for one with the bound λ·d.
        """
        bounds = {name: LAMBDA * np.abs(W - weights[name]) for name, W in self.weights.items()}
        network = self.network.with_weights(self.weights, bounds)
        network.state = {}
        for (name, key), ours, theirs in zip(self.state_order, self.states, states, strict=True):
            difference = np.abs(ours.astype(np.float64) - theirs)
            network.state.setdefault(key, {})[name] = Bounded(ours.astype(np.float64), LAMBDA * difference)
        if batch.sample_weight is not None:
            network.loss = weighted(network.loss, batch.sample_weight)
        units = network.predict(batch.x[:1]).value.shape[1]
        t = np.eye(units)[batch.y.ravel()] if self.integer_targets else batch.y.astype(np.float64)
        network.step(batch.x.astype(np.float64), t.reshape(len(batch.x), units))
        return network


def snapshot(model: Any) -> Snapshot:
    """Return a copy of what the next training step of a compiled and built model of scratch depends on."""
    leaves = list(_leaves(model))
    specs = [_spec(i, layer) for i, layer in enumerate(leaves)]
    weights = {
        f"{spec.name}/{key}": W.astype(np.float64)
        for spec, layer in zip(specs, leaves, strict=True)
        for key, W in layer.weights_by_name.items()
    }
    names = [f"{spec.name}/{key}" for spec, layer in zip(specs, leaves, strict=True) for key in layer.params]
    optimizer = model.optimizer
    settings = SETTINGS[type(optimizer).__name__]
    arguments = {name: getattr(optimizer, name) for name in settings._fields}
    masks = [int(layer.state["masks"][1]) for layer in leaves if "masks" in layer.state]
    network = BoundedNetwork(
        specs,
        {name: exact(W) for name, W in weights.items()},
        Rounding("float32"),
        *_loss(model, specs),
        settings=settings(**arguments),
        iterations=optimizer.iterations,
        steps=masks[0] if masks else 0,
    )
    by_name = dict(zip(names, model.params.values(), strict=True))
    states = [array.copy() for array in optimizer.state_arrays(model.params)]
    order = optimizer.state_order(by_name)
    return Snapshot(network, LOSSES[type(model.loss).__name__].integer_targets, weights, states, order)


def weighted(rule: LossRule, weights: Array) -> LossRule:
    """Return the loss of samples with weights: each times its weight, with two roundings (1)."""

    def scaled(rounding: Rounding, values: Bounded) -> Bounded:
        factors = weights.reshape(-1, *[1] * (values.value.ndim - 1))
        return Bounded(values.value * factors, (values.bound + 2 * rounding.u * values.magnitude) * factors)

    return LossRule(
        lambda rounding, y, t: scaled(rounding, rule.forward(rounding, y, t)),
        lambda rounding, y, t: scaled(rounding, rule.backward(rounding, y, t)),
    )


def _leaves(model: Any) -> Iterator[Any]:
    """Yield the layers of a model and of the models in it."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        else:
            yield layer


def _spec(i: int, layer: Any) -> LayerSpec:
    settings = {name: getattr(layer, name) for name in LAYER_SETTINGS if hasattr(layer, name)}
    if "masks" in layer.state:
        settings["seed"] = int(layer.state["masks"][0])
    return LayerSpec(f"{i}_{layer.name}", type(layer).__name__, layer.activation, settings)


def _loss(model: Any, specs: list[LayerSpec]) -> tuple[LossRule, bool]:
    """Return the formula of the loss, and whether it takes the logits of the last activation."""
    loss = LOSSES[type(model.loss).__name__]
    on_logits = loss.logits is not None and specs[-1].activation == loss.logits_of
    if loss.logits is not None and (on_logits or getattr(model.loss, "from_logits", False)):
        return loss.logits, on_logits
    return loss.outputs, False

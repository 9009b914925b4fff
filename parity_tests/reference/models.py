"""The error model of a model of scratch at any moment of its training: the bounds of one more training step.

``lock_step`` and the other checks derive their networks from ``cases``; ``bounded_model`` takes the model of the lab or
of a program.  A program has a model with models in it, callbacks that change the learning rate, weights of samples, and
an optimizer with a state; ``snapshot`` copies all that a step depends on, and ``Snapshot.step`` computes it in float64
with the bounds of the error model.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from parity_tests.reference.adaptive import AdagradSettings, AdamSettings, RMSpropSettings
from parity_tests.reference.bounded_network import BoundedNetwork, LayerSpec
from parity_tests.reference.error_model import LAMBDA, Array, Bounded, Rounding, exact
from parity_tests.reference.layers import LAYERS
from parity_tests.reference.losses import LOSSES, LossRule
from parity_tests.reference.sgd import SGDSettings

SETTINGS = {settings.optimizer: settings for settings in (SGDSettings, AdamSettings, RMSpropSettings, AdagradSettings)}
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
    layers = {f"{i}_{layer.name}": layer for i, layer in enumerate(_leaves(model))}
    network = bounded_model(model, layers)
    weights = {name: W.value for name, W in network.params.items()}
    states = [array.copy() for array in model.optimizer.state_arrays(model.params)]
    order = model.optimizer.state_order(dict(zip(_parameters(layers), model.params.values(), strict=True)))
    return Snapshot(network, LOSSES[type(model.loss).__name__].integer_targets, weights, states, order)


def bounded_model(model: Any, layers: Mapping[str, Any]) -> BoundedNetwork:
    """Return the error model of a compiled and built model of scratch, with exact copies of weights and states.

    Args:
        model: a model whose layers, loss and optimizer the error model has.
        layers: its layers, and those of the models in it, by the names that they get.
    """
    specs = [_spec(name, layer) for name, layer in layers.items()]
    optimizer = model.optimizer
    settings = SETTINGS[type(optimizer).__name__]
    arguments = {name: getattr(optimizer, name) for name in settings._fields}
    names = zip(_parameters(layers), model.params, strict=True)  # in the network, and in the model
    masks = [int(layer.state["masks"][1]) for layer in layers.values() if "masks" in layer.state]
    return BoundedNetwork(
        specs,
        {f"{name}/{key}": _copy(W) for name, layer in layers.items() for key, W in layer.weights_by_name.items()},
        Rounding(model.dtype.name),
        *_loss(model, specs),
        settings=settings(**arguments),
        state={
            name: {key: _copy(arrays[own]) for key, arrays in optimizer.state.items() if own in arrays}
            for name, own in names
        },
        iterations=optimizer.iterations,
        steps=masks[0] if masks else 0,
    )


def _parameters(layers: Mapping[str, Any]) -> list[str]:
    """Return the names of the trainable parameters, in the order of the model's ``params``."""
    return [f"{name}/{key}" for name, layer in layers.items() for key in layer.params]


def _copy(array: Array) -> Bounded:
    return exact(array.astype(np.float64))


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


def _spec(name: str, layer: Any) -> LayerSpec:
    kind, settings = type(layer).__name__, {key: getattr(layer, key) for key in layer.settings}
    if "masks" in layer.state:
        settings["seed"] = int(layer.state["masks"][0])
    # Classes of LAYERS such as ELU are computed with their settings, not as the activation of that name.
    return LayerSpec(name, kind, "linear" if kind in LAYERS else layer.activation, settings)


def _loss(model: Any, specs: list[LayerSpec]) -> tuple[LossRule, bool]:
    """Return the formula of the loss, and whether it takes the logits of the last activation."""
    loss = LOSSES[type(model.loss).__name__]
    on_logits = loss.logits is not None and specs[-1].activation == loss.logits_of
    if loss.logits is not None and (on_logits or getattr(model.loss, "from_logits", False)):
        return loss.logits, on_logits
    return loss.outputs, False

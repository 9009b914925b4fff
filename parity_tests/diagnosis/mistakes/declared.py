"""Mistakes in settings of SGD that the network declares: momentum, Nesterov momentum and weight decay."""

from dataclasses import replace

import numpy as np

from parity_tests.diagnosis.formulas import Array, Formulas, Layer, Settings, sgd
from parity_tests.diagnosis.mistakes.catalogue import mistake

MOMENTUM = "Use Keras's rule: v = μ·v - learning rate·dW, W += v."
NESTEROV = (
    "Use Keras's rule: v = μ·v - learning rate·dW, W += μ·v - learning rate·dW with Nesterov momentum, W += v without."
)
DECAY = (
    "Use Keras's rule: W -= learning rate·decay·W before the update, for every parameter; the gradient is unchanged."
)
State = dict[str, Array]


def with_settings(f: Formulas, settings: Settings) -> Formulas:
    """Return formulas whose update follows other settings than the declared ones."""
    return replace(f, update=sgd(**settings._asdict()))


@mistake("Momentum has the wrong sign.", MOMENTUM)
def momentum_negated(f: Formulas) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        state["v"] = -state.get("v", np.zeros_like(W))
        return f.update(layer, key, W, gradient, state, rate)

    return replace(f, update=update)


@mistake("Momentum is dampened: v = μ·v - learning rate·(1 - μ)·dW.", MOMENTUM)
def momentum_dampened(f: Formulas) -> Formulas:
    factor = 1 - f.settings.momentum
    return replace(f, update=lambda layer, key, W, dW, state, rate: f.update(layer, key, W, factor * dW, state, rate))


@mistake("Nesterov momentum does not look ahead: the update is that of plain momentum, W += v.", NESTEROV)
def nesterov_ignored(f: Formulas) -> Formulas:
    return with_settings(f, f.settings._replace(nesterov=False))


@mistake("The momentum looks ahead, like Nesterov momentum, although plain momentum was declared.", NESTEROV)
def nesterov_unasked(f: Formulas) -> Formulas:
    return with_settings(f, f.settings._replace(nesterov=True))


@mistake("The velocity is forgotten after each step, or momentum is not used at all.", MOMENTUM)
def velocity_forgotten(f: Formulas) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return f.update(layer, key, W, gradient, {"samples": state["samples"]}, rate)

    return replace(f, update=update)


@mistake("Momentum is not used: the update is that of plain SGD.", MOMENTUM)
def momentum_missing(f: Formulas) -> Formulas:
    return with_settings(f, f.settings._replace(momentum=0.0))


@mistake(
    "The learning rate is outside the velocity, v = μ·v + dW, W -= learning rate·v: it differs when the rate changes.",
    MOMENTUM,
)
def learning_rate_outside_velocity(f: Formulas) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        before = float(state.setdefault("rate", np.asarray(rate)))
        state["v"] = state.get("v", np.zeros_like(W)) * (rate / before)
        state["rate"] = np.asarray(rate)
        return f.update(layer, key, W, gradient, state, rate)

    return replace(f, update=update) if f.settings.momentum else f


@mistake("Weight decay is an L2 penalty: it enters the gradient, and through it the velocity.", DECAY)
def weight_decay_coupled(f: Formulas) -> Formulas:
    plain = with_settings(f, f.settings._replace(weight_decay=0.0)).update

    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return plain(layer, key, W, gradient + f.settings.weight_decay * W, state, rate)

    return replace(f, update=update)


@mistake("Weight decay is not multiplied by the learning rate.", DECAY)
def weight_decay_not_scaled(f: Formulas) -> Formulas:
    plain = with_settings(f, f.settings._replace(weight_decay=0.0)).update

    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return plain(layer, key, W - f.settings.weight_decay * W, gradient, state, rate)

    return replace(f, update=update)


@mistake("The declared weight decay is missing.", DECAY)
def weight_decay_missing(f: Formulas) -> Formulas:
    return with_settings(f, f.settings._replace(weight_decay=0.0))


@mistake("Weight decay leaves out the biases; Keras's applies to every parameter.", DECAY)
def weight_decay_of_kernels_only(f: Formulas) -> Formulas:
    plain = with_settings(f, f.settings._replace(weight_decay=0.0)).update

    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return (f.update if key == "W" else plain)(layer, key, W, gradient, state, rate)

    return replace(f, update=update)

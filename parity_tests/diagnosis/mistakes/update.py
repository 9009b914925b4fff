"""Mistakes in the update of the weights: they change training steps, and not the gradients of a batch."""

from dataclasses import replace

import numpy as np

from parity_tests.diagnosis.formulas import Array, Formulas, Layer, sgd
from parity_tests.diagnosis.mistakes.catalogue import mistake

SGD = "Use W -= learning_rate * dW."
OPTIMIZER = "Use Keras's rule: v = μ·v - rate·dW, W += v, with Nesterov W += μ·v - rate·dW; plain SGD has μ = 0."
State = dict[str, Array]


@mistake("The update has the wrong sign: it climbs.", SGD)
def update_negated(f: Formulas) -> Formulas:
    return replace(
        f, update=lambda layer, key, W, gradient, state, rate: f.update(layer, key, W, -gradient, state, rate)
    )


@mistake("The bias is not updated.", "Update every parameter: b -= learning_rate * db.")
def bias_not_updated(f: Formulas) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return W if key == "b" else f.update(layer, key, W, gradient, state, rate)

    return replace(f, update=update)


@mistake("The weights W are not updated, only the biases.", "Update every parameter: W -= learning_rate * dW.")
def kernel_not_updated(f: Formulas) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return W if key == "W" else f.update(layer, key, W, gradient, state, rate)

    return replace(f, update=update)


@mistake("Only the last layer is updated.", "Update the parameters of every layer.")
def only_last_layer_updated(f: Formulas) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return f.update(layer, key, W, gradient, state, rate) if layer.last else W

    return replace(f, update=update)


@mistake("The weights are not updated at all.", SGD)
def nothing_updated(f: Formulas) -> Formulas:
    return replace(f, update=lambda layer, key, W, gradient, state, rate: W)


@mistake("Every parameter is updated twice.", SGD)
def updated_twice(f: Formulas) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return f.update(layer, key, f.update(layer, key, W, gradient, state, rate), gradient, state, rate)

    return replace(f, update=update)


@mistake("The bias is updated twice.", "Use b -= learning_rate * db, once.")
def bias_updated_twice(f: Formulas) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        new = f.update(layer, key, W, gradient, state, rate)
        return f.update(layer, key, new, gradient, state, rate) if key == "b" else new

    return replace(f, update=update)


@mistake("The learning rate is ignored: the step has the full size of the gradient.", SGD)
def learning_rate_ignored(f: Formulas) -> Formulas:
    return replace(f, update=lambda layer, key, W, gradient, state, rate: f.update(layer, key, W, gradient, state, 1.0))


@mistake("The learning rate is {p:g}, whatever was asked for.", SGD, values=(0.01, 0.1, 0.001, 1.0))
def learning_rate_constant(f: Formulas, constant: float) -> Formulas:
    return replace(f, update=lambda layer, key, W, dW, state, rate: f.update(layer, key, W, dW, state, constant))


@mistake("The learning rate is multiplied by {p:g}.", SGD, values=(2.0, 0.5, 10.0, 0.1))
def learning_rate_scaled(f: Formulas, factor: float) -> Formulas:
    return replace(f, update=lambda layer, key, W, dW, state, rate: f.update(layer, key, W, dW, state, factor * rate))


@mistake("The learning rate of the first step is used in all later steps.", "Read the learning rate in every step.")
def learning_rate_of_first_step(f: Formulas) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        kept = state.setdefault("rate", np.asarray(rate))
        return f.update(layer, key, W, gradient, state, float(kept))

    return replace(f, update=update)


MOMENTA = (0.9, 0.5, 0.99, 0.8)


@mistake(
    "The update is that of momentum with {p:g}.",
    OPTIMIZER,
    values=MOMENTA,
)
def momentum_added(f: Formulas, momentum: float) -> Formulas:
    return replace(f, update=sgd(momentum))


@mistake("The update is that of Nesterov momentum with {p:g}.", OPTIMIZER, values=MOMENTA)
def nesterov_added(f: Formulas, momentum: float) -> Formulas:
    return replace(f, update=sgd(momentum, nesterov=True))


@mistake("The momentum of {p:g} is dampened: v = μ·v - learning rate·(1 - μ)·gradient.", OPTIMIZER, values=MOMENTA)
def dampened_momentum_added(f: Formulas, momentum: float) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return sgd(momentum)(layer, key, W, (1 - momentum) * gradient, state, rate)

    return replace(f, update=update)


@mistake(
    "The momentum of {p:g} has the learning rate outside the velocity: W -= learning rate·v.",
    OPTIMIZER,
    values=MOMENTA,
)
def torch_momentum_added(f: Formulas, momentum: float) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        state["v"] = momentum * state.get("v", np.zeros_like(W)) + gradient
        return W - rate * state["v"]

    return replace(f, update=update)


@mistake(
    "The weights decay: each step subtracts learning rate times {p:.2g}·W.",
    "Remove the weight decay, or compare with the same one.",
    values=(1e-4, 1e-3, 1e-2, 0.1, 5e-4),
)
def weights_decay(f: Formulas, decay: float) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return f.update(layer, key, W, gradient, state, rate) - rate * decay * W

    return replace(f, update=update)


@mistake(
    "The weights W decay, the biases do not: each step subtracts learning rate times {p:.2g}·W.",
    "Remove the weight decay, or compare with the same one.",
    values=(1e-4, 1e-3, 1e-2, 0.1, 5e-4),
)
def kernels_decay(f: Formulas, decay: float) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return f.update(layer, key, W, gradient, state, rate) - rate * decay * W * (key == "W")

    return replace(f, update=update)


@mistake("The updated weights are rounded to half precision.", "Keep the weights in the dtype of the network.")
def updates_in_half_precision(f: Formulas) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return f.update(layer, key, W, gradient, state, rate).astype(np.float16).astype(float)

    return replace(f, update=update)


@mistake(
    "A batch with fewer than {p:g} samples is not trained on.",
    "Train on the last batch too, whatever its size, and divide by len(x).",
    values=(32.0, 64.0, 100.0, 128.0),
)
def short_batch_ignored(f: Formulas, size: float) -> Formulas:
    def update(layer: Layer, key: str, W: Array, gradient: Array, state: State, rate: float) -> Array:
        return W if state["samples"] < size else f.update(layer, key, W, gradient, state, rate)

    return replace(f, update=update)

"""A network in float64 whose every formula can be replaced by a mistaken one.

``Formulas`` holds one function for each step of training: the affine transformation, the activation, the loss, its
gradient, the backward pass, the update.  ``dataclasses.replace(formulas, slope=…)`` is a network with one mistake, and
doing so twice is a network with two.  ``run`` computes the tensors of a batch under the names of ``model.trace``.

Shapes: x (N, D), weights W (inputs, units) and b (units,), targets t (N, C).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

STAGES = ("outputs", "loss", "gradients", "steps")  # in order of computation
Array = np.ndarray
Tensors = dict[str, Array]  # by name: 'dense_0/out', 'loss', 'loss/dx', 'dense_0/dx', 'dense_0/dW', 'dense_0/db', …


class Layer(NamedTuple):
    """Where a formula is used: the index of the Dense layer, how many layers come after it, and its activation."""

    index: int
    after: int
    activation: str

    @property
    def last(self) -> bool:
        """Whether it is the last layer."""
        return self.after == 0


class Calls(NamedTuple):
    """The inputs of a layer, before the activation that returned them, and those of the network's first call."""

    x: Array
    z: Array  # x itself in the first layer
    first: Array


def softmax(z: Array) -> Array:
    """Return the softmax of each row."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: np.where(z >= 0, 1, np.exp(-np.abs(z))) / (1 + np.exp(-np.abs(z))),
    "tanh": np.tanh,
    "softmax": softmax,
}
SLOPES: dict[str, Callable[[Array], Array]] = {  # of the output
    "linear": np.ones_like,
    "relu": lambda out: (out > 0).astype(float),
    "sigmoid": lambda out: out * (1 - out),
    "tanh": lambda out: 1 - out**2,
}


def cross_entropy(z: Array, t: Array) -> Array:
    """Return −Σ t·log softmax(z) of each row, computed from the logits z."""
    c = z - z.max(axis=1, keepdims=True)
    return (t * (np.log(np.exp(c).sum(axis=1, keepdims=True)) - c)).sum(axis=1)


class Slope(NamedTuple):
    """What the derivative of a hidden layer's activation may depend on: arrays (N, units), x (N, inputs)."""

    x: Array
    z: Array
    out: Array
    dout: Array
    other: Array  # output of the neighbouring hidden layer, or this layer's own output if there is none


class Flowing(NamedTuple):
    """The gradients from which a layer computes dW, db and dx; all of them are dz."""

    weights: Array
    bias: Array
    inputs: Array


Update = Callable[[Layer, str, Array, Array, dict[str, Array], float], Array]


class Settings(NamedTuple):
    """Settings of SGD that the network under test declares; see ``sgd``."""

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0


def sgd(momentum: float = 0.0, *, nesterov: bool = False, weight_decay: float = 0.0) -> Update:
    """Return Keras's update rule: v = μ·v − rate·gradient; W += v, or with Nesterov W += μ·v − rate·gradient.

    Weight decay is decoupled: W is first multiplied by 1 − rate·weight_decay.
    """

    def update(layer: Layer, key: str, W: Array, gradient: Array, state: dict[str, Array], rate: float) -> Array:
        W = W - rate * weight_decay * W
        if not momentum:
            return W - rate * gradient
        state["v"] = momentum * state.get("v", np.zeros_like(W)) - rate * gradient
        return W + (momentum * state["v"] - rate * gradient if nesterov else state["v"])

    return update


SGD = sgd()
PLAIN = Settings()


@dataclass(frozen=True)
class Formulas:
    """The formulas of a network with softmax and cross-entropy, trained by SGD; the defaults are the right ones.

    Attributes:
        dtype: the dtype in which the network under test computes: it decides where exp overflows.
        inputs: (layer, calls) → the layer's inputs, as its backward pass sees them.
        affine: (layer, x, W, b) → z.
        activate: (layer, z) → out.
        targets: t → the targets that the loss uses.
        losses: (z, out, t) → the loss of each sample (N,), from logits z and probabilities out.
        reduce: (losses, C) → the loss.
        penalty: (kernels, N) → what is added to the loss.
        loss_gradient: (z, out, t) → the gradient of each sample's loss with respect to z, (N, C).
        scale: (N, C) → the factor of that gradient: 1 / N.
        slope: (layer, Slope) → the derivative of a hidden activation (N, units).
        flowing: (layer, dout, dz) → what dW, db and dx are computed from: dz, or by mistake dout.
        weight_gradient: (layer, x, dz, W) → dW.
        bias_gradient: (layer, dz) → db.
        input_gradient: (layer, dz, W, dW, learning_rate) → dx; the learning rate is 0 outside a training step.
        shrink: the common L2 norm of all gradients → their factor; None for 1.
        accumulate: (gradient, the sum of the gradients of earlier calls) → the gradient that is returned.
        update: (layer, key, W, gradient, state, learning_rate) → the new parameter; key is W or b; ``state`` is a dict
            of each parameter: what the update keeps, and the number of "samples" of the batch.
        settings: the declared settings of SGD, with which ``update`` was made.
    """

    dtype: str = "float64"
    inputs: Callable[[Layer, Calls], Array] = lambda layer, calls: calls.x
    affine: Callable[[Layer, Array, Array, Array], Array] = lambda layer, x, W, b: x @ W + b
    activate: Callable[[Layer, Array], Array] = lambda layer, z: ACTIVATIONS[layer.activation](z)
    targets: Callable[[Array], Array] = lambda t: t
    losses: Callable[[Array, Array, Array], Array] = lambda z, out, t: cross_entropy(z, t)
    reduce: Callable[[Array, int], Array] = lambda losses, classes: losses.sum() / len(losses)
    penalty: Callable[[Sequence[Array], int], float] = lambda kernels, samples: 0.0
    loss_gradient: Callable[[Array, Array, Array], Array] = lambda z, out, t: (
        softmax(z) * t.sum(axis=1, keepdims=True) - t
    )
    scale: Callable[[int, int], float] = lambda samples, classes: 1 / samples
    slope: Callable[[Layer, Slope], Array] = lambda layer, at: SLOPES[layer.activation](at.out)
    flowing: Callable[[Layer, Array, Array], Flowing] = lambda layer, dout, dz: Flowing(dz, dz, dz)
    weight_gradient: Callable[[Layer, Array, Array, Array], Array] = lambda layer, x, dz, W: x.T @ dz
    bias_gradient: Callable[[Layer, Array], Array] = lambda layer, dz: dz.sum(axis=0)
    input_gradient: Callable[[Layer, Array, Array, Array, float], Array] = lambda layer, dz, W, dW, rate: dz @ W.T
    shrink: Callable[[float], float] | None = None
    accumulate: Callable[[Array, Array], Array] = lambda gradient, earlier: gradient
    update: Update = SGD
    settings: Settings = PLAIN


# Formulas that are used in another stage than the gradients, first.
FIRST_STAGE = dict.fromkeys(("dtype", "affine", "activate"), "outputs")
FIRST_STAGE |= dict.fromkeys(("targets", "losses", "reduce", "penalty"), "loss") | {"update": "steps"}


class Pass(NamedTuple):
    """A layer's forward pass: its input x (N, inputs), z and out (N, units)."""

    x: Array
    z: Array
    out: Array


def layers_of(activations: Sequence[str]) -> list[Layer]:
    """Return where the formulas of each layer are used."""
    return [Layer(i, len(activations) - 1 - i, kind) for i, kind in enumerate(activations)]


def forward(formulas: Formulas, layers: Sequence[Layer], weights: Sequence[Array], x: Array) -> list[Pass]:
    """Return the forward pass of each layer."""
    passes: list[Pass] = []
    for layer, W, b in zip(layers, weights[::2], weights[1::2], strict=True):
        x = passes[-1].out if passes else x
        z = formulas.affine(layer, x, W, b)
        passes.append(Pass(x, z, formulas.activate(layer, z)))
    return passes


def evaluate(formulas: Formulas, activations: Sequence[str], weights: Sequence[Array], x: Array, t: Array) -> Tensors:
    """Return the tensors of a forward pass, the loss included; see ``run`` for the arguments."""
    layers = layers_of(activations)
    return _evaluated(formulas, layers, forward(formulas, layers, weights, x), weights, t)


def _evaluated(
    formulas: Formulas, layers: Sequence[Layer], passes: Sequence[Pass], weights: Sequence[Array], t: Array
) -> Tensors:
    """Return the output of each layer, and the loss."""
    _, z, out = passes[-1]
    losses = formulas.losses(z, _probabilities(formulas, layers[-1], z, out), formulas.targets(t))
    tensors = {f"dense_{layer.index}/out": at.out for layer, at in zip(layers, passes, strict=True)}
    loss = formulas.reduce(losses, t.shape[1]) + formulas.penalty(weights[::2], len(t))
    return tensors | {"loss": np.asarray(loss)}


def _probabilities(formulas: Formulas, last: Layer, z: Array, out: Array) -> Array:
    """Return the probabilities that the loss uses: the outputs, or the softmax of a network that returns logits."""
    return formulas.activate(last._replace(activation="softmax"), z) if last.activation == "linear" else out


def run(
    formulas: Formulas,
    activations: Sequence[str],
    weights: Sequence[Array],
    x: Array,
    t: Array,
    first: Sequence[Pass] | None = None,
    rate: float = 0.0,
) -> Tensors:
    """Return the tensors of one forward and backward pass.

    Args:
        formulas: the formulas.
        activations: the activation of each Dense layer.
        weights: W and b of each layer, in order.
        x: a batch (N, D).
        t: its targets (N, C).
        first: the forward pass of the first call on the same network; None if this is the first.
        rate: learning rate, if the pass is part of a training step; 0 otherwise.
    """
    layers = layers_of(activations)
    passes = forward(formulas, layers, weights, x)
    before = [x, *(layer_pass.z for layer_pass in passes[:-1])]
    calls = [Calls(now.x, z, then.x) for now, z, then in zip(passes, before, first or passes, strict=True)]
    targets, (_, z, out) = formulas.targets(t), passes[-1]
    tensors = _evaluated(formulas, layers, passes, weights, t)
    out = _probabilities(formulas, layers[-1], z, out)
    tensors["loss/dx"] = formulas.loss_gradient(z, out, targets) * formulas.scale(*t.shape)
    return tensors | _backward(formulas, layers, weights, passes, calls, tensors["loss/dx"], rate)


def _backward(
    formulas: Formulas,
    layers: Sequence[Layer],
    weights: Sequence[Array],
    passes: Sequence[Pass],
    calls: Sequence[Calls],
    dout: Array,
    rate: float,
) -> Tensors:
    """Return the gradients, last layer first."""
    gradients: Tensors = {}
    for layer in reversed(layers):
        i, W, dz = layer.index, weights[2 * layer.index], dout
        if not layer.last:
            at = passes[i]
            other = next((passes[j].out for j in (i - 1, i + 1) if 0 <= j < len(layers) - 1), at.out)
            dz = dout * formulas.slope(layer, Slope(*at, dout, other))
        flowing = formulas.flowing(layer, dout, dz)
        dW = formulas.weight_gradient(layer, formulas.inputs(layer, calls[i]), flowing.weights, W)
        db = formulas.bias_gradient(layer, flowing.bias)
        dout = formulas.input_gradient(layer, flowing.inputs, W, dW, rate)
        gradients |= {f"dense_{i}/dx": dout, f"dense_{i}/dW": dW, f"dense_{i}/db": db}
    return gradients if formulas.shrink is None else _shrunk(formulas.shrink, gradients)


def _shrunk(shrink: Callable[[float], float], gradients: Tensors) -> Tensors:
    """Return the gradients with those of the parameters multiplied by a common factor."""
    own = {name: gradient for name, gradient in gradients.items() if not name.endswith("/dx")}
    factor = shrink(float(np.sqrt(sum((gradient**2).sum() for gradient in own.values()))))
    return gradients | {name: factor * gradient for name, gradient in own.items()}

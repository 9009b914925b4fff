"""Gradient check (勾配確認): compare backpropagation with numerical differentiation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scratch.checks import check_same_length
from scratch.layer import gradient_name
from scratch.layers import Layer
from scratch.losses import Loss
from scratch.models import Sequential
from scratch.network import Network
from scratch.utils import Array, accepted

STEP = 1e-4
Gradients = dict[str, tuple[Array | None, Array]]  # by name: the gradient from backward, and the array it belongs to


def numerical_gradient(f: Callable[[], float], x: Array) -> Array:
    """Return the gradient of f with respect to x (数値微分), by central differences at ±h and ±2h.

    The error is of the order h⁴ + u/h, u the unit roundoff: about 1e-12 in float64 (Abramowitz and Stegun, 25.3.6).

    Args:
        f: takes no argument and returns a number that depends on the contents of x.
        x: float64 array of any shape; its entries are changed one at a time, and restored.

    Returns:
        float64 array of x's shape.

    Raises:
        ValueError: if x is not a float64 array, in which steps of 1e-4 are lost or rounded.
    """
    if not isinstance(x, np.ndarray) or x.dtype != np.float64:
        found = f"dtype {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
        raise ValueError(f"numerical_gradient needs x as a float64 array; got {found}.")
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        gradient[index] = partial_derivative(f, x, index)
    return gradient


def partial_derivative(f: Callable[[], float], x: Array, index: tuple[int, ...]) -> float:
    """Return one entry of ``numerical_gradient(f, x)``, the one at an index of x."""
    value = x[index]
    samples = []
    for steps in (-2, -1, 1, 2):
        x[index] = value + steps * STEP
        samples.append(f())
    x[index] = value
    return (samples[0] - 8 * samples[1] + 8 * samples[2] - samples[3]) / (12 * STEP)


def gradient_check(part: Layer | Loss | Sequential | Callable[[Any], Any], x: Any, t: Any = None) -> dict[str, float]:
    """Compare every gradient that ``part`` computes for x with a numerical gradient.

    A ReLU has no derivative at 0: keep its inputs further from 0 than 2e-4.  Layers compute as in training, always with
    the mask that a ``Dropout`` draws next.

    Args:
        part: a layer or a compiled model, with ``dtype="float64"``, or a loss; or any function of x that returns a
            number, or an array whose sum is differentiated.
        x: its input, (N, …); for a loss, outputs of a network; for a function, an array or a list or dict of arrays.
        t: targets: rows (N, C) or labels (N,) for a loss, what its loss requires for a model, None for a layer; for a
            function, the gradient to check, arranged as x is.

    Returns:
        For ``dx`` and each parameter, or for each array of a list (``x[0]``, …) or dict (its keys), the largest
        difference, relative to the largest entry of the gradient or to the smallest gradient that central differences
        resolve to 1e-7; infinity if a gradient is missing, has another shape, or is NaN.

    Raises:
        ValueError: if a layer or model computes in float32, which is too coarse, or targets or gradients are missing.
    """
    if not isinstance(part, Layer | Loss):
        return _check_function(part, x, t)
    x = np.array(x, dtype=np.float64)
    if not isinstance(part, Loss) and part.dtype != np.float64:
        raise ValueError(f"gradient_check needs float64; create {part.name!r} with dtype='float64'.")
    if isinstance(part, Layer) and not isinstance(part, Sequential):
        return _check_layer(part, x)
    if t is None:
        raise ValueError("gradient_check of a loss or a model needs its targets t.")
    return _check_loss(part, x, t) if isinstance(part, Loss) else _check_model(part, x, t)


def _check_function(f: Callable[[Any], Any], x: Any, gradient: Any) -> dict[str, float]:
    copy: Any
    if isinstance(x, Mapping):
        copy = {name: np.array(array, np.float64) for name, array in x.items()}
        arrays, given = copy, gradient
    elif isinstance(x, Sequence) and np.ndim(x[0]):
        copy = [np.array(array, np.float64) for array in x]
        arrays = {f"x[{i}]": array for i, array in enumerate(copy)}
        given = {f"x[{i}]": array for i, array in enumerate(() if gradient is None else gradient)}
    else:
        copy = np.array(x, np.float64)
        arrays, given = {"dx": copy}, {"dx": gradient}
    missing = [name for name in arrays if given is None or given.get(name) is None]
    if missing:
        raise ValueError(f"gradient_check of a function needs the gradient of {missing[0]}, arranged as x is.")
    pairs: Gradients = {name: (np.asarray(given[name], np.float64), array) for name, array in arrays.items()}
    return _differences(pairs, lambda: np.asarray(f(copy), np.float64))


def _check_layer(layer: Layer, x: Array) -> dict[str, float]:
    # backward(dout) returns the gradient of Σ out·dout, so that one fixed dout checks all outputs at once.
    dout, run = np.random.default_rng(0).uniform(0.5, 1.5, layer(x).shape), layer.detached()
    _forward(run, x)
    gradients: Gradients = {"dx": (run.backward(dout), x)}
    gradients |= {key: (run.grads[key], W) for key, W in layer.params.items()}
    return _differences(gradients, lambda: _forward(layer.detached(), x) * dout)


def _check_loss(loss: Loss, x: Array, y: ArrayLike) -> dict[str, float]:
    t = np.asarray(y, np.float64)
    if t.shape != x.shape:  # labels, or targets that the loss refuses
        truth = loss.check_targets(y, (None, *x.shape[1:]), "t")
        check_same_length("x", x, "t", truth)
        t = loss.targets(truth, x.shape[-1], x.dtype)
    loss.forward(x, t)
    return _differences({"dx": (loss.backward(), x)}, lambda: loss.forward(x, t))


def _check_model(model: Sequential, x: Array, t: ArrayLike) -> dict[str, float]:
    trace = model.trace(x, t)
    gradients: Gradients = {"dx": (trace[f"{model.layers[0].name}/dx"], x)}
    gradients |= {name: (trace[gradient_name(name)], W) for name, W in model.params.items()}
    return _differences(gradients, _loss_function(model, x, t))


def _loss_function(model: Sequential, x: Array, t: ArrayLike) -> Callable[[], Array]:
    """Return a function of no arguments that computes the loss of a model for the current contents of x."""
    loss, _ = model.loss_and_optimizer("gradient_check")
    out = _forward(model.detached(), x)
    targets = loss.targets(model.check_data(x, t)[1], out.shape[-1], out.dtype)

    def compute() -> Array:  # a trace would also run the backward pass, for each entry of each parameter
        detached = Network.detached(model)  # for each pass, so that all draw the same mask; without metrics
        return detached.compute_loss(loss, _forward(detached, x), targets)[1]

    return compute


def _forward(part: Layer | Sequential, x: Array) -> Array:
    """Return the output of a layer or model as in training."""
    return part.forward(x, **accepted(part.forward, training=True))


def _differences(gradients: Gradients, terms: Callable[[], Array]) -> dict[str, float]:
    """Return the relative difference of each gradient from the numerical gradient of the sum of ``terms()``."""
    # Each term has independent rounding errors of about eps, so their sum is off by at most 16 standard deviations,
    # 16·eps·‖terms‖.  Divided by STEP this is the error of a central difference: smaller gradients than 1e7 times that
    # error are not resolved to 1e-7.
    smallest = 1e7 * 16 * np.finfo(np.float64).eps * float(np.linalg.norm(terms())) / STEP
    errors = {}
    for key, (gradient, x) in gradients.items():
        if gradient is None or gradient.shape != x.shape:
            errors[key] = np.inf
            continue
        expected = numerical_gradient(lambda: float(terms().sum()), x)
        difference = float(np.abs(gradient - expected).max())
        scale = max(float(np.abs(expected).max()), float(np.abs(gradient).max()), smallest)
        errors[key] = np.inf if np.isnan(difference) else difference and difference / scale
    return errors

"""``explain``: where one value of a step comes from, with the numbers that it was computed from.

Each tensor has a formula of the book, such as ``out[n, j] = Σ x[n, i]·W[i, j] + b[j]``.  An explanation names the
formula and the entries of other tensors in it, and has the terms of a sum with their running total.  The terms are
computed in float64, in which a product of two float32 numbers is exact, and so is the sum, up to one rounding: ``ulp``
says how far the float32 value is from it.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratch.lab.inspection import Inspection, Tensor, has_inner_activation
from scratch.lab.texts import LabError
from scratch.layer import Layer
from scratch.layers import Activation, Dense, Dropout, Flatten, Reshape
from scratch.ops import numpy_ops
from scratch.optimizers import SGD
from scratch.utils import Array

Index = tuple[int, ...]
ELEMENTWISE = ("relu", "sigmoid", "tanh")


@dataclass
class Explanation:
    """Where a value comes from.

    Attributes:
        formula: name of the formula; the page has its text.
        operands: the tensors and the indices of the entries that the formula uses once.
        exact: the result of the formula in float64; None if nothing is computed.
        left: first factors of the terms of a sum (n,).
        right: second factors (n,); empty if the terms have one.
        products: the terms (n,).
        facts: further fields of the answer, such as ``learning_rate``.
    """

    formula: str
    operands: list[tuple[str, Index]] = field(default_factory=list)
    exact: float | None = None
    left: Array = field(default_factory=lambda: np.zeros(0))
    right: Array = field(default_factory=lambda: np.zeros(0))
    products: Array = field(default_factory=lambda: np.zeros(0))
    facts: dict[str, Any] = field(default_factory=dict)


def explain(found: Inspection, name: object, index: Index) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the answer to ``explain``, and its arrays.

    Raises:
        LabError: if there is no such tensor or entry.
    """
    value = found[name]
    if len(index) != value.ndim or any(not 0 <= i < n for i, n in zip(index, value.shape, strict=True)):
        raise LabError(
            "bad field", field="indices", expected=f"[{', '.join(f'0 … {n - 1}' for n in value.shape)}]", got=index
        )
    explanation = _explain(found, found.tensors[str(name)], index)
    entry = value[index]
    operands = [
        {"name": operand, "index": list(where), "value": float(found[operand][where])}
        for operand, where in explanation.operands
    ]
    result = {
        "name": name,
        "index": list(index),
        "value": float(entry),
        "formula": explanation.formula,
        "operands": operands,
        "float64_sum": explanation.exact,
        "ulp": None if explanation.exact is None else ulps(entry, explanation.exact),
        **explanation.facts,
    }
    terms = {"left": explanation.left, "right": explanation.right, "products": explanation.products}
    arrays = {key: np.asarray(array, np.float64) for key, array in terms.items()}
    return result, arrays | {"running": np.cumsum(arrays["products"])}


def ulps(value: Any, exact: float) -> float:
    """Return the distance of a value from an exact one, in units in the last place of the value's dtype."""
    if not (math.isfinite(value) and math.isfinite(exact)):
        return 0.0 if value == exact else math.inf
    larger = max(abs(float(value)), abs(exact))
    return abs(float(value) - exact) / float(np.spacing(np.asarray(larger, value.dtype)))


def _explain(found: Inspection, tensor: Tensor, index: Index) -> Explanation:
    if tensor.kind in ("input", "target", "parameter"):
        return Explanation(tensor.kind)
    if tensor.kind == "loss":
        return _loss(found)
    if tensor.name == "loss/dx":
        return _loss_gradient(found, index)
    layers = {layer.name: i for i, layer in enumerate(found.network.layers)}
    position = layers[tensor.layer]
    layer = found.network.layers[position]
    role = tensor.name.removeprefix(f"{layer.name}/")
    before = f"{found.network.layers[position - 1].name}/out" if position else "x"
    if tensor.kind == "forward":
        return _forward(found, layer, role, before, index)
    if tensor.kind == "update":
        return _update(found, layer, role, index)
    dout = f"{found.network.layers[position + 1].name}/dx" if position + 1 < len(layers) else "loss/dx"
    return _backward(found, layer, role, before, dout, index)


def _forward(found: Inspection, layer: Layer, role: str, before: str, index: Index) -> Explanation:
    """Explain an output of a layer whose input is the tensor ``before``."""
    if type(layer) is Dense and (role == "z" or not has_inner_activation(layer)):
        n, j = index
        W, b = f"{layer.name}/W", f"{layer.name}/b"
        bias: list[tuple[str, Index]] = [(b, (j,))] if b in found.tensors else []
        explanation = _sum_of_products("dense_forward", found[before][n], found[W][:, j], *[found[b][j] for _ in bias])
        explanation.operands = bias
        explanation.facts = {"left": [before, [n, None]], "right": [W, [None, j]]}
        return explanation
    if type(layer) in (Flatten, Reshape):
        return Explanation("flatten")
    if type(layer) is Dropout:
        return _dropout(found, layer, before, index)
    if not isinstance(layer, Dense | Activation):
        return Explanation("other")  # such as BatchNormalization
    return _activation(found, layer, f"{layer.name}/z" if has_inner_activation(layer) else before, index)


def _activation(found: Inspection, layer: Layer, z: str, index: Index) -> Explanation:
    """Explain an output of an activation of the tensor z."""
    row = found[z][index[0]].astype(np.float64)
    if layer.activation == "softmax" and row.ndim == 1:
        exponentials = np.exp(row - row.max())
        exact = float(exponentials[index[1]] / math.fsum(exponentials))
        facts = {"left": [z, [index[0], None]], "maximum": float(row.max())}
        return Explanation("softmax", [(z, index)], exact, row, np.zeros(0), exponentials, facts)
    if layer.activation in ELEMENTWISE:
        exact = float(getattr(numpy_ops, f"{layer.activation}_forward")(row)[index[1:]])
        return Explanation(f"{layer.activation}_forward", [(z, index)], exact)
    return Explanation("passed", [(z, index)]) if layer.activation == "linear" else Explanation("other")


def _backward(found: Inspection, layer: Layer, role: str, before: str, dout: str, index: Index) -> Explanation:
    """Explain a gradient of a layer whose input is the tensor ``before`` and whose output has the gradient ``dout``."""
    is_last = layer is found.network.layers[-1]
    if type(layer) is not Dense or role == "dz":
        if type(layer) in (Flatten, Reshape):
            return Explanation("flatten")
        if type(layer) is Dropout:
            return _dropout(found, layer, dout, index)
        if not isinstance(layer, Dense | Activation):
            return Explanation("other")
        if layer.activation == "linear" or (is_last and found.of_logits):
            return Explanation("passed", [(dout, index)])
        return _slope(found, layer, dout, index)
    if role.removeprefix("d") in layer.regularizers:
        return Explanation("other")  # the sum of two gradients
    dz = f"{layer.name}/dz" if has_inner_activation(layer) else dout
    if role == "dx":
        n, i = index
        explanation = _sum_of_products("dense_dx", found[dz][n], found[f"{layer.name}/W"][i])
        explanation.facts = {"left": [dz, [n, None]], "right": [f"{layer.name}/W", [i, None]]}
    elif role == "dW":
        i, j = index
        explanation = _sum_of_products("dW", found[before][:, i], found[dz][:, j])
        explanation.facts = {"left": [before, [None, i]], "right": [dz, [None, j]]}
    else:
        (j,) = index
        explanation = _sum_of_products("db", found[dz][:, j], np.ones(len(found[dz])))
        explanation.facts = {"left": [dz, [None, j]]}
    return explanation


def _dropout(found: Inspection, layer: Dropout, before: str, index: Index) -> Explanation:
    """Explain an entry that a Dropout layer keeps, scaled, or sets to 0: the same forward and backward."""
    is_kept = layer.keep is None or bool(layer.keep[index])
    scale = 1 / (1 - layer.rate) if layer.keep is not None and layer.rate < 1 else 1.0
    exact = float(found[before][index]) * scale if is_kept else 0.0
    return Explanation("dropout", [(before, index)], exact, facts={"kept": is_kept, "rate": layer.rate})


def _slope(found: Inspection, layer: Layer, dout: str, index: Index) -> Explanation:
    """Explain the gradient of an activation: dout times the slope, which is computed from the output."""
    out = f"{layer.name}/out"
    if layer.activation not in ELEMENTWISE:
        return Explanation("other")
    entries = (np.asarray(found[name][index], np.float64) for name in (dout, out))
    exact = float(getattr(numpy_ops, f"{layer.activation}_backward")(*entries))
    return Explanation(f"{layer.activation}_backward", [(dout, index), (out, index)], exact)


def _update(found: Inspection, layer: Layer, role: str, index: Index) -> Explanation:
    """Explain a parameter after the update."""
    key, optimizer = role.removesuffix("_new"), found.state.optimizer
    operands = [(f"{layer.name}/{key}", index), (f"{layer.name}/d{key}", index)]
    facts = {"learning_rate": float(optimizer.learning_rate)}
    plain = SGD(optimizer.learning_rate)
    settings = ("momentum", "nesterov", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm")
    is_plain = type(optimizer) is SGD and all(getattr(optimizer, s) == getattr(plain, s) for s in settings)
    if not is_plain:
        return Explanation("update_other", operands, facts=facts | {"optimizer": type(optimizer).__name__})
    W, dW = (float(found[name][where]) for name, where in operands)
    return Explanation("update", operands, W - float(optimizer.learning_rate) * dW, facts=facts)


def _loss(found: Inspection) -> Explanation:
    """Explain the loss of one sample: -Σ t·log p."""
    if not _is_softmax_cross_entropy(found) or any(layer.regularizers for layer in found.network.layers):
        return Explanation("other")
    t, log_p = found["t"].astype(np.float64), _log_probabilities(found)
    explanation = _sum_of_products("loss", -t[0], log_p[0])
    explanation.facts = {"left": ["t", [0, None]], "right": [f"{found.network.layers[-1].name}/out", [0, None]]}
    return explanation


def _loss_gradient(found: Inspection, index: Index) -> Explanation:
    """Explain the gradient of the loss with respect to a logit: (p - t) / N."""
    if not _is_softmax_cross_entropy(found):
        return Explanation("other")
    p = np.exp(_log_probabilities(found))
    t = found["t"].astype(np.float64)
    exact = float((p * t.sum(axis=1, keepdims=True) - t)[index] / len(t))
    return Explanation("loss_gradient", [(f"{found.network.layers[-1].name}/out", index), ("t", index)], exact)


def _is_softmax_cross_entropy(found: Inspection) -> bool:
    return found.of_logits and found.network.layers[-1].activation == "softmax"


def _log_probabilities(found: Inspection) -> Array:
    """Return the logarithms of the softmax of the logits, in float64."""
    z = found.network.layers[-1].z.astype(np.float64)
    z = z - z.max(axis=1, keepdims=True)
    log_p: Array = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return log_p


def _sum_of_products(formula: str, left: Array, right: Array, *further: Any) -> Explanation:
    """Return the explanation of Σ left·right, plus further terms."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    products = left * right
    try:
        exact = math.fsum([*products, *map(float, further)])
    except (OverflowError, ValueError):  # infinities of both signs
        exact = math.nan
    return Explanation(formula, [], exact, left, right, products)

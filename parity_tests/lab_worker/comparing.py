"""``compare``: one SGD step of the lab beside Keras, tensor by tensor, against the bounds of the error model."""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_impl
from parity_tests.comparison import compare
from parity_tests.reference.error_model import Bounded
from parity_tests.reference.losses import LOSSES
from parity_tests.reference.models import SETTINGS, bounded_model
from scratch.models import Sequential, load_model

Array = np.ndarray
Tensors = dict[str, Array]
# Layers with a bound.  The error model has Dropout as well, but Keras draws other masks than scratch here.
KINDS = {"Dense", "Flatten", "Activation", "ReLU", "Softmax", "Rescaling", "ELU", "LeakyReLU"}


def compare_with_keras(fields: dict[str, Any], arrays: Tensors) -> tuple[dict[str, Any], Tensors]:
    """Return one row for each tensor, and the arrays ``keras/NAME`` and ``bound/NAME``.

    Args:
        fields: not used.
        arrays: ``model``: the bytes of a .keras file; ``x``, ``y``; ``ours/NAME``: the lab's tensors.
    """
    x, y = arrays["x"], arrays["y"]
    ours = {name.removeprefix("ours/"): array for name, array in arrays.items() if name.startswith("ours/")}
    with tempfile.TemporaryDirectory(prefix="scratch-lab-") as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(arrays["model"].tobytes())
        model, twin = load_model(path, backend="numpy"), keras.models.load_model(path)
    theirs = {name: np.asarray(value) for name, value in keras_impl.trace(twin, x, y).items()}
    twin.train_on_batch(x, y)
    updated = zip(model.params, twin.trainable_variables, strict=True)
    theirs |= {f"{name}_new": keras.ops.convert_to_numpy(W) for name, W in updated}
    bounds = bounds_of(model, x, y)
    rows, found = [], {}
    for name in [name for name in ours if name in theirs]:
        a, b = ours[name], theirs[name].reshape(ours[name].shape)
        bound = 2 * bounds[name].bound if name in bounds else None  # both programs round
        difference = np.abs(a.astype(np.float64) - b)
        spacing = np.spacing(np.maximum(np.abs(a), np.abs(b)).astype(a.dtype)).astype(np.float64)
        worst = np.unravel_index(difference.argmax(), difference.shape)
        ulp = float(difference[worst] / spacing[worst])
        row = {"name": name, "largest_difference": float(difference[worst]), "ulp": ulp}
        if bound is not None:
            bound = np.reshape(bound, a.shape)  # the error model has flat samples
            compared = compare(name, a, b, bound)
            row |= {"bound": compared.bound, "ratio": compared.ratio, "ok": compared.failure is None}
            row["index"] = None if compared.index is None else list(compared.index)
            found[f"bound/{name}"] = np.asarray(bound, np.float64)
        else:
            row |= {"bound": None, "ratio": None, "ok": None, "index": None}
        rows.append(row)
        found[f"keras/{name}"] = b
    return {"rows": rows, "keras": keras.__version__, "framework": keras.backend.backend()}, found


def bounds_of(model: Sequential, x: Array, y: Array) -> dict[str, Bounded]:
    """Return each tensor of a step with its bound; empty if the error model lacks a part of the model."""
    loss = model.loss
    if loss is None or type(loss).__name__ not in LOSSES or type(model.optimizer).__name__ not in SETTINGS:
        return {}
    if any(type(layer).__name__ not in KINDS or layer.regularizers for layer in model.layers):
        return {}
    network = bounded_model(model, {layer.name: layer for layer in model.layers})
    if not network.loss_on_logits:
        return {}
    t = loss.smooth(loss.targets(y, (model.output_shape or (0,))[-1] or 0, np.float64))
    trace = network.step(x.astype(np.float64), t)
    return trace | {f"{name}_new": W for name, W in network.params.items()}

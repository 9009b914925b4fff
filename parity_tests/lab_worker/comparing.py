"""``compare``: one SGD step of the lab beside Keras, tensor by tensor, against the bounds of the error model."""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_impl
from parity_tests.comparison import compare
from parity_tests.reference.adaptive import AdagradSettings, AdamSettings, RMSpropSettings
from parity_tests.reference.bounded_network import BoundedNetwork, LayerSpec
from parity_tests.reference.error_model import Bounded, Rounding, exact
from parity_tests.reference.losses import LOSSES
from parity_tests.reference.sgd import SGDSettings
from scratch.models import Sequential, load_model

Array = np.ndarray
Tensors = dict[str, Array]
SETTINGS: dict[str, Any] = {
    "SGD": SGDSettings,
    "Adam": AdamSettings,
    "RMSprop": RMSpropSettings,
    "Adagrad": AdagradSettings,
}
KINDS = {"Dense", "Flatten", "Activation", "ReLU", "Softmax"}  # layers that the error model has without arguments


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
            bound = np.broadcast_to(bound, a.shape)
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
    loss, optimizer = model.loss, model.optimizer
    assert loss is not None
    assert optimizer is not None
    specs = [LayerSpec(layer.name, type(layer).__name__, layer.activation) for layer in model.layers]
    settings_class = SETTINGS.get(type(optimizer).__name__)
    rule = LOSSES.get(type(loss).__name__)
    if any(layer.regularizers for layer in model.layers):
        return {}
    is_known = {spec.kind for spec in specs} <= KINDS and settings_class is not None
    if not is_known or rule is None or rule.logits is None or specs[-1].activation != rule.logits_of:
        return {}
    assert settings_class is not None
    settings = settings_class(**{name: getattr(optimizer, name) for name in settings_class._fields})
    params = {name: exact(W) for name, W in model.params.items()}
    state = {
        name: {key: exact(arrays[name]) for key, arrays in optimizer.state.items() if name in arrays} for name in params
    }
    logits, rounding = rule.logits.with_options(rule.options), Rounding(model.dtype.name)
    network = BoundedNetwork(specs, params, rounding, logits, True, settings, state, optimizer.iterations)
    t = loss.smooth(loss.targets(y, (model.output_shape or (0,))[-1] or 0, np.float64))
    trace = network.step(x.astype(np.float64), t)
    return trace | {f"{name}_new": W for name, W in network.params.items()}

"""The numbers of a model by Keras's paths, into a file and out of it: weights, and what the optimizer has gathered.

In .weights.h5 (and in a .keras archive's model.weights.h5) the third Dense layer's W is ``layers/dense_2/vars/0``,
whatever the layer's name; ``optimizer/vars`` holds the steps taken, the learning rate, and a velocity for each weight.
An .npz holds the weights alone, as ``dense_2/W``, for whoever has nothing but NumPy.
"""

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from scratch.files import FileError, existing, named, replacing
from scratch.layers import Layer
from scratch.optimizers import SGD
from scratch.saving import hdf5, npz
from scratch.training import Trainer
from scratch.utils import Array, check_number, snake_case

OPTIMIZER = "optimizer/vars"
Shapes = Mapping[str, tuple[int, ...]]


def slots(layers: Sequence[Layer]) -> Iterator[tuple[str, Layer]]:
    """Each layer, and what Keras's files call it: its class, numbered, since names differ between sessions."""
    seen: Counter[str] = Counter()
    for layer in layers:
        word = snake_case(type(layer).__name__)
        yield f"{word}_{seen[word]}" if seen[word] else word, layer
        seen[word] += 1


def path_of(slot: str, i: int) -> str:
    """Keras's path of a layer's i-th weight."""
    return f"layers/{slot}/vars/{i}"


def save_weights(model: Trainer, path: str | os.PathLike[str]) -> None:
    """Write the weights to a ``.weights.h5`` or ``.npz``; see ``Sequential.save_weights``."""
    _check_suffix(path)
    model.check_built()
    if str(path).endswith(".npz"):
        npz.write_arrays(path, dict(zip(_npz_names(model), model.params.values(), strict=True)))
        return
    with named(Path(path)), replacing(path) as part:
        part.write_bytes(to_hdf5(model))


def load_weights(model: Trainer, path: str | os.PathLike[str]) -> None:
    """Read what ``save_weights`` wrote, or Keras's; see ``Sequential.load_weights``."""
    _check_suffix(path)
    model.check_built()
    file = Path(path)
    with named(file):
        if file.name.endswith(".npz"):
            arrays, params = npz.read_arrays(file), variables(model)
            names = dict(zip(_npz_names(model), params, strict=True))
            check_shapes(arrays, {name: params[path].shape for name, path in names.items()})
            restore(model, {path: arrays[name] for name, path in names.items()})
        else:
            restore(model, hdf5.from_bytes(existing(file).read_bytes()))


def _check_suffix(path: str | os.PathLike[str]) -> None:
    if not str(path).endswith((".weights.h5", ".npz")):
        raise FileError(f"{path}: a file of weights must end in .weights.h5, which Keras opens, or in .npz.")


def _npz_names(model: Trainer) -> list[str]:
    return [f"{slot}/{key}" for slot, layer in slots(model.layers) for key in layer.params]


def variables(model: Trainer) -> dict[str, Array]:
    """The weights themselves, not copies, by Keras's path, in the order of ``params``."""
    return {path_of(slot, i): W for slot, layer in slots(model.layers) for i, W in enumerate(layer.params.values())}


def shapes(layers: Sequence[Layer]) -> dict[str, tuple[int, ...]]:
    """The shape of every weight that layers will have once they are built, by Keras's path; none without an Input."""
    found: dict[str, tuple[int, ...]] = {}
    inputs, rest = layers[:1], layers[1:]
    shape = inputs[0].batch_input_shape if inputs else None
    if shape is None:
        return found
    for slot, layer in slots(rest):
        of_layer = layer.weight_shapes(shape).values()
        found |= {path_of(slot, i): of_weight for i, (of_weight, _) in enumerate(of_layer)}
        shape = layer.compute_output_shape(shape)
    return found


def of_layers(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Those arrays of a file that are not the optimizer's."""
    return {path: array for path, array in arrays.items() if not path.startswith(f"{OPTIMIZER}/")}


def to_hdf5(model: Trainer) -> bytes:
    """The content of a weights file: the weights, and the optimizer's numbers if the model is compiled."""
    names = {f"layers/{slot}/vars": layer.name for slot, layer in slots(model.layers)}
    names["vars"] = model.name
    arrays, optimizer = variables(model), model.optimizer
    if optimizer is not None:
        names[OPTIMIZER] = snake_case(type(optimizer).__name__)
        state: list[Array] = [np.array(optimizer.iterations, np.int64), np.array(optimizer.learning_rate, np.float32)]
        if optimizer.momentum:
            state += [_velocity(optimizer, key, W) for key, W in model.params.items()]
        arrays |= {f"{OPTIMIZER}/{i}": array for i, array in enumerate(state)}
    return hdf5.to_bytes(arrays, names)


def _velocity(optimizer: SGD, key: str, W: Array) -> Array:
    v = optimizer.v.get(key)
    return v if v is not None and v.shape == W.shape else np.zeros_like(W)  # as the optimizer itself begins


def restore(model: Trainer, arrays: Mapping[str, Array]) -> None:
    """Give a built model the numbers of a file, all of them or none.

    Raises:
        ValueError: if a weight is missing, too many, or of another shape, or the optimizer's numbers make no sense.

    Warns:
        UserWarning: if the optimizer's numbers are of another kind than the model's; as in Keras they are left out.
    """
    params = variables(model)
    weights = of_layers(arrays)
    gathered = {path: array for path, array in arrays.items() if path not in weights}
    check_shapes(weights, {path: W.shape for path, W in params.items()})
    if model.optimizer is not None and gathered:
        _restore_optimizer(model, model.optimizer, gathered)
    with np.errstate(over="ignore"):
        for path, W in params.items():
            W[...] = weights[path]


def _restore_optimizer(model: Trainer, optimizer: SGD, arrays: Mapping[str, Array]) -> None:
    count = len(model.params) if optimizer.momentum else 0
    if len(arrays) not in (2, 2 + count):
        warnings.warn(
            f"The file has {len(arrays)} variables of an optimizer, this one has {2 + count}: they are left out.",
            stacklevel=2,
        )
        return
    velocities = {f"{OPTIMIZER}/{i}": key for i, key in enumerate(model.params, start=2)} if len(arrays) > 2 else {}
    shapes = {path: model.params[key].shape for path, key in velocities.items()}
    check_shapes(arrays, {f"{OPTIMIZER}/0": (), f"{OPTIMIZER}/1": (), **shapes})
    iterations, learning_rate = arrays[f"{OPTIMIZER}/0"], arrays[f"{OPTIMIZER}/1"]
    if iterations.dtype.kind not in "iu" or iterations < 0:
        raise ValueError(f"{OPTIMIZER}/0 should be the number of steps; it is {iterations}.")
    rate = check_number(f"{OPTIMIZER}/1, the learning rate,", float(learning_rate))
    optimizer.iterations = int(iterations)
    if np.float32(optimizer.learning_rate) != np.float32(rate):  # else the model's own has more digits
        optimizer.learning_rate = rate
    with np.errstate(over="ignore"):
        optimizer.v = {key: arrays[path].astype(model.params[key].dtype) for path, key in velocities.items()}


def check_shapes(arrays: Mapping[str, Array], shapes: Shapes) -> None:
    """Make sure that a file has the arrays that are needed, and no others.

    Raises:
        ValueError: naming the first that is missing, too many, not of real numbers or of another shape.
    """
    for path, shape in shapes.items():
        if path not in arrays:
            raise ValueError(f"it has no array {path!r}, which the model needs.")
        if arrays[path].shape != shape:
            raise ValueError(f"its array {path!r} has shape {arrays[path].shape}; the model needs {shape}.")
        if shape and arrays[path].dtype.kind != "f":
            raise ValueError(f"its array {path!r} should hold real numbers; it holds {arrays[path].dtype}.")
    for path in arrays:
        if path not in shapes:
            raise ValueError(f"it has an array {path!r}, which the model has no place for.")

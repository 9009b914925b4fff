"""Read and write the variables of a model: its weights, and the state of its optimizer.

A .weights.h5 file and the model.weights.h5 of a .keras archive name a variable by Keras's path.  The path of a weight
has the layer's class and number: the kernel W of the third Dense layer is ``layers/dense_2/vars/0``, whatever the
name of the layer.  ``optimizer/vars`` holds the number of steps, the learning rate unless it follows a schedule, and
the arrays of the optimizer's state, such as one velocity for each weight.  An .npz file holds the weights only, with
names such as ``dense_2/W``.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from scratch.checks import check_number
from scratch.files import FileError, existing, named, replacing
from scratch.layer import Layer
from scratch.layers import Input
from scratch.network import Network
from scratch.optimizers import Optimizer
from scratch.saving import hdf5, npz
from scratch.saving.config import Description
from scratch.saving.zips import read_entries
from scratch.utils import Array, Shape, snake_case, warn_user

OPTIMIZER = "optimizer/vars"
ARCHIVE_ENTRY = "model.weights.h5"  # in a .keras archive
SUFFIXES = (".weights.h5", ".npz")
NESTED_OPTIMIZER = re.compile(f"(layers/[^/]+/)+{OPTIMIZER}/")  # Keras writes one for a compiled model in a model
Shapes = Mapping[str, tuple[int, ...]]
L = TypeVar("L")


def save_weights(model: Network, path: str | os.PathLike[str]) -> None:
    """Write the weights to a ``.weights.h5`` or ``.npz`` file; see ``Sequential.save_weights``."""
    if not str(path).endswith(SUFFIXES):
        raise FileError(f"{path}: the name of a weights file must end in .weights.h5, which Keras opens, or in .npz.")
    model.check_built()
    if str(path).endswith(".npz"):
        npz.write_arrays(path, dict(zip(_npz_names(model), model.weights, strict=True)))
        return
    with named(Path(path)), replacing(path) as part:
        part.write_bytes(to_hdf5(model))


def load_weights(model: Network, path: str | os.PathLike[str]) -> None:
    """Replace the weights by those of a file of scratch or Keras; see ``Sequential.load_weights``."""
    if not str(path).endswith((*SUFFIXES, ".keras")):
        raise FileError(f"{path}: the name of a file with weights must end in .weights.h5, .keras or .npz.")
    model.check_built()
    file = Path(path)
    with named(file):
        if not file.name.endswith(".npz"):
            restore(model, hdf5.from_bytes(_read_hdf5(file)))
            return
        arrays, params = npz.read_arrays(file), variables(model)
        path_of_name = dict(zip(_npz_names(model), params, strict=True))
        check_arrays(arrays, {name: params[path].shape for name, path in path_of_name.items()})
        restore(model, {path: arrays[name] for name, path in path_of_name.items()})


def _read_hdf5(file: Path) -> bytes | bytearray:
    """Return the content of a .weights.h5 file, or of the one in a .keras archive."""
    if file.name.endswith(".keras"):
        return read_entries(file, ".keras", [ARCHIVE_ENTRY])[ARCHIVE_ENTRY]
    return existing(file).read_bytes()


# --- names and paths ----------------------------------------------------------------------------------------------


def _numbered(layers: Iterable[L], prefix: str = "layers") -> Iterator[tuple[str, L]]:
    """Yield ``layers/dense``, ``layers/dense_1``, … and the layer, since names differ between sessions."""
    counts: Counter[str] = Counter()
    for layer in layers:
        name = "sequential" if isinstance(layer, Description) else snake_case(type(layer).__name__)
        yield f"{prefix}/{name}_{counts[name]}" if counts[name] else f"{prefix}/{name}", layer
        counts[name] += 1


def _all_layers(layers: Sequence[Layer], prefix: str = "layers") -> Iterator[tuple[str, Layer]]:
    """Yield the path of each layer and the layer; after a model, ``layers/sequential``, also those of its layers."""
    for path, layer in _numbered(layers, prefix):
        yield path, layer
        if isinstance(layer, Network):
            yield from _all_layers(layer.layers, f"{path}/layers")


def _layers_with_weights(model: Network) -> Iterator[tuple[str, Layer]]:
    return ((path, layer) for path, layer in _all_layers(model.layers) if not isinstance(layer, Network))


def _npz_names(model: Network) -> list[str]:
    """Return ``dense/W``, ``dense/b``, ``dense_1/W``, … in the order of ``variables``."""
    return [
        f"{path.removeprefix('layers/').replace('/layers/', '/')}/{key}"
        for path, layer in _layers_with_weights(model)
        for key in layer.weights_by_name
    ]


def variables(model: Network) -> dict[str, Array]:
    """Return the weights, not copies, by Keras's path, in the order of ``get_weights``."""
    return {f"{path}/vars/{i}": W for path, layer in _layers_with_weights(model) for i, W in enumerate(layer.weights)}


def variable_shapes(layers: Sequence[Layer | Description]) -> dict[str, tuple[int, ...]]:
    """Return the shapes that the weights of the layers will have, by Keras's path.

    Args:
        layers: layers that are not built.  If the first has no ``input_shape``, the result is empty.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    first = layers[0] if layers else None
    if isinstance(first, Layer) and first.batch_input_shape is not None:
        _add_shapes(shapes, layers[1:], first.batch_input_shape, "layers")
    return shapes


def _add_shapes(
    shapes: dict[str, tuple[int, ...]], layers: Sequence[Layer | Description], shape: Shape, prefix: str
) -> Shape:
    """Enter the shapes of the weights, for inputs of a shape; return the shape of the output."""
    for path, layer in _numbered((layer for layer in layers if not isinstance(layer, Input)), prefix):
        if isinstance(layer, Description):
            shape = _add_shapes(shapes, layer.layers, shape, f"{path}/layers")
            continue
        weight_shapes = layer.weight_shapes(shape) | layer.state_shapes(shape)
        for i, (weight_shape, _) in enumerate(weight_shapes.values()):
            shapes[f"{path}/vars/{i}"] = weight_shape
        shape = layer.compute_output_shape(shape)
    return shape


def layer_arrays(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays of a file that do not belong to an optimizer, nor to that of a model within the model."""
    return {
        path: array
        for path, array in arrays.items()
        if not (path.startswith(f"{OPTIMIZER}/") or NESTED_OPTIMIZER.match(path))
    }


# --- from the model to the file -----------------------------------------------------------------------------------


def to_hdf5(model: Network) -> bytes:
    """Return the content of a weights file: the weights, and the optimizer's state if the model is compiled."""
    names = {f"{path}/vars": layer.name for path, layer in _all_layers(model.layers)}
    names["vars"] = model.name
    arrays, optimizer = variables(model), model.optimizer
    if optimizer is not None:
        names[OPTIMIZER] = snake_case(type(optimizer).__name__)
        state = [*optimizer.numbers, *optimizer.state_arrays(model.params)]
        arrays |= {f"{OPTIMIZER}/{i}": array for i, array in enumerate(state)}
    return hdf5.to_bytes(arrays, names)


# --- from the file to the model -----------------------------------------------------------------------------------


def restore(model: Network, arrays: Mapping[str, Array]) -> None:
    """Replace the weights and the optimizer's state by the arrays of a file: all of them or, if one does not fit, none.

    Args:
        model: a built model.
        arrays: by Keras's path.

    Raises:
        ValueError: if a weight is missing or has another shape, if there is an unknown array, or if the optimizer's
            state is invalid.

    Warns:
        UserWarning: if the optimizer's state is that of another kind of optimizer.  It is ignored, as in Keras.
    """
    params = variables(model)
    weights = layer_arrays(arrays)
    optimizer_arrays = {path: array for path, array in arrays.items() if path.startswith(f"{OPTIMIZER}/")}
    check_arrays(weights, {path: W.shape for path, W in params.items()})
    with model.lock, np.errstate(over="ignore"):
        if model.optimizer is not None and optimizer_arrays:
            _restore_optimizer(model, model.optimizer, optimizer_arrays)
        for path, W in params.items():
            W[...] = weights[path]


def _restore_optimizer(model: Network, optimizer: Optimizer, arrays: Mapping[str, Array]) -> None:
    params = model.params
    keys, first = [key for _, key in optimizer.state_order(params)], len(optimizer.numbers)
    if len(arrays) not in (first, first + len(keys)):
        warn_user(
            f"The file has {len(arrays)} optimizer variables, but the model's optimizer has {first + len(keys)}: the "
            "optimizer's state is not loaded."
        )
        return
    state = {f"{OPTIMIZER}/{i}": key for i, key in enumerate(keys, start=first)} if len(arrays) > first else {}
    shapes = {path: params[key].shape for path, key in state.items()}
    check_arrays(arrays, {**{f"{OPTIMIZER}/{i}": () for i in range(first)}, **shapes})
    iterations = arrays[f"{OPTIMIZER}/0"]
    if iterations.dtype.kind not in "iu" or iterations < 0:
        raise ValueError(f"{OPTIMIZER}/0 must be the number of steps, an integer of 0 or more; got {iterations}.")
    if optimizer.schedule is None:
        rate = check_number(f"{OPTIMIZER}/1, the learning rate,", float(arrays[f"{OPTIMIZER}/1"]))
        # The file holds the learning rate in float32, the config in float64: if they agree, the latter is kept.
        if np.float32(optimizer.learning_rate) != np.float32(rate):
            optimizer.learning_rate = rate
    optimizer.iterations = int(iterations)
    with np.errstate(over="ignore"):
        optimizer.set_state_arrays(params, [arrays[path] for path in state])


def check_arrays(arrays: Mapping[str, Array], shapes: Shapes) -> None:
    """Check that a file has exactly the arrays that a model needs.

    Args:
        arrays: the arrays of the file.
        shapes: the shapes that the model needs.

    Raises:
        ValueError: if an array is missing, has another shape, does not hold floating-point numbers, or is unknown.
    """
    for path, shape in shapes.items():
        if path not in arrays:
            raise ValueError(f"The file has no array {path!r}, which the model needs.")
        if arrays[path].shape != shape:
            raise ValueError(f"The array {path!r} has shape {arrays[path].shape}; the model needs {shape}.")
        if shape and arrays[path].dtype.kind != "f":
            raise ValueError(f"The array {path!r} must hold floating-point numbers; got {arrays[path].dtype}.")
    for path in arrays:
        if path not in shapes:
            raise ValueError(f"The file has an array {path!r}, which the model does not have.")

"""Find the places where a NumPy network keeps its weights, and replace what stands there."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from parity_tests.implementations.protocol import Array, CannotRunError

NUMBERED = re.compile(r"(w|weights?|kernel|b|bias|biases)(\d+)")
GRADIENT = re.compile(r"^(d|grad|nabla)_?")
DICTIONARIES = ("params", "parameters", "weights")
KERNELS = ("weights", "Ws", "ws", "W", "w", "kernels")
BIASES = ("biases", "bs", "bias", "b")
LAYER_KERNELS = ("W", "w", "weights", "weight", "kernel")
LAYER_BIASES = ("b", "biases", "bias")
LOOKED_FOR = (
    "a dict params with 'W1', 'b1', …; a list params of W and b in turn or in pairs; lists weights and biases; "
    "attributes W1, b1, …; layers with W and b"
)


class Slot(NamedTuple):
    """A place that holds an array: an entry of a dict or list, or an attribute of an object."""

    owner: Any
    key: Any

    @property
    def array(self) -> Any:
        """What stands there."""
        return self.owner[self.key] if isinstance(self.owner, dict | list) else getattr(self.owner, self.key)

    def replace(self, array: Array) -> None:
        """Put another array there."""
        if isinstance(self.owner, dict | list):
            self.owner[self.key] = array
        else:
            setattr(self.owner, self.key, array)


def find_slots(network: Any) -> list[Slot]:
    """Return the places of W and b of each layer, in order.

    Raises:
        CannotRunError: if the network keeps its weights in none of the known ways.
    """
    for candidate in _candidates(network):
        if candidate and all(np.ndim(W.array) in (1, 2) and np.size(W.array) for W in candidate):
            return candidate
    raise CannotRunError(
        f"{type(network).__name__} has no weights and biases that were found; looked for: {LOOKED_FOR}."
    )


def _candidates(network: Any) -> Iterable[list[Slot]]:
    for name in DICTIONARIES:
        params = getattr(network, name, None)
        if isinstance(params, dict):
            yield numbered(params, params)
        elif isinstance(params, list):
            yield _sequence(params)
    kernels, biases = (_first_list(network, names) for names in (KERNELS, BIASES))
    if kernels and biases and len(kernels) == len(biases):
        yield [Slot(owner, i) for i in range(len(kernels)) for owner in (kernels, biases)]
    if hasattr(network, "__dict__"):
        yield numbered(vars(network), network)
    layers = getattr(network, "layers", None)
    if isinstance(layers, dict | list | tuple):
        yield _of_layers(list(layers.values()) if isinstance(layers, dict) else layers)


def numbered(values: Mapping[str, Any], owner: Any) -> list[Slot]:
    """Return the slots of W1, b1, W2, b2, … (or W_1, weight1, …), in order; nothing if they are not complete."""
    found = {}
    for name, value in values.items():
        match = NUMBERED.fullmatch(_plain(name))
        if match and isinstance(value, np.ndarray | list | float | np.generic):
            found[int(match[2]), match[1][0] == "b"] = Slot(owner, name)
    numbers = sorted({number for number, _ in found})
    pairs = [(number, is_bias) for number in numbers for is_bias in (False, True)]
    # Arrays of batch normalization, or a layer without a bias, would be left out in silence.
    return [found[pair] for pair in pairs if pair in found] if len(found) == len(pairs) else []


def numbered_gradients(values: Mapping[str, Any]) -> list[Any]:
    """Return the gradients dW1, db1, … (or W1, b1, …) of a dict in order; nothing if they are not complete."""
    prefixed = {GRADIENT.sub("", name): value for name, value in values.items() if GRADIENT.match(str(name))}
    for names in (prefixed, values):
        if slots := numbered(names, dict(names)):
            return [slot.array for slot in slots]
    return []


def missing_gradients(values: Mapping[str, Any], slots: Sequence[Slot]) -> list[str]:
    """Return the names of the weights, for example b1, whose gradients a dict lacks; nothing if it lacks all."""
    given = {_plain(GRADIENT.sub("", str(name))) for name, value in values.items() if value is not None}
    missing = [str(slot.key) for slot in slots if _plain(slot.key) not in given]
    return missing if len(missing) < len(slots) else []


def _plain(name: Any) -> str:
    """Return the name of a weight in lower case, without underscores."""
    return str(name).lower().replace("_", "")


def _first_list(network: Any, names: Sequence[str]) -> list[Any] | None:
    values = [getattr(network, name, None) for name in names]
    return next((value for value in values if isinstance(value, list) and value), None)


def _sequence(params: list[Any]) -> list[Slot]:
    """Return the slots of [W1, b1, W2, b2] or of [[W1, b1], [W2, b2]], also with dicts as pairs."""
    if all(isinstance(pair, list) and len(pair) == 2 for pair in params):
        return [Slot(pair, i) for pair in params for i in (0, 1)]
    if all(isinstance(pair, dict) and len(pair) == 2 for pair in params):
        return [Slot(pair, key) for pair in params for key in sorted(pair, key=lambda key: str(key).lower()[0] == "b")]
    kernels_and_biases = [np.ndim(W) for W in params[::2]], [np.size(b) for b in params[1::2]]
    alternate = len(params) % 2 == 0 and set(kernels_and_biases[0]) == {2}
    if alternate and all(size in np.shape(W) for W, size in zip(params[::2], kernels_and_biases[1], strict=True)):
        return [Slot(params, i) for i in range(len(params))]
    return []


def _of_layers(layers: Sequence[Any]) -> list[Slot]:
    """Return the slots of W and b of those layers that have them."""
    found = []
    for layer in layers:
        W = next((name for name in LAYER_KERNELS if np.ndim(getattr(layer, name, None)) == 2), None)
        b = next((name for name in LAYER_BIASES if np.size(getattr(layer, name, None)) and W), None)
        if W and b and getattr(layer, b) is not None:
            found += [Slot(layer, W), Slot(layer, b)]
    return found


def write(network: Any, slots: Sequence[Slot], weights: Sequence[Array]) -> None:
    """Replace the weights of a network.

    Layers may hold references to the same arrays, as in the book: an array of the same shape and dtype is overwritten
    in place, and one of another dtype is replaced wherever the network refers to it.
    """
    replaced: dict[int, tuple[Any, Array]] = {}
    for slot, W in zip(slots, weights, strict=True):
        old = slot.array
        if isinstance(old, np.ndarray) and old.shape == W.shape and old.dtype == W.dtype and old.flags.writeable:
            old[...] = W
        else:
            replaced[id(old)] = (old, np.array(W))
            slot.replace(replaced[id(old)][1])
    if replaced:
        _replace_references(network, replaced)


def _replace_references(root: Any, replaced: Mapping[int, tuple[Any, Array]]) -> None:
    """Replace arrays by others wherever objects, dicts and lists that belong to ``root`` refer to them."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        owner = waiting.pop()
        if id(owner) in seen or isinstance(owner, type):
            continue
        seen.add(id(owner))
        inside = owner if isinstance(owner, dict | list) else getattr(owner, "__dict__", None)
        if isinstance(owner, tuple):
            waiting += owner
        if not isinstance(inside, dict | list) or type(owner).__name__ == "module":
            continue
        for key, value in list(inside.items() if isinstance(inside, dict) else enumerate(inside)):
            if id(value) in replaced:
                inside[key] = replaced[id(value)][1]
            else:
                waiting.append(value)

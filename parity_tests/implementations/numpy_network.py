"""Adapter for networks written in NumPy: the book's style, lists of weights and biases, numbered attributes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parity_tests.implementations.calling import Method, find_method
from parity_tests.implementations.protocol import Array, CannotRunError, NotOffered
from parity_tests.implementations.slots import Slot, find_slots, missing_gradients, numbered_gradients, write

OUTPUTS = ("outputs", "predict_proba", "forward", "feedforward", "predict", "forward_pass", "__call__")
LOSS = ("loss", "compute_loss", "cross_entropy_loss", "cross_entropy", "compute_cost", "cost", "forward")
GRADIENTS = ("gradients", "gradient", "compute_gradients", "grads", "backprop", "backward", "backpropagation")
UPDATE = ("update", "update_params", "update_parameters", "update_weights", "apply_gradients")
STEP = (
    "step", "train_step", "train_on_batch", "train_batch", "update_mini_batch", "partial_fit", *GRADIENTS, *UPDATE,
    "fit", "train", "sgd", "SGD",
)  # fmt: skip
RATES = ("learning_rate", "lr", "eta", "rate", "alpha")
BATCH = ("x", "t", "out", "gradients")
TRAINING = (*BATCH, "rate", "pairs", "epochs", "size")


class NumpyNetwork:
    """A network in its own conventions: its weights, and those of its methods that were found.

    Attributes:
        network: the network.
        calls: what of the network each method of this adapter calls.
    """

    def __init__(self, network: Any):
        self.network = network
        find_slots(network)  # raises if there are none
        self._candidates = [method for method in self._methods(OUTPUTS, ["x"]) if method.takes("x")]
        if not self._candidates:
            wanted = ", ".join(OUTPUTS[:-1])
            raise CannotRunError(
                f"{type(network).__name__} has no method that returns the outputs of x; looked for {wanted}."
            )
        self._loss = find_method(network, LOSS, BATCH[:3], {"t"})
        self._gradients = next((m for m in self._methods(GRADIENTS, BATCH[:3]) if not m.takes("rate")), None)
        self._training = self._training_method()
        self.calls = {"outputs": str(self._candidates[0])}
        self._offer()

    @property
    def slots(self) -> list[Slot]:
        """The places of the weights now: an update may replace the lists that hold them."""
        return find_slots(self.network)

    def _methods(self, names: Sequence[str], given: Sequence[str]) -> list[Method]:
        found = (find_method(self.network, (name,), given) for name in names)
        return [method for method in found if method]

    def _training_method(self) -> Method | None:
        """Return the method that takes one step of SGD; its learning rate may be an attribute."""
        for method in self._methods(STEP, TRAINING):
            if method.takes("rate"):
                return method
            if self._rate_attribute() and method.name not in GRADIENTS:
                return method
        return None

    def _rate_attribute(self) -> str | None:
        return next((name for name in RATES if isinstance(getattr(self.network, name, None), float | int)), None)

    def _offer(self) -> None:
        if self._loss:
            self.loss, self.calls["loss"] = self._compute_loss, str(self._loss)
        if self._training and self._training.takes("pairs"):
            self._gradients = None  # those of one sample, in a network that trains on (x, t) pairs
        if self._gradients:
            self.gradients, self.calls["gradients"] = self._compute_gradients, str(self._gradients)
        if self._training:
            self.step, self.calls["step"] = self._train, str(self._training)
        elif self._gradients:
            self.step, self.calls["step"] = self._subtract, f"W -= learning_rate * gradient, with {self._gradients}"

    def get_weights(self) -> list[Array]:
        return [np.array(slot.array) for slot in self.slots]

    def set_weights(self, weights: Sequence[Array]) -> None:
        write(self.network, self.slots, weights)

    def outputs(self, x: Array) -> Any:
        for method in self._candidates:  # predict may return class numbers where forward_pass returns the outputs
            out = self._of_classes(method({"x": x}))
            if np.ndim(out) == 2:
                self.calls["outputs"] = str(method)
                break
        return out

    def _of_classes(self, out: Any) -> Any:
        """Return the outputs without the hidden layers' outputs, or a cache, that come with them."""
        if not isinstance(out, tuple | list):
            return out
        classes = np.size(self.slots[-1].array)
        arrays = [part for part in out if hasattr(part, "shape") and len(part.shape) in (1, 2)]  # a cache is a tuple
        return next((array for array in reversed(arrays) if classes in array.shape), None)

    def _compute_loss(self, x: Array, t: Array) -> Any:
        assert self._loss is not None
        values = {"x": x, "t": t}
        if self._loss.takes("out"):
            values["out"] = self.outputs(x)
        result = self._loss(values)
        return result[0] if isinstance(result, tuple) else result  # (loss, gradients)

    def _compute_gradients(self, x: Array, t: Array) -> list[Any]:
        assert self._gradients is not None
        return self._as_weights(self._gradients(self._forward(self._gradients, x, t)), self._gradients)

    def _forward(self, method: Method, x: Array, t: Array) -> dict[str, Any]:
        """Return the arguments of a backward method, after the forward pass if it relies on one."""
        values = {"x": x, "t": t}
        if (self._loss and self._loss.name == "forward") or not method.takes("t"):
            self._compute_loss(x, t) if self._loss else self.outputs(x)
        elif method.takes("out") or method.name.startswith("back"):
            values["out"] = self.outputs(x)
        return values

    def _train(self, x: Array, t: Array, learning_rate: float) -> None:
        method = self._training
        assert method is not None
        attribute = self._rate_attribute()
        if attribute and not method.takes("rate"):
            setattr(self.network, attribute, learning_rate)
        values = self._forward(method, x, t) | {"rate": learning_rate, "epochs": 1, "size": len(x)}
        if method.takes("pairs"):
            values["pairs"] = self._pairs(x, t)
            values["size"] = len(values["pairs"])
        if method.name in UPDATE and not method.takes("x") and self._gradients:
            values["gradients"] = self._gradients(self._forward(self._gradients, x, t))
        method(values)

    def _pairs(self, x: Array, t: Array) -> list[tuple[Array, Array]]:
        """Return the samples of a batch one by one; columns if the biases are columns."""
        if np.ndim(self.slots[1].array) == 2 and np.shape(self.slots[1].array)[1] == 1:
            return [(x[:, [i]], t[:, [i]]) for i in range(x.shape[1])]
        return [(x[i], t[i]) for i in range(len(x))]

    def _subtract(self, x: Array, t: Array, learning_rate: float) -> None:
        """Update the weights as the book's training loop does, in place."""
        for slot, gradient in zip(self.slots, self._compute_gradients(x, t), strict=True):
            array = slot.array
            array -= learning_rate * gradient
            slot.replace(array)

    def _as_weights(self, result: Any, method: Method) -> list[Any]:
        """Return gradients in the order of the weights, from whatever a method returned or left in the network."""
        if isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], float | np.floating):
            result = result[1]  # (loss, gradients)
        left = [result, *(getattr(self.network, name, None) for name in ("grads", "gradients"))]
        own = {name: value for name, value in vars(self.network).items() if name[0] in "dgn"}  # dW1, grad_W1, nabla_w1
        for found in (*left, own):
            arrays = numbered_gradients(found) if isinstance(found, dict) else flattened(found)
            if len(arrays) == len(self.slots):
                return in_order(arrays, self.slots)
        missing = (missing_gradients(found, self.slots) for found in (*left, own) if isinstance(found, dict))
        names = ", ".join(next(filter(None, missing), ["all weights"]))
        text = f"{method} neither returns the gradients of {names} nor leaves them in grads, dW1, db1, … of the network"
        if self._training:
            raise NotOffered(text)
        raise ValueError(text)  # without gradients, the network does not train


def flattened(nested: Any) -> list[Any]:
    """Return the arrays of nested lists and tuples, in order."""
    if isinstance(nested, list | tuple):
        return [array for part in nested for array in flattened(part)]
    if isinstance(nested, Mapping):
        return [nested[key] for key in sorted(nested, key=lambda key: "b" in str(key).lower())]
    return [nested]


def in_order(arrays: Sequence[Any], slots: Sequence[Slot]) -> list[Any]:
    """Return gradients in the order W, b, W, b, …; they may come as all W, then all b, or the other way round."""
    layers = len(arrays) // 2
    kernels_first = [array for i in range(layers) for array in (arrays[i], arrays[layers + i])]
    biases_first = [array for i in range(layers) for array in (arrays[layers + i], arrays[i])]
    for order in (arrays, kernels_first, biases_first):
        if all(np.size(dW) == np.size(slot.array) for dW, slot in zip(order, slots, strict=True)):
            return list(order)
    return list(arrays)

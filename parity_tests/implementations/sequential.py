"""Adapters for compiled Sequential models of Keras and of scratch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parity_tests.implementations.protocol import Array, CannotRunError, NotOffered


class SequentialModel:
    """A ``scratch.Sequential`` of Dense layers, with activations as arguments or as layers of their own.

    Attributes:
        model: the model.
        calls: what of the model each method of this adapter calls.
    """

    def __init__(self, model: Any):
        self.model = model
        names = [layer.name for layer in model.layers if len(layer.get_weights()) == 2]
        if not names or 2 * len(names) != len(model.get_weights()):
            raise CannotRunError(f"Model {model.name!r} must be built, and of Dense layers with a bias.")
        if getattr(model, "optimizer", None) is None:
            raise CannotRunError(f"Model {model.name!r} must be compiled with SGD and categorical cross-entropy.")
        self.names = names
        self.calls = {"outputs": "__call__", "loss": "trace", "gradients": "trace", "step": "train_on_batch"}

    def get_weights(self) -> list[Array]:
        return [np.array(W) for W in self.model.get_weights()]

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.model.set_weights(list(weights))

    def outputs(self, x: Array) -> Array:
        return np.asarray(self.model(x))

    def loss(self, x: Array, t: Array) -> Array:
        return self._trace(x, t)["loss"]

    def gradients(self, x: Array, t: Array) -> list[Array]:
        tensors = self._trace(x, t)
        return [tensors[f"{name}/d{key}"] for name in self.names for key in "Wb"]

    def trace(self, x: Array, t: Array) -> Mapping[str, Array]:
        tensors = self._trace(x, t)
        if len(self.names) != len(self.model.layers):
            raise NotOffered("the trace of a model with layers other than Dense")
        numbers = {name: f"dense_{i}" for i, name in enumerate(self.names)}
        split = [(*name.partition("/"), tensor) for name, tensor in tensors.items()]
        return {numbers.get(layer, layer) + slash + rest: tensor for layer, slash, rest, tensor in split}

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        self.model.optimizer.learning_rate = learning_rate
        self.model.train_on_batch(x, t)

    def _trace(self, x: Array, t: Array) -> Mapping[str, Array]:
        """Return the model's trace of a batch."""
        tensors: Mapping[str, Array] = self.model.trace(x, t)
        return tensors


def duplicate_keras_model(model: Any) -> Any:
    """Return a copy of a Keras model, compiled with a new optimizer of the same settings; faster than a deep copy."""
    import keras

    duplicate = keras.models.clone_model(model)
    duplicate.set_weights(model.get_weights())
    if model.compiled:
        duplicate.compile_from_config(model.get_compile_config())
    return duplicate


class KerasModel(SequentialModel):
    """A ``keras.Sequential``; a model of another kind offers its outputs and training steps only."""

    def _trace(self, x: Array, t: Array) -> Mapping[str, Array]:
        """Return the model's trace of a batch."""
        import keras

        import keras_impl

        if not isinstance(self.model, keras.Sequential):
            raise NotOffered("the gradients of a Keras model that is not Sequential")
        return keras_impl.trace(self.model, x, t)

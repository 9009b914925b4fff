"""``LayerStack``: layers in a row, their shapes and their parameters; ``network.py`` runs them.

A stack is a layer itself, so that a model can be a layer of another model; both then share the parameters.
"""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from scratch import ops, utils
from scratch.checks import check_dtype, check_list, check_name
from scratch.layer import Layer
from scratch.layers import Input
from scratch.utils import Array, Shape


class LayerStack(Layer):
    """Layers in a row with one backend and one random generator.

    Args:
        layers: the layers, first to last; ``add`` appends more.
        name: name of the model; default: ``sequential``, ``sequential_1``, …
        backend: ``'numpy'``, the reference, or ``'numba'``, compiled.
        dtype: float32 (default) or float64, for all layers without a dtype of their own.

    Attributes:
        rng: draws the initial parameters and the order of the samples.
        input_shape: batch shape of the input, such as ``(None, 784)``; None while it is unknown.
        lock: held while the parameters change, and while inference reads them.

    Raises:
        ValueError: if the backend or the dtype is unknown, or a layer does not fit; see ``add``.
    """

    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        name: str | None = None,
        backend: str = "numba",
        dtype: DTypeLike | None = None,
    ) -> None:
        self.backend = self._backend = check_name("backend", backend, ops.BACKENDS)
        ops.get(backend)  # raise now if the backend cannot be loaded
        self._dtype = check_dtype("float32" if dtype is None else dtype)
        self.rng = utils.spawn_generator()
        self.name = utils.auto_name(type(self).__name__) if name is None else str(name)
        self.input_shape: Shape | None = None
        self.lock = threading.RLock()
        self._layers: list[Layer] = []
        self._by_name: dict[str, Layer] = {}  # as added: a layer may be renamed
        self._input: Input | None = None
        for layer in check_list("layers", layers):
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers, first to last, as a new list; ``add`` and ``pop`` change the model."""
        return list(self._layers)

    @layers.setter
    def layers(self, value: object) -> None:
        raise AttributeError("`Model.layers` attribute is reserved and should not be used. Use add() and pop().")

    def add(self, layer: Layer) -> None:
        """Append a layer, and build it if the shape of its input is known.

        Raises:
            ValueError: if it is not a layer, its name is used, or it does not accept the output of the layer before it.
        """
        if not isinstance(layer, Layer):
            raise ValueError(f"A model is made of layers, such as Dense(10); got {layer!r}.")
        if layer is self:
            raise ValueError(f"Model {self.name!r} cannot be a layer of itself.")
        if layer.name == "loss":
            raise ValueError("A layer cannot be named 'loss', the name of the loss in a trace; choose another name.")
        known = self._by_name.get(layer.name)
        if known is not None and known.name == layer.name:
            raise ValueError(f"The model already has a layer named {layer.name!r}; give this one another name.")
        if isinstance(layer, Input):
            if self._layers or self._input:
                raise ValueError("Input must be the first entry of a model, and there can be only one.")
            self._input, self.input_shape = layer, layer.batch_input_shape
            return
        input_shape = self.output_shape if self._layers or self._input else layer.batch_input_shape
        if input_shape is not None:
            layer.compute_output_shape(input_shape)
        layer.bind(self.backend, self.dtype)
        if isinstance(layer, LayerStack):
            self._share_lock(layer)
        if input_shape is not None:
            self._build_layer(layer, input_shape)
            self.input_shape = self.input_shape or input_shape
        self._layers.append(layer)
        self._by_name[layer.name] = layer

    def _share_lock(self, model: "LayerStack") -> None:
        """Let this model and one of its layers use the same lock, since training either changes the same parameters."""
        if any(isinstance(layer, LayerStack) for layer in self._layers):
            model.set_lock(self.lock)
        else:
            self.lock = model.lock

    def set_lock(self, lock: "threading.RLock") -> None:
        """Replace the lock of this model and of the models within it."""
        self.lock = lock
        for layer in self._layers:
            if isinstance(layer, LayerStack):
                layer.set_lock(lock)

    def pop(self) -> Layer:
        """Remove and return the last layer.

        Raises:
            ValueError: if there is none.
        """
        if not self._layers:
            raise ValueError(f"Cannot pop from model {self.name!r}: there are no layers in the model.")
        layer = self._layers.pop()
        self._by_name.pop(layer.name, None)
        if not self._layers and not self._input:
            self.input_shape = None
        return layer

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer with that name or at that index.

        Raises:
            ValueError: if there is no such layer, or not exactly one of the arguments is given.
        """
        if (name is None) == (index is None):
            raise ValueError(f"Provide either a layer name or a layer index; got name={name!r}, index={index!r}.")
        count = len(self._layers)
        found = [layer for i, layer in enumerate(self._layers) if layer.name == name or index in (i, i - count)]
        if not found:
            names = [layer.name for layer in self._layers]
            raise ValueError(f"No such layer: {index if name is None else name!r}. Existing layers are: {names}.")
        return found[0]

    def build(self, input_shape: Shape, rng: np.random.Generator | None = None) -> None:
        """Create the parameters of all layers that have none, for input of a shape such as ``(None, 784)``.

        The initial values are drawn from ``rng`` or, by default, from the model's own generator.

        Raises:
            ValueError: if a layer does not accept its input, or two layers have one name; no layer is built then.
        """
        expected: Shape = (None, *input_shape[1:])
        is_built = expected == self.input_shape and self.built
        if not is_built:  # otherwise the layers have accepted this shape before
            self.compute_output_shape(input_shape)
        names = [layer.name for layer in self._layers]
        if len(set(names)) < len(names):  # ``add`` has rejected equal names; a layer was renamed since
            name = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"The model has two layers named {name!r}; give each layer its own name.")
        if is_built:
            return
        shape = expected
        for layer in self._layers:
            self._build_layer(layer, shape, rng)
            shape = layer.compute_output_shape(shape)
        self.input_shape = expected

    def _build_layer(self, layer: Layer, input_shape: Shape, rng: np.random.Generator | None = None) -> None:
        with self.lock:
            if not layer.built:
                layer.build(input_shape, rng or self.rng)

    @property
    def batch_input_shape(self) -> Shape | None:  # type: ignore[override]
        """The shape of the input, as that of a model's first layer."""
        return self.input_shape

    @property
    def last_layer(self) -> Layer:
        """The last layer; if that is a model, the last layer of that model."""
        last = self._layers[-1]
        return last.last_layer if isinstance(last, LayerStack) else last

    @property
    def built(self) -> bool:
        """Whether there are layers and all of them have their parameters."""
        return bool(self._layers) and all(layer.built for layer in self._layers)

    @property
    def output_shape(self) -> Shape | None:
        """Shape of the output, or None while the shape of the input is unknown."""
        if self.input_shape is None or not self._layers:
            return self.input_shape
        last = self._layers[-1]  # built, as all layers of a model with a known input shape
        assert last.input_shape is not None
        return None, *last.compute_output_shape(last.input_shape)[1:]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output for an input of that shape.

        Raises:
            ValueError: if the model has no layers, or a layer does not accept its input.
        """
        if not self._layers:
            raise ValueError(f"Model {self.name!r} has no layers; add one, for example Dense(10).")
        shape = input_shape
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def params(self) -> dict[str, Array]:  # type: ignore[override]
        """The parameters themselves, not copies, as ``{'dense/W': …, 'dense/b': …, …}``."""
        return {f"{layer.name}/{key}": W for layer in self._layers for key, W in layer.params.items()}

    @property
    def grads(self) -> dict[str, Array]:  # type: ignore[override]
        """The gradients of the last backward pass, with the names of ``params``; the fused step stores none."""
        return {f"{layer.name}/{key}": dW for layer in self._layers for key, dW in layer.grads.items()}

    @property
    def state(self) -> dict[str, Array]:  # type: ignore[override]
        """The arrays that ``forward`` changes in training, not copies, by the names that ``params`` would have."""
        return {f"{layer.name}/{key}": array for layer in self._layers for key, array in layer.state.items()}

    @property
    def weights_by_name(self) -> dict[str, Array]:
        """All weights, not copies, in Keras's order: the layers', each with its parameters first."""
        return {f"{layer.name}/{key}": W for layer in self._layers for key, W in layer.weights_by_name.items()}

    def penalty(self) -> float:
        """Return the sum of what the regularizers of all layers add to the loss."""
        return sum(layer.penalty() for layer in self._layers)

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Replace the values of all weights.

        Args:
            weights: arrays in the order and with the shapes of ``get_weights()``.

        Raises:
            ValueError: if the number or a shape is wrong, or an array is not numeric; nothing is changed then.
        """
        with self.lock:
            utils.assign_weights(f"Model {self.name!r}", self.weights_by_name, weights)

    def count_params(self) -> int:
        """Return the number of scalars in all weights.

        Raises:
            ValueError: if the model is not built yet.
        """
        self.check_built()
        return sum(layer.count_params() for layer in self._layers)

    def check_built(self) -> None:
        """Raise a ``ValueError`` unless all layers have their parameters."""
        if not self.built:
            raise ValueError(f"Model {self.name!r} has no weights yet: call it on data, or give an input_shape.")

    def __repr__(self) -> str:
        size = f"{self.count_params():,} parameters" if self.built else "not built"
        chain = ", ".join(map(repr, self._layers))
        return f"<{type(self).__name__} {self.name}: {size}, backend {self.backend}, layers [{chain}]>"

"""A chain of layers: its weights, and the numbers that flow through it, forward and back."""

from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from scratch import ops
from scratch.layers import Input, Layer, check_dtype
from scratch.losses import CategoricalCrossentropy, Loss
from scratch.metrics import CategoricalAccuracy
from scratch.optimizers import SGD
from scratch.pixels import Pixels
from scratch.utils import Array, Shape, auto_name, check_array, check_list, check_name, check_numeric, spawn_generator

if TYPE_CHECKING:
    from scratch.kernels.fused_step import FusedStep


class Network:
    """What a model is before it is trained: layers in a row, all with one backend and one random generator.

    Args:
        layers: the layers, first to last; more can be added.
        name: a name of your own; ``sequential``, ``sequential_1``, … if not given.
        backend: ``'numpy'``, the reference, or ``'numba'``, compiled.
        dtype: float32 (default) or float64, for all layers that don't name one.

    Raises:
        ValueError: if the backend or the dtype is unknown, or a layer doesn't fit; see ``add``.
    """

    optimizer: SGD | None = None
    loss: CategoricalCrossentropy | None = None
    metrics: list[CategoricalAccuracy]

    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        name: str | None = None,
        backend: str = "numba",
        dtype: DTypeLike | None = None,
    ) -> None:
        self.backend = check_name("backend", backend, ops.BACKENDS)
        ops.get(backend)  # whatever is wrong with it is said now
        self.dtype = check_dtype("float32" if dtype is None else dtype)
        self.rng = spawn_generator()
        self.name = auto_name(type(self).__name__) if name is None else str(name)
        self.metrics = []
        self.layers: list[Layer] = []
        self.input_shape: Shape | None = None
        self.fused: FusedStep | None = None  # what trains it, if scratch.execution finds that it can
        self._input: Input | None = None
        for layer in check_list("layers", layers):
            self.add(layer)

    def add(self, layer: Layer) -> None:
        """Put a layer at the end; it gets its weights at once if the shape of its input is known.

        Raises:
            ValueError: if it is not a layer, its name is taken, or it can't take what the layer before it gives.
        """
        if not isinstance(layer, Layer):
            raise ValueError(f"A model is made of layers, such as Dense(10); got {layer!r}.")
        if layer.name == "loss":
            raise ValueError("A layer can't be named 'loss', which a trace calls the loss; give it another name.")
        if layer.name in [other.name for other in self.layers]:
            raise ValueError(f"The model already has a layer named {layer.name!r}; give this one another name.")
        if isinstance(layer, Input):
            if self.layers or self._input:
                raise ValueError("Input must be the first entry of a model, and stand there once.")
            self._input, self.input_shape = layer, layer.batch_input_shape
            return
        input_shape = self._shape_after(self.layers) if self.layers or self._input else layer.batch_input_shape
        if input_shape is not None:
            layer.compute_output_shape(input_shape)
        layer.bind(self.backend, self.dtype)
        self.layers.append(layer)
        if input_shape is not None:
            self.build(self.input_shape or input_shape)

    def pop(self) -> Layer:
        """Take the last layer off and return it.

        Raises:
            ValueError: if there is none.
        """
        if not self.layers:
            raise ValueError(f"Model {self.name!r} has no layers; there is none to take off.")
        layer = self.layers.pop()
        if not self.layers and not self._input:
            self.input_shape = None
        return layer

    def build(self, input_shape: Shape) -> None:
        """Give every layer that has none its weights, for input of that shape, such as ``(None, 784)``.

        Raises:
            ValueError: if a layer can't take what comes to it; then none has been built.
        """
        self.compute_output_shape(input_shape)
        self.input_shape = shape = (None, *input_shape[1:])
        for layer in self.layers:
            if not layer.built:
                layer.build(shape, self.rng)
            shape = layer.compute_output_shape(shape)

    @property
    def ops(self) -> ModuleType:
        """The operations that the backend computes with."""
        return ops.get(self.backend)

    @property
    def built(self) -> bool:
        """Whether there are layers, and all have their weights."""
        return bool(self.layers) and all(layer.built for layer in self.layers)

    @property
    def output_shape(self) -> Shape | None:
        """Shape of the output, or None as long as that of the input is not known."""
        return self._shape_after(self.layers)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output for that shape of the input.

        Raises:
            ValueError: if the model has no layers, or one that can't take what comes to it.
        """
        if not self.layers:
            raise ValueError(f"Model {self.name!r} has no layers; add one, for example Dense(10).")
        shape: Shape = (None, *input_shape[1:])
        for layer in self.layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def _shape_after(self, layers: list[Layer]) -> Shape | None:
        shape = self.input_shape
        for layer in layers:
            shape = None if shape is None else layer.compute_output_shape(shape)
        return shape

    @property
    def params(self) -> dict[str, Array]:
        """The weights themselves, not copies, as ``{'dense/W': …, 'dense/b': …, …}``."""
        return {f"{layer.name}/{key}": W for layer in self.layers for key, W in layer.params.items()}

    @property
    def grads(self) -> dict[str, Array]:
        """The gradients of the last backward pass, by the names of ``params``; the fused step keeps none."""
        return {f"{layer.name}/{key}": dW for layer in self.layers for key, dW in layer.grads.items()}

    def get_weights(self) -> list[Array]:
        """Copies of all weights, in the order of the layers, W before b."""
        return [W.copy() for W in self.params.values()]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Replace all weights.

        Args:
            weights: arrays in the order and of the shapes of ``get_weights()``.

        Raises:
            ValueError: if one is missing, too many, not numeric or of another shape; then none has been changed.
        """
        params, weights = self.params, check_list("weights", weights)
        if len(weights) != len(params):
            hint = "" if params else " Build the model first, for example by calling it on data."
            raise ValueError(f"Model {self.name!r} has {len(params)} weight arrays; got {len(weights)}.{hint}")
        new = [check_numeric(f"the weight {key!r}", W) for key, W in zip(params, weights, strict=True)]
        for (key, W), array in zip(params.items(), new, strict=True):
            if array.shape != W.shape:
                raise ValueError(f"The weight {key!r} has shape {W.shape}; got an array of shape {array.shape}.")
        for W, array in zip(params.values(), new, strict=True):
            W[...] = array

    def count_params(self) -> int:
        """Number of weights.

        Raises:
            ValueError: if the model is not built yet.
        """
        self.check_built()
        return sum(layer.count_params() for layer in self.layers)

    def check_built(self) -> None:
        """Raise a ``ValueError`` unless all layers have their weights."""
        if not self.built:
            raise ValueError(f"Model {self.name!r} has no weights yet: call it on data, or give an input_shape.")

    def __call__(self, x: ArrayLike) -> Array:
        """Output for a batch x, in one piece; the model is built if need be.

        Raises:
            ValueError: if x is not a batch of finite numbers of the right shape.
        """
        batch = self.check_inputs(x)
        self.build(batch.shape)
        return self.forward(batch).copy()  # a layer that changes nothing would hand out x itself

    def check_inputs(self, x: ArrayLike, argument: str = "x") -> Array | Pixels:
        """Return x as an array, or pixels, that the first layer can take, without copying it.

        Raises:
            ValueError: if x is not a batch of finite numbers of the right shape.
        """
        dtype = self.layers[0].dtype if self.layers else None
        array = x if isinstance(x, Pixels) else check_array(argument, x, dtype)
        self.compute_output_shape(array.shape)
        return array

    def forward(self, x: Array | Pixels, trace: dict[str, Array] | None = None) -> Array:
        """Output of the last layer for a batch x (順伝播); with a ``trace``, every layer's output goes into it."""
        out = x
        for layer in self.layers:
            out = layer.forward(out.astype(layer.dtype, copy=False))
            if trace is not None:
                trace[f"{layer.name}/out"] = out.copy()
        return np.asarray(out)

    def compute_loss(self, loss: CategoricalCrossentropy, y: Array, t: Array) -> tuple[Loss, Array]:
        """Loss of the last ``forward``, whose output was y, and what computed it.

        After a softmax that is ``SoftmaxCrossEntropy`` of the logits, never the logarithm of a probability.
        """
        last = self.layers[-1]
        softmax = last.activation == "softmax"
        criterion = loss.for_logits() if softmax else loss
        return criterion, criterion.forward(last.z if softmax else y, t)

    def trace_batch(self, loss: CategoricalCrossentropy, x: Array | Pixels, y: Array) -> dict[str, Array]:
        """Run one checked batch forward and backward, and return what ``Sequential.trace`` describes."""
        trace: dict[str, Array] = {}
        out = self.forward(x, trace)
        criterion, trace["loss"] = self.compute_loss(loss, out, loss.targets(y, out))
        self.backward(criterion, trace)
        return trace

    def backward(self, criterion: Loss, trace: dict[str, Array] | None = None) -> None:
        """Leave every layer's gradients of the loss in its ``grads`` (誤差逆伝播).

        Nothing is computed below the first layer with weights, unless a ``trace`` wants to see it.
        """
        dout: Array | None = criterion.backward()
        if trace is not None:
            trace["loss/dx"] = np.array(dout)
        trainable = [layer for layer in self.layers if layer.params]
        for layer in reversed(self.layers):
            assert dout is not None
            from_logits = layer is self.layers[-1] and layer.activation == "softmax"
            need_dx = trace is not None or (bool(trainable) and layer is not trainable[0])
            dout = layer.backward(dout.astype(layer.dtype, copy=False), from_logits=from_logits, need_dx=need_dx)
            if trace is not None:
                trace[f"{layer.name}/dx"] = np.array(dout)
                trace.update({f"{layer.name}/d{key}": grad.copy() for key, grad in layer.grads.items()})
            if not need_dx:
                return

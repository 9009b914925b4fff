"""Layers (層): each has a ``forward`` that keeps what its ``backward`` needs.

``forward(x)`` maps a batch (N, …) to the layer's output.  ``backward(dout)`` takes the gradient of the loss with
respect to that output, stores the gradients of the parameters in ``grads`` (under the keys of ``params``) and returns
``dx``, the gradient with respect to the input.  What all layers share is in ``layer.py``.

To inspect a layer during training, add a ``print`` or a breakpoint to its methods and train with
``model.compile(..., run_eagerly=True)`` or ``python -m scratch --eager``.  Without it, ``backend="numba"`` trains
models like the article's with a compiled step that does not call these methods (see ``execution.py``).
"""

import math
from typing import Any, Unpack

from numpy.typing import DTypeLike

from scratch import activations, initializers, regularizers
from scratch.activation_layers import ELU, LeakyReLU
from scratch.activations import ACTIVATIONS
from scratch.batch_normalization import BatchNormalization
from scratch.checks import check_boolean, check_integer, check_sample_shape
from scratch.dropout import Dropout
from scratch.dropped_names import renamed
from scratch.layer import Common, Layer, WeightShapes, found_instead
from scratch.reshaping import Rescaling, Reshape
from scratch.utils import Array, Shape

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "Activation",
    "BatchNormalization",
    "Common",
    "Dense",
    "Dropout",
    "Flatten",
    "Input",
    "InputLayer",
    "Layer",
    "LeakyReLU",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
]


class Input(Layer):
    """The shape of one sample, given as the first entry of a model: (N, …) → (N, …), unchanged.

    Source: ``Input`` of ``keras/src/layers/core/input_layer.py``.

    Args:
        shape: shape without the batch axis, for example ``(784,)``.
        dtype: float32 (default) or float64.
        name: name of the entry.
        batch_shape: the same with the batch axis, ``(None, 784)``, in place of ``shape``.
    """

    def __init__(
        self,
        shape: tuple[int, ...] | None = None,
        dtype: DTypeLike | None = None,
        name: str | None = None,
        *,
        batch_shape: tuple[int | None, ...] | None = None,
        **unknown: Any,
    ) -> None:
        if batch_shape is not None:
            if shape is not None or not isinstance(batch_shape, tuple | list) or tuple(batch_shape[:1]) != (None,):
                raise ValueError(f"Pass shape, or batch_shape such as (None, 784); got {shape!r} and {batch_shape!r}.")
            shape = tuple(batch_shape[1:])  # type: ignore[arg-type]
        check_sample_shape("shape", shape)  # None is allowed as the input_shape of other layers
        super().__init__(input_shape=shape, dtype=dtype, name=name, **unknown)


class InputLayer(Input):
    """``Input`` under the name of Keras's class, which also takes the shape as ``input_shape``.

    Source: ``InputLayer`` of ``keras/src/layers/core/input_layer.py``.
    """

    def __init__(
        self,
        shape: tuple[int, ...] | None = None,
        dtype: DTypeLike | None = None,
        name: str | None = None,
        *,
        input_shape: tuple[int, ...] | None = None,
        **unknown: Any,
    ) -> None:
        if shape is not None and input_shape is not None:
            raise ValueError(f"Pass shape or input_shape; got {shape!r} and {input_shape!r}.")
        super().__init__(input_shape if shape is None else shape, dtype, name, **unknown)


class Flatten(Layer):
    """Reshape each sample to one row: (N, 28, 28) → (N, 784)."""

    fused_rule = "flatten"

    def __init__(self, **common: Unpack[Common]) -> None:
        super().__init__(**common)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, a, b, …) → (N, a·b·…); None if a factor is unknown."""
        super().compute_output_shape(input_shape)
        sizes = [n for n in input_shape[1:] if n is not None]
        return input_shape[0], math.prod(sizes) if len(sizes) == len(input_shape) - 1 else None

    def forward(self, x: Array) -> Array:
        """(N, a, b, …) → (N, a·b·…)."""
        self.x_shape = x.shape
        return self.activate(x.reshape(len(x), -1))

    def backward(self, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array | None:
        """(N, a·b·…) → (N, a, b, …)."""
        del from_logits, need_dx
        return dout.reshape(self.x_shape)


class Activation(Layer):
    """An activation function (活性化関数).

    Args:
        activation: one of ``ACTIVATIONS``, or a function such as ``activations.relu``.
        **common: ``input_shape``, ``input_dim``, ``name``, ``dtype``.

    Raises:
        ValueError: if the name is unknown.
    """

    fused_rule = "activation"

    def __init__(self, activation: activations.ActivationLike, **common: Unpack[Common]) -> None:
        super().__init__(activation, **common)


class ReLU(Activation):
    """max(x, 0), as a layer."""

    fused_rule = "activation"  # declared again, since a subclass does not inherit it

    def __init__(self, **common: Unpack[Common]) -> None:
        super().__init__("relu", **common)


class Softmax(Activation):
    """Softmax over the last axis, as a layer."""

    fused_rule = "activation"  # declared again, since a subclass does not inherit it

    def __init__(self, **common: Unpack[Common]) -> None:
        super().__init__("softmax", **common)


class Dense(Layer):
    """Fully connected layer, activation(x W + b) (全結合層; the book's ``Affine``): (N, D) → (N, units).

    Args:
        units: number of outputs.
        activation: an activation function, by its name, or such as ``activations.relu``; ``None`` is the linear one.
        use_bias: whether to add b.
        kernel_initializer: initial W: a name, one of ``scratch.initializers``, or a function of ``(shape, rng)``.
        bias_initializer: initial b, likewise.
        kernel_regularizer: penalty for W in the loss, a name or one of ``scratch.regularizers``; default: none.
        bias_regularizer: penalty for b, likewise.
        **common: ``input_shape``, ``input_dim``, ``name``, ``dtype``.

    Raises:
        ValueError: if ``units`` is not a positive integer or a name is unknown.
    """

    fused_rule = "dense"
    settings = ("kernel_regularizer", "bias_regularizer")

    @renamed(output_dim="units", init="kernel_initializer", bias="use_bias", W_regularizer="kernel_regularizer")
    def __init__(
        self,
        units: int,
        activation: activations.ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: str | initializers.InitializerFunction = "glorot_uniform",
        bias_initializer: str | initializers.InitializerFunction = "zeros",
        kernel_regularizer: str | regularizers.L1L2 | type[regularizers.L1L2] | None = None,
        bias_regularizer: str | regularizers.L1L2 | type[regularizers.L1L2] | None = None,
        **common: Unpack[Common],
    ) -> None:
        self.units = check_integer("units", units)
        self.use_bias = check_boolean("use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        super().__init__(activation, **common)
        penalties = {"W": self.kernel_regularizer, "b": self.bias_regularizer if self.use_bias else None}
        self.regularizers = {key: penalty for key, penalty in penalties.items() if penalty is not None}

    @property
    def kernel(self) -> Array:
        """W under Keras's name; not a copy."""
        return self._built_parameter("W")

    @property
    def bias(self) -> Array | None:
        """The parameter b under Keras's name, not a copy; None without a bias."""
        return self._built_parameter("b") if self.use_bias else None

    def _built_parameter(self, key: str) -> Array:
        if not self.built:
            raise AttributeError(f"Layer {self.name!r} has no weights yet: call it, or its model, on data first.")
        return self.params[key]

    def weight_shapes(self, input_shape: Shape) -> WeightShapes:
        """W is (inputs, units), b is (units,), as in Keras."""
        inputs = input_shape[1]
        assert inputs is not None
        shapes = {"W": ((inputs, self.units), self.kernel_initializer)}
        return shapes | ({"b": ((self.units,), self.bias_initializer)} if self.use_bias else {})

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, D) → (N, units)."""
        if len(input_shape) != 2:
            known = self.input_shape or self.batch_input_shape or ()
            expected = f"(None, {known[1]})" if len(known) == 2 else "(None, features)"
            found = found_instead(input_shape, known, " Put Flatten() before it, or reshape the samples to rows.")
            raise ValueError(f"Layer {self.name!r} expects input of shape {expected}; got {found}")
        super().compute_output_shape(input_shape)
        return input_shape[0], self.units

    def forward(self, x: Array) -> Array:
        """(N, D) → (N, units)."""
        self.x = x
        return self.activate(self.ops.dense_forward(x, self.params["W"], self.params.get("b")))

    def backward(self, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array | None:
        """(N, units) → (N, D); ``grads`` holds dW as ``W`` and db as ``b``."""
        dz = dout if from_logits else self.activate_backward(dout)
        dx: Array | None
        dx, dW, db = self.ops.dense_backward(dz, self.x, self.params["W"], need_dx)
        self.grads = {"W": dW, "b": db} if self.use_bias else {"W": dW}
        for key, regularizer in self.regularizers.items():
            self.grads[key] = self.grads[key] + regularizer.gradient(self.params[key])
        return dx

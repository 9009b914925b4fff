"""Layers (層): each is a ``forward`` that remembers what it needs and a ``backward`` that uses it.

``forward(x)`` maps a batch (N, …) to its output.  ``backward(dout)`` takes the gradient of the loss with respect to
that output, leaves the gradients of the parameters in ``grads`` (under the keys of ``params``) and returns ``dx``, the
gradient with respect to the input.  Every layer ends in an activation, most of them in the linear one, which changes
nothing.
"""

import math
from types import ModuleType
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from scratch import initializers, ops, utils
from scratch.utils import Array, Shape, auto_name, check_array, check_integer, check_name, spawn_generator

ACTIVATIONS = ("linear", "relu", "sigmoid", "softmax", "tanh")  # ops has a _forward and a _backward for each


class Common(TypedDict, total=False):
    """The arguments that every layer takes."""

    input_shape: tuple[int, ...] | None  # shape of one sample, on a model's first layer
    name: str | None  # default: dense, dense_1, …
    dtype: DTypeLike | None  # float32 or float64; default: the model's


class Layer:
    """A step of the network.

    Attributes:
        params: the weights, by the book's names (``W``, ``b``).
        grads: their gradients after ``backward``, by the same names.
        z: after ``forward``, what went into the activation (after a softmax layer: the logits).
        out: after ``forward``, the output.
    """

    z: Array
    out: Array

    def __init__(
        self,
        activation: str | None = None,
        /,
        *,
        input_shape: tuple[int, ...] | None = None,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.activation = check_name("activation", "linear" if activation is None else activation, ACTIVATIONS)
        self.batch_input_shape = None if input_shape is None else _check_shape("input_shape", input_shape)
        self.input_shape: Shape | None = None
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}
        self._backend: str | None = None
        self._dtype = None if dtype is None else check_dtype(dtype)
        self.name = auto_name(type(self).__name__) if name is None else str(name)

    @property
    def ops(self) -> ModuleType:
        """The operations that the layer computes with: those of its model, else the reference."""
        return ops.get(self._backend or "numpy")

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """float32 or float64; all parameters, outputs and gradients of the layer have it."""
        return self._dtype or np.dtype(np.float32)

    @property
    def built(self) -> bool:
        """Whether the layer knows the shape of its input, and so has its weights."""
        return self.input_shape is not None

    def bind(self, backend: str, dtype: DTypeLike) -> None:
        """Tell the layer what its model computes with; a dtype of its own stays.

        Raises:
            ValueError: if the layer already belongs to a model with another backend.
        """
        if self._backend not in (None, backend):
            raise ValueError(f"Layer {self.name!r} belongs to a model with another backend; make a new layer.")
        self._backend = backend
        if self._dtype is None:
            self._dtype = check_dtype(dtype)

    def build(self, input_shape: Shape, rng: np.random.Generator | None = None) -> None:
        """Make the weights for inputs of ``input_shape`` (first axis: None), drawn from ``rng``."""
        self.compute_output_shape(input_shape)
        shapes = self.weight_shapes(input_shape)
        rng = rng or spawn_generator()
        for key, (shape, initializer) in shapes.items():
            W = np.asarray(initializer(shape, rng), self.dtype)
            if W.shape != shape:
                raise ValueError(f"The initializer of {key!r} in layer {self.name!r} must give {shape}; got {W.shape}.")
            self.params[key] = utils.aligned_empty(shape, W.dtype)
            self.params[key][...] = W
        self.input_shape = input_shape

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[tuple[int, ...], initializers.Initializer]]:
        """Shape and initializer of each parameter; a layer without parameters has none."""
        del input_shape
        return {}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output for that shape of the input.

        Raises:
            ValueError: if the layer can't take such an input.
        """
        expected = self.input_shape or self.batch_input_shape
        if expected is not None and input_shape[1:] != expected[1:]:
            raise ValueError(f"Layer {self.name!r} expects input of shape {expected}; got {(None, *input_shape[1:])}.")
        return input_shape

    def forward(self, x: Array) -> Array:
        """Output for a batch x; the layer remembers what ``backward`` will need."""
        return self.activate(x)

    def backward(self, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array | None:
        """Gradient with respect to the last input of ``forward``; ``grads`` is filled on the way.

        Args:
            dout: gradient with respect to the output, of its shape.
            from_logits: True if ``dout`` is already the gradient with respect to ``z``, as it is when the loss took
                the softmax and the logarithm in one step.
            need_dx: False if nobody will use the result; it may then be None.
        """
        del need_dx
        return dout if from_logits else self.activate_backward(dout)

    def activate(self, z: Array) -> Array:
        """Apply the activation function (活性化関数)."""
        self.z = z
        self.out = getattr(self.ops, f"{self.activation}_forward")(z)
        return self.out

    def activate_backward(self, dout: Array) -> Array:
        """Gradient with respect to ``z``."""
        dz: Array = getattr(self.ops, f"{self.activation}_backward")(dout, self.out)
        return dz

    def __call__(self, x: ArrayLike) -> Array:
        """Check x, build the layer if need be, and return ``forward(x)``.

        Raises:
            ValueError: if x is not a batch of finite numbers of the right shape.
        """
        batch = check_array("x", x, self.dtype)
        self.compute_output_shape((None, *batch.shape[1:]))
        if not self.built:
            self.build((None, *batch.shape[1:]))
        return self.forward(batch.astype(self.dtype, copy=False))

    def count_params(self) -> int:
        """Number of weights.

        Raises:
            ValueError: if the layer is not built yet.
        """
        if not self.built:
            raise ValueError(f"Layer {self.name!r} has no weights yet: call it, or its model, on data first.")
        return sum(p.size for p in self.params.values())


class Input(Layer):
    """The shape of one sample, given as the first entry of a model.

    Args:
        shape: shape without the samples' axis, for example ``(784,)``.
        dtype: float32 (default) or float64.
        name: a name of your own.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike | None = None, name: str | None = None) -> None:
        super().__init__(input_shape=shape, dtype=dtype, name=name)


class Flatten(Layer):
    """Unroll each sample into one row: (N, 28, 28) → (N, 784)."""

    def __init__(self, **common: Unpack[Common]) -> None:
        super().__init__(**common)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(None, a, b, …) → (None, a·b·…)."""
        super().compute_output_shape(input_shape)
        return None, math.prod(n for n in input_shape[1:] if n is not None)

    def forward(self, x: Array) -> Array:
        """(N, a, b, …) → (N, a·b·…)."""
        self.x_shape = x.shape
        return self.activate(x.reshape(len(x), -1))

    def backward(self, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array | None:
        """(N, a·b·…) → (N, a, b, …)."""
        del from_logits, need_dx
        return dout.reshape(self.x_shape)


class Activation(Layer):
    """An activation function (活性化関数) by its name.

    Args:
        activation: ``'linear'``, ``'relu'``, ``'sigmoid'``, ``'softmax'`` or ``'tanh'``.
        **common: ``input_shape``, ``name``, ``dtype``.

    Raises:
        ValueError: if the name is unknown.
    """

    def __init__(self, activation: str, **common: Unpack[Common]) -> None:
        super().__init__(check_name("activation", activation, ACTIVATIONS), **common)


class ReLU(Activation):
    """The larger of x and 0, as a layer of its own."""

    def __init__(self, **common: Unpack[Common]) -> None:
        super().__init__("relu", **common)


class Softmax(Activation):
    """Probabilities over the last axis, as a layer of its own."""

    def __init__(self, **common: Unpack[Common]) -> None:
        super().__init__("softmax", **common)


class Dense(Layer):
    """Fully connected layer, activation(x W + b) (全結合層; the book's ``Affine``): (N, D) → (N, units).

    Args:
        units: number of outputs.
        activation: name of an activation function; ``None`` is the linear one.
        use_bias: whether to add b.
        kernel_initializer: initial W, a name or a function of ``(shape, rng)``.
        bias_initializer: initial b, likewise.
        **common: ``input_shape``, ``name``, ``dtype``.

    Raises:
        ValueError: if ``units`` is not a positive whole number or a name is unknown.
    """

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: str | initializers.Initializer = "glorot_uniform",
        bias_initializer: str | initializers.Initializer = "zeros",
        **common: Unpack[Common],
    ) -> None:
        self.units = check_integer("units", units)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        super().__init__(activation, **common)

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[tuple[int, ...], initializers.Initializer]]:
        """W is (inputs, units), b is (units,), as in Keras."""
        inputs = input_shape[1]
        assert inputs is not None
        shapes = {"W": ((inputs, self.units), self.kernel_initializer)}
        return shapes | ({"b": ((self.units,), self.bias_initializer)} if self.use_bias else {})

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(None, D) → (None, units)."""
        if len(input_shape) != 2:
            expected = self.input_shape or self.batch_input_shape or "(None, features)"
            raise ValueError(
                f"Layer {self.name!r} expects input of shape {expected}; got {(None, *input_shape[1:])}. "
                "Put Flatten() before it, or reshape the samples to rows."
            )
        super().compute_output_shape(input_shape)
        return None, self.units

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
        return dx


def check_dtype(dtype: DTypeLike) -> np.dtype[np.floating]:
    """Return float32 or float64 as a dtype, or raise a ``ValueError``."""
    for known in (np.float32, np.float64):
        if dtype in (known, np.dtype(known), known.__name__):
            return np.dtype(known)
    raise ValueError(f"dtype must be 'float32' or 'float64'; got {dtype!r}.")


def _check_shape(argument: str, shape: object) -> Shape:
    """Return (None, …) for the shape of one sample."""
    if not isinstance(shape, tuple | list) or not shape:
        raise ValueError(f"{argument} must be a tuple such as (784,), the shape of one sample; got {shape!r}.")
    return None, *(check_integer(f"each entry of {argument}", n) for n in shape)

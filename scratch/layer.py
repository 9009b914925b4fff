"""``Layer``: what all layers share; ``layers.py`` has the layers themselves.

A layer maps a batch (N, …) to its output with ``forward`` and sends gradients back with ``backward``.  Every layer ends
in an activation function; the default is the linear one.

To add an activation function: write ``{name}_forward`` and ``{name}_backward`` in ``ops/numpy_ops.py`` and
``ops/numba_ops.py``, and enter the name and its function in ``activations.py``.
"""

import inspect
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, ClassVar, Self, TypedDict

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from scratch import activations, ops, utils
from scratch.checks import check_array, check_dtype, check_integer, check_sample_shape
from scratch.dropped_names import refuse_in_constructor, refuse_keras_methods
from scratch.initializers import InitializerFunction
from scratch.regularizers import L1L2
from scratch.utils import Array, Shape, auto_name

WeightShapes = dict[str, tuple[tuple[int, ...], InitializerFunction]]


def gradient_name(parameter: str) -> str:
    """Return the name that the gradient of a parameter has in a trace: ``dense/dW`` for ``dense/W``."""
    return "/d".join(parameter.rsplit("/", 1))


def found_instead(input_shape: Shape, expected: Shape, fix: str = "") -> str:
    """Return the end of an error about the shape of an input: the shape, and what to do."""
    if len(input_shape) == 1 or input_shape == expected[1:]:
        return f"{input_shape}, one sample: pass a batch, such as x[np.newaxis]."
    return f"{(None, *input_shape[1:])}.{fix if len(input_shape) > 2 else ''}"


class Common(TypedDict, total=False):
    """The arguments of every layer."""

    input_shape: tuple[int, ...] | None  # shape of one sample, for a model's first layer
    input_dim: int | None  # the same for rows: input_dim=784 is input_shape=(784,)
    name: str | None  # default: dense, dense_1, …
    dtype: DTypeLike | None  # float32 or float64; default: the model's


class Layer:
    """Base class of all layers.

    Attributes:
        params: the parameters by the book's names (``W``, ``b``).
        grads: their gradients after ``backward``, by the same names.
        state: arrays that ``forward`` changes in training, by name: weights without a gradient, such as moving
            statistics, and integers from which random masks are drawn, which Keras does not count as weights.
        z: input of the activation function in the last ``forward`` (of a softmax layer: the logits).
        out: output of the last ``forward``.
        fused_rule: how the fused training step executes this class: ``'dense'``, ``'activation'``, ``'flatten'``,
            ``'dropout'``, or None if it cannot.  A subclass does not inherit the rule: see ``scratch.fusion``.
    """

    z: Array
    out: Array
    fused_rule: ClassVar[str | None] = None
    settings: ClassVar[tuple[str, ...]] = ()  # attributes that a resumed training must have as before

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_keras_methods(cls)

    def __init__(
        self,
        activation: activations.ActivationLike = None,
        /,
        *,
        input_shape: tuple[int, ...] | None = None,
        input_dim: int | None = None,
        name: str | None = None,
        dtype: DTypeLike | None = None,
        **unknown: object,
    ) -> None:
        refuse_in_constructor(self, unknown)
        self._activation = activations.get(activation)
        if input_dim is not None:
            if input_shape is not None:
                raise ValueError(f"Pass input_shape or input_dim; got {input_shape!r} and {input_dim!r}.")
            input_shape = (check_integer("input_dim", input_dim),)
        self.batch_input_shape = None if input_shape is None else check_sample_shape("input_shape", input_shape)
        self.input_shape: Shape | None = None
        self.regularizers: dict[str, L1L2] = {}  # by the name of the parameter
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}
        self.state: dict[str, Array] = {}
        self._backend: str | None = None
        self._dtype = None if dtype is None else check_dtype(dtype)
        self.name = auto_name(type(self).__name__) if name is None else str(name)

    @property
    def name(self) -> str:
        """The name, unique in a model; as in Keras it cannot contain "/", which separates names in files."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        if "/" in str(name):
            raise ValueError(f"The name of a layer or model cannot contain '/'; got {name!r}: choose another name.")
        self._name = str(name)

    @property
    def activation(self) -> str:
        """Name of the activation function; a name, a function or None may be assigned.

        Raises:
            AttributeError: if it is assigned, and the constructor of the layer's class has no such argument.
        """
        return self._activation

    @activation.setter
    def activation(self, new: activations.ActivationLike) -> None:
        # The constructor of a user's class may pass on arguments that it does not name, such as **options.
        cls = next(c for c in type(self).__mro__ if c.__module__.partition(".")[0] == "scratch")
        if "activation" not in inspect.signature(cls).parameters:
            given = getattr(new, "__name__", new)
            raise AttributeError(
                f"The activation of the {cls.__name__} {self.name!r} cannot be changed to {given!r}; add an Activation "
                "layer after it."
            )
        self._activation = activations.get(new)

    @property
    def options(self) -> dict[str, float]:
        """Further arguments of the activation function; none by default."""
        return {}

    @property
    def ops(self) -> ModuleType:
        """The operations of the model's backend; without a model, of the NumPy reference."""
        return ops.get(self._backend or "numpy")

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """float32 or float64: the dtype of all parameters, outputs and gradients of the layer."""
        return self._dtype or np.dtype(np.float32)

    @property
    def built(self) -> bool:
        """Whether the shape of the input is known and the parameters exist."""
        return self.input_shape is not None

    @property
    def trainable(self) -> bool:
        """True: scratch trains every layer and model, and raises a ``ValueError`` if False is assigned."""
        return True

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if value is not True:
            kind = type(self).__name__
            raise ValueError(f"{kind} {self.name!r} must be trainable, as all layers are; got trainable={value!r}.")

    @property
    def trainable_weights(self) -> list[Array]:
        """The parameters themselves, not copies: W before b."""
        return list(self.params.values())

    @property
    def weights_by_name(self) -> dict[str, Array]:
        """The parameters, then the weights without a gradient, in Keras's order; not copies."""
        return self.params | {key: array for key, array in self.state.items() if array.dtype.kind == "f"}

    @property
    def weights(self) -> list[Array]:
        """The parameters, then the weights without a gradient, in Keras's order; not copies."""
        return list(self.weights_by_name.values())

    def get_weights(self) -> list[Array]:
        """Return copies of ``weights``: W before b."""
        return [W.copy() for W in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Replace the values of the weights.

        Args:
            weights: arrays in the order and with the shapes of ``get_weights()``.

        Raises:
            ValueError: if the number or a shape is wrong, or an array is not numeric; nothing is changed then.
        """
        utils.assign_weights(f"Layer {self.name!r}", self.weights_by_name, weights)

    def bind(self, backend: str, dtype: DTypeLike) -> None:
        """Set the backend and, unless the layer has its own, the dtype of the layer to those of its model.

        Raises:
            ValueError: if the layer already belongs to a model with another backend.
        """
        if self._backend not in (None, backend):
            raise ValueError(f"Layer {self.name!r} belongs to a model with another backend; create a new layer.")
        self._backend = backend
        if self._dtype is None:
            self._dtype = check_dtype(dtype)

    def build(self, input_shape: Shape, rng: np.random.Generator | None = None) -> None:
        """Create the parameters for inputs of shape (None, …), with initial values drawn from ``rng``."""
        self.compute_output_shape(input_shape)
        rng = rng or utils.spawn_generator()
        self.params |= self._initial_arrays(self.weight_shapes(input_shape), rng)
        self.state |= self._initial_arrays(self.state_shapes(input_shape), rng)
        self.input_shape = input_shape

    def _initial_arrays(self, shapes: WeightShapes, rng: np.random.Generator) -> dict[str, Array]:
        arrays = {}
        for key, (shape, initializer) in shapes.items():
            try:
                W = np.asarray(initializer(shape, rng), self.dtype)
            except ValueError as error:
                raise ValueError(f"The initializer of {key!r} in layer {self.name!r} failed: {error}") from error
            if W.shape != shape:
                raise ValueError(f"The initializer of {key!r} in layer {self.name!r} must give {shape}; got {W.shape}.")
            arrays[key] = utils.aligned_empty(shape, W.dtype)
            arrays[key][...] = W
        return arrays

    def weight_shapes(self, input_shape: Shape) -> WeightShapes:
        """Return the shape and the initializer of each parameter; none by default."""
        del input_shape
        return {}

    def state_shapes(self, input_shape: Shape) -> WeightShapes:
        """Return the shape and the initial value of each weight without a gradient; none by default."""
        del input_shape
        return {}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output for an input of that shape.

        Raises:
            ValueError: if the layer does not accept such an input.
        """
        expected = self.input_shape or self.batch_input_shape
        if expected is not None and input_shape[1:] != expected[1:]:
            found = found_instead(input_shape, expected)
            raise ValueError(f"Layer {self.name!r} expects input of shape {expected}; got {found}")
        return input_shape

    def forward(self, x: Array) -> Array:
        """Return the output for a batch x, and keep what ``backward`` needs.

        A layer that computes something else in training has a second argument, ``training=False``.
        """
        return self.activate(x)

    def backward(self, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array | None:
        """Return the gradient with respect to the input of the last ``forward``, and fill ``grads``.

        Args:
            dout: gradient with respect to the output, of the output's shape.
            from_logits: True if ``dout`` is already the gradient with respect to ``z``, as after a loss that computes
                softmax and cross-entropy in one step.
            need_dx: False if the result is not used; it may be None then.
        """
        del need_dx
        return dout if from_logits else self.activate_backward(dout)

    def penalty(self) -> float:
        """Return the sum of what the regularizers add to the loss."""
        return sum(regularizer(self.params[key]) for key, regularizer in self.regularizers.items())

    def activate(self, z: Array) -> Array:
        """Apply the activation function (活性化関数)."""
        self.z = z
        self.out = getattr(self.ops, f"{self.activation}_forward")(z, **self.options)
        return self.out

    def activate_backward(self, dout: Array) -> Array:
        """Return the gradient with respect to ``z``.

        Raises:
            ValueError: if ``dout`` does not have the shape of the output.
        """
        if dout.shape != self.out.shape:
            raise ValueError(f"Layer {self.name!r} needs a dout of shape {self.out.shape}; got {dout.shape}.")
        dz: Array = getattr(self.ops, f"{self.activation}_backward")(dout, self.out, **self.options)
        return dz

    def __call__(self, x: ArrayLike, training: bool = False) -> Array:
        """Check x, build the layer if necessary, and return ``forward(x)``.

        Args:
            x: a batch (N, …).
            training: whether to compute as in training; passed to a ``forward`` that has this argument.

        Raises:
            ValueError: if x is not a batch of finite numbers of the right shape.
        """
        if isinstance(x, Layer):
            raise ValueError(
                f"Layer {self.name!r} needs a batch of numbers; got the layer {x.name!r}: scratch has no functional "
                "API, so list the layers in a Sequential model."
            )
        batch = check_array("x", x, self.dtype)
        self.compute_output_shape(batch.shape)
        if not self.built:
            self.build((None, *batch.shape[1:]))
        return self.forward(np.asarray(batch, self.dtype), **utils.accepted(self.forward, training=training))

    def detached(self) -> Self:
        """Return a copy that shares the parameters and nothing else: its ``forward`` changes nothing in this layer.

        A layer with a method that was replaced on this object returns itself: the copy would call a method of this one.
        """
        if not vars(self).keys().isdisjoint(("forward", "backward", "activate", "activate_backward")):
            return self
        copy = object.__new__(type(self))
        vars(copy).update(vars(self), state={key: array.copy() for key, array in self.state.items()})
        return copy

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as the config of Keras's layer, without weights.

        A subclass with further arguments extends the dict.

        Raises:
            ValueError: if Keras does not support a value, such as an initializer that is a function of the user.
        """
        from scratch.saving import config  # a module above this one: its table has all layers

        return config.write_layer_config(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return a new layer with the arguments that ``get_config`` returned, in scratch or in Keras.

        Raises:
            ValueError: if scratch does not support a value.
            TypeError: if there is an unknown argument.
        """
        from scratch.saving.config import read_layer_config

        return cls(**read_layer_config(cls, config))

    def count_params(self) -> int:
        """Return the number of scalars in all weights.

        Raises:
            ValueError: if the layer is not built yet.
        """
        if not self.built:
            raise ValueError(f"Layer {self.name!r} has no weights yet: call it, or its model, on data first.")
        return sum(W.size for W in self.weights)

    def __repr__(self) -> str:
        shapes = "not built"
        if self.input_shape is not None:
            ends = self.input_shape, self.compute_output_shape(self.input_shape)
            shapes = " → ".join(" × ".join(map(str, shape[1:])) for shape in ends)
        activation = "" if self.activation == "linear" else f", {self.activation}"
        return f"<{type(self).__name__} {self.name}: {shapes}{activation}>"

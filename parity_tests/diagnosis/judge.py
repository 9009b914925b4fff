"""What is right: Keras's numbers for a situation or a step, and the bounds of the error model beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import keras
import numpy as np

import keras_impl
from keras_impl.frameworks import FRAMEWORK, as_graph, floatx, to_numpy
from parity_tests.diagnosis.observe import Step
from parity_tests.diagnosis.situations import Situation
from parity_tests.reference.bounded_network import BoundedNetwork, LayerSpec
from parity_tests.reference.error_model import Bounded, Rounding, exact
from parity_tests.reference.losses import SOFTMAX_CROSS_ENTROPY
from parity_tests.reference.sgd import SGDSettings

Array = np.ndarray


@dataclass(frozen=True)
class Architecture:
    """What kind of network is tested.

    Attributes:
        sizes: inputs, then the units of each Dense layer.
        activations: the activation of each Dense layer; the last one is softmax, or linear for logits.
        dtype: ``'float32'`` or ``'float64'``.
        settings: settings of SGD; the learning rate is given with each step.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    dtype: str
    settings: SGDSettings = field(default_factory=SGDSettings)

    @property
    def parameters(self) -> list[str]:
        """Names of the weights: dense_0/W, dense_0/b, …."""
        return [f"dense_{i}/{key}" for i in range(len(self.activations)) for key in "Wb"]


def bounded_network(architecture: Architecture, weights: Sequence[Array]) -> BoundedNetwork:
    """Return the right network in float64, with bounds for the dtype of the architecture."""
    specs = [LayerSpec(f"dense_{i}", "Dense", kind) for i, kind in enumerate(architecture.activations)]
    params = {name: exact(W) for name, W in zip(architecture.parameters, weights, strict=True)}
    rounding = Rounding(architecture.dtype)
    return BoundedNetwork(specs, params, rounding, SOFTMAX_CROSS_ENTROPY, True, architecture.settings)


class BoundedStep(NamedTuple):
    """The right weights after a step and the right gradients of it, by parameter, with their bounds."""

    weights: dict[str, Bounded]
    gradients: dict[str, Bounded]


def bounded_steps(architecture: Architecture, steps: Sequence[Step]) -> list[BoundedStep]:
    """Return what is right for each step, computed from the observed weights before it."""
    network, found = bounded_network(architecture, steps[0].before), []
    for step in steps:
        exact_weights = dict(zip(network.params, step.before, strict=True))
        network = network.with_weights(exact_weights, {name: np.zeros_like(W) for name, W in exact_weights.items()})
        network.settings = architecture.settings._replace(learning_rate=step.rate)
        with np.errstate(all="ignore"):  # a network that diverges
            trace = network.step(step.x, step.t)
        found.append(BoundedStep(network.params, {name: trace["/d".join(name.split("/"))] for name in network.params}))
    return found


@lru_cache(maxsize=8)
def keras_model(architecture: Architecture) -> keras.Sequential:
    """Return the same network in Keras, compiled; one model for each architecture, because compiling takes a second."""
    dtype, activations = architecture.dtype, architecture.activations
    with floatx(dtype):
        layers = [
            keras.layers.Dense(units, activation, name=f"dense_{i}", dtype=dtype)
            for i, (units, activation) in enumerate(zip(architecture.sizes[1:], activations, strict=True))
        ]
        model = keras.Sequential([keras.Input((architecture.sizes[0],), dtype=dtype), *layers])
        loss = keras.losses.CategoricalCrossentropy(from_logits=activations[-1] == "linear", dtype=dtype)
        settings = architecture.settings._asdict()  # Keras converts Python's floats through float32, also to float64
        settings |= {name: np.float64(value) for name, value in settings.items() if type(value) is float}
        model.compile(keras.optimizers.SGD(**settings), loss)
    return model


def keras_trace(architecture: Architecture, situation: Situation) -> dict[str, Array]:
    """Return Keras's tensors in a situation.

    Keras on JAX and torch has no float64, and clips the probabilities of a softmax (keras issue 17634): there the
    float64 reference stands in for Keras on TensorFlow, with which it agrees within its bounds.
    """
    if FRAMEWORK != "tensorflow":
        trace = bounded_network(architecture, situation.weights).trace(situation.x, situation.t)
        return {name: tensor.value for name, tensor in trace.items()}
    model, batch = keras_model(architecture), situation.astype(architecture.dtype)
    model.set_weights(situation.weights)
    return keras_impl.trace(model, batch.x, batch.t)


@lru_cache(maxsize=8)
def keras_step(model: keras.Sequential) -> Callable[..., list[Any]]:
    """Return a graph of one training step on TensorFlow, which is several times faster than ``train_on_batch``.

    Args:
        model: a compiled model.

    Returns:
        A function that takes tensors x, t, the learning rate and the weights before the step, all of the model's dtype,
        and returns the weights after the step.
    """
    import tensorflow as tf

    model.optimizer.build(model.trainable_variables)

    def step(x: Any, t: Any, rate: Any, *weights: Any) -> list[Any]:
        for variable, W in zip(model.weights, weights, strict=True):
            variable.assign(W)
        model.optimizer.learning_rate = rate
        model.train_step((x, t))
        return [W.value for W in model.weights]

    shapes = [model.input_shape, model.output_shape, (), *(W.shape for W in model.weights)]
    return as_graph(step, *(tf.TensorSpec(shape, model.inputs[0].dtype) for shape in shapes))


def keras_steps(architecture: Architecture, steps: Sequence[Step]) -> list[list[Array]]:
    """Return Keras's weights after each step, from the observed weights before it; see ``keras_trace``."""
    if FRAMEWORK != "tensorflow":
        return [[W.value for W in step.weights.values()] for step in bounded_steps(architecture, steps)]
    model, dtype = keras_model(architecture), architecture.dtype
    with floatx(dtype):
        take_step = keras_step(model)
        for variable in model.optimizer.variables:  # velocities and iterations of an earlier network
            variable.assign(keras.ops.zeros_like(variable))
        found = []
        for step in steps:
            arrays = (np.asarray(array, dtype) for array in (step.x, step.t, step.rate, *step.before))
            found.append([to_numpy(W) for W in take_step(*map(keras.ops.convert_to_tensor, arrays))])
    return found

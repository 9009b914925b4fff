"""``inspect``: every tensor of one SGD step on one digit, from its pixels to the updated weights.

``Sequential.trace`` has the tensors of the forward and the backward pass.  The lab adds the input, the target, the
parameters, the input of an activation that is part of its layer (``z`` and its gradient ``dz``), and the parameters
after the optimizer's update.
"""

from dataclasses import dataclass

import numpy as np

from scratch.lab.states import State, network_at, updated_params
from scratch.lab.texts import LabError
from scratch.layer import Layer, gradient_name
from scratch.models import Sequential
from scratch.ops.numpy_ops import softmax_forward
from scratch.utils import Array


@dataclass(frozen=True)
class Tensor:
    """A tensor of the step.

    Attributes:
        name: such as ``dense/out``.
        kind: ``input``, ``target``, ``parameter``, ``forward``, ``loss``, ``backward``, ``gradient`` or ``update``.
        layer: the name of its layer; empty if it belongs to none.
        value: the exact values.
    """

    name: str
    kind: str
    layer: str
    value: Array


@dataclass(frozen=True)
class Inspection:
    """The tensors of one step, and what computed them.

    Attributes:
        tensors: by name, in the order of computation.
        network: the network of the state, whose layers hold the tensors of the forward pass.
        state: the inspected state.
        y: the targets as the loss takes them.
        of_logits: whether the loss was computed from the logits of the last activation.
    """

    tensors: dict[str, Tensor]
    network: Sequential
    state: State
    y: Array
    of_logits: bool

    def __getitem__(self, name: object) -> Array:
        """Return the values of a tensor, or raise a ``LabError``."""
        if not isinstance(name, str) or name not in self.tensors:
            raise LabError("unknown tensor", name=name)
        value: Array = self.tensors[name].value
        return value

    @property
    def probabilities(self) -> Array:
        """The probability of each class (C,)."""
        last = self.network.layers[-1]
        out = self[f"{last.name}/out"]
        probabilities: Array = softmax_forward(out) if last.activation == "linear" else out
        return probabilities.reshape(-1)


def inspect(model: Sequential, state: State, x: Array, y: Array) -> Inspection:
    """Run one step on a batch with the parameters of a state; neither is changed.

    Args:
        model: the compiled model.
        state: whose parameters and optimizer are used.
        x: samples (N, …) from 0 to 1.
        y: their targets, as the model's loss requires.
    """
    network = network_at(model, state)
    samples, targets = network.check_data(x, y, "trace")
    loss, _ = network.loss_and_optimizer("trace")
    with np.errstate(over="ignore", invalid="ignore"):
        trace = network.trace_batch(loss, samples, targets)
        last, of_logits = network.layers[-1], network.loss_of_logits(loss) is not None
        t = loss.smooth(loss.targets(targets, last.out.shape[1], last.out.dtype))
        updated, _ = updated_params(network, trace)
    found = [Tensor("x", "input", "", np.asarray(samples)), Tensor("t", "target", "", t)]
    for layer in network.layers:
        found += [Tensor(f"{layer.name}/{key}", "parameter", layer.name, W) for key, W in layer.params.items()]
        if has_inner_activation(layer):
            found.append(Tensor(f"{layer.name}/z", "forward", layer.name, layer.z))
        found.append(Tensor(f"{layer.name}/out", "forward", layer.name, trace[f"{layer.name}/out"]))
    found.append(Tensor("loss", "loss", "", trace["loss"]))
    found.append(Tensor("loss/dx", "backward", "", trace["loss/dx"]))
    dout = trace["loss/dx"]
    for layer in reversed(network.layers):
        if has_inner_activation(layer):
            dz = dout if layer is last and of_logits else layer.activate_backward(dout)
            found.append(Tensor(f"{layer.name}/dz", "backward", layer.name, dz))
        dout = trace[f"{layer.name}/dx"]
        found.append(Tensor(f"{layer.name}/dx", "backward", layer.name, dout))
        names = [gradient_name(f"{layer.name}/{key}") for key in layer.params]
        found += [Tensor(name, "gradient", layer.name, trace[name]) for name in names]
    for layer in network.layers:
        names = [f"{layer.name}/{key}" for key in layer.params]
        found += [Tensor(f"{name}_new", "update", layer.name, updated[name]) for name in names]
    return Inspection({tensor.name: tensor for tensor in found}, network, state, targets, of_logits)


def has_inner_activation(layer: Layer) -> bool:
    """Return whether a layer with parameters applies an activation itself, so that its z is no layer's output."""
    return bool(layer.params) and layer.activation != "linear"

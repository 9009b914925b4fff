"""``State``: the weights of a training at one moment, and a network that computes with them.

The lab never inspects the network that is being trained: it copies the weights while the model's lock is held, and
computes on a detached copy of the model that uses them.  So looking, also at an earlier snapshot, changes no bit of the
training.
"""

import copy
from dataclasses import dataclass, field

from scratch.layer import gradient_name
from scratch.models import Sequential
from scratch.optimizers import Optimizer
from scratch.utils import Array, set_random_seed, spawn_generator


@dataclass(frozen=True)
class State:
    """A training at one moment.

    Attributes:
        id: number of the snapshot; -1 for a state that is not kept.
        epoch: complete epochs.
        step: complete steps of the current epoch.
        params: the parameters of each layer, copied.
        layer_states: what ``forward`` changes in training, of each layer, copied.
        optimizer: a copy of the optimizer.
        loss: mean of the loss over the current epoch so far; None before the first step.
        accuracy: likewise.
    """

    id: int
    epoch: int
    step: int
    params: list[dict[str, Array]] = field(repr=False)
    layer_states: list[dict[str, Array]] = field(repr=False)
    optimizer: Optimizer = field(repr=False)
    loss: float | None = None
    accuracy: float | None = None


def copy_optimizer(optimizer: Optimizer) -> Optimizer:
    """Return an independent copy of an optimizer, which belongs to no model."""
    return copy.deepcopy(optimizer)


def take_state(model: Sequential, number: int, epoch: int, step: int, logs: dict[str, float] | None = None) -> State:
    """Return the present state of a model, between two training steps.

    Args:
        model: the compiled model.
        number: the ``id`` of the state.
        epoch: complete epochs.
        step: complete steps of the current epoch.
        logs: running means of the current epoch.
    """
    with model.reading():
        assert model.optimizer is not None
        params, layer_states = (
            [{key: array.copy() for key, array in arrays.items()} for arrays in of_layers]
            for of_layers in ([layer.params for layer in model.layers], [layer.state for layer in model.layers])
        )
        optimizer = copy_optimizer(model.optimizer)
    logs = logs or {}
    return State(number, epoch, step, params, layer_states, optimizer, logs.get("loss"), logs.get("accuracy"))


def network_at(model: Sequential, state: State) -> Sequential:
    """Return a network with the layers of a model and the parameters of a state, independent of the model."""
    network = model.detached()
    for layer, params, layer_state in zip(network.layers, state.params, state.layer_states, strict=True):
        layer.params, layer.state = dict(params), {key: array.copy() for key, array in layer_state.items()}
    network.optimizer = state.optimizer
    return network


def renew(model: Sequential, optimizer: Optimizer, seed: int) -> None:
    """Draw new weights as a new model with that seed does, and give the model's optimizer the state of another one.

    A learning rate that follows no schedule stays as it is.
    """
    set_random_seed(seed)
    with model.reading():
        changed = model.optimizer
        assert changed is not None
        rate = changed.learning_rate
        vars(changed).update(vars(copy_optimizer(optimizer)), owner=model)
        if changed.schedule is None:
            changed.learning_rate = rate
        model.rng = spawn_generator()
        for layer in model.layers:
            assert layer.input_shape is not None
            layer.build(layer.input_shape, model.rng)


def updated_params(network: Sequential, trace: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the parameters after the optimizer's update, and their gradients, by name; the network stays as it is.

    Args:
        network: what ``network_at`` returned.
        trace: of a batch.
    """
    assert network.optimizer is not None
    updated = {name: W.copy() for name, W in network.params.items()}
    grads = {name: trace[gradient_name(name)] for name in updated}
    copy_optimizer(network.optimizer).update(updated, grads)
    return updated, grads

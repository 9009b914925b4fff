"""The training steps of a program on Keras and on scratch, compared after each step, with the bound of that step.

``KerasSteps`` and ``ScratchSteps`` record, for each step of a program, what was there before and after it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from keras_impl.frameworks import to_numpy
from parity_tests.reference.error_model import Array
from parity_tests.reference.models import Batch, Snapshot, States, snapshot
from scratch import Sequential
from scratch.callbacks import Callback

Row = tuple[str, float, float]  # name, difference and bound


class KerasStep(NamedTuple):
    """A batch, and the weights and the states of the optimizer before and after the step."""

    batch: Batch
    before: list[Array]
    states: States
    after: list[Array]
    states_after: States


class ScratchStep(NamedTuple):
    """The model before and after the step."""

    before: Snapshot
    after: Snapshot


class KerasSteps(list[KerasStep]):
    """Records every call of ``train_step`` on TensorFlow, where a model runs eagerly."""

    def record(self, patch: pytest.MonkeyPatch) -> None:
        original = keras.Sequential.train_step

        def train_step(model: Any, data: Any) -> Any:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            batch = Batch(to_numpy(x), to_numpy(y), None if sample_weight is None else to_numpy(sample_weight))
            before, states = model.get_weights(), states_of(model)
            logs = original(model, data)
            self.append(KerasStep(batch, before, states, model.get_weights(), states_of(model)))
            return logs

        patch.setattr(keras.Sequential, "train_step", train_step)


def states_of(model: Any) -> States:
    """Return the states of the optimizer of a Keras model: its variables after iterations and learning rate."""
    return [to_numpy(variable).copy() for variable in model.optimizer.variables[2:]]


class ScratchSteps(list[ScratchStep]):
    """Records every step of ``fit``, by a callback, and of ``train_on_batch``."""

    def record(self, patch: pytest.MonkeyPatch) -> None:
        steps, fit, train_on_batch = self, Sequential.fit, Sequential.train_on_batch

        class Recorder(Callback):
            """Begins and ends a step with each batch."""

            def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
                self.before = snapshot(self.model)

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                steps.append(ScratchStep(self.before, snapshot(self.model)))

        def fit_recorded(model: Any, *arguments: Any, callbacks: Any = (), **named: Any) -> Any:
            return fit(model, *arguments, callbacks=[*callbacks, Recorder()], **named)

        def train_recorded(model: Any, x: Array, *arguments: Any, **named: Any) -> Any:
            model.build(np.shape(x))
            before = snapshot(model)
            found = train_on_batch(model, x, *arguments, **named)
            steps.append(ScratchStep(before, snapshot(model)))
            return found

        patch.setattr(Sequential, "fit", fit_recorded)
        patch.setattr(Sequential, "train_on_batch", train_recorded)


def step_differences(ours: ScratchSteps, theirs: KerasSteps) -> Iterator[Row]:
    """Yield a row for each weight and each state of the optimizer after each step, where it is nearest to its bound.

    Weights that Keras has not changed since the step before must not have changed in scratch, either.
    """
    assert len(ours) == len(theirs) > 0
    for number, (our, their) in enumerate(zip(ours, theirs, strict=True), 1):
        if number > 1:
            last, weights = ours[number - 2].after.weights, our.before.weights
            kept = all(map(np.array_equal, theirs[number - 2].after, their.before))
            for name, previous in zip(weights, last.values(), strict=True) if kept else ():
                yield f"before step {number}, {name}", float(np.abs(weights[name] - previous).max()), 0.0
        for name, difference, bound in _differences_after(our, their):
            yield f"after step {number}, {name}", difference, bound


def _differences_after(our: ScratchStep, their: KerasStep) -> Iterator[Row]:
    before = our.before
    keras_before = dict(zip(before.weights, their.before, strict=True))
    # Keras creates the states in the first step.
    network = before.step(their.batch, keras_before, their.states or before.states)
    for (name, W), V in zip(our.after.weights.items(), their.after, strict=True):
        d = np.abs(before.weights[name] - keras_before[name])
        yield name, *_worst(W, V, network.difference_after(name, d))
    for (name, key), v, u in zip(before.state_order, our.after.states, their.states_after, strict=True):
        yield f"{name} of {key}", *_worst(v, u, 2 * network.state[key][name].bound)


def _worst(ours: Array, theirs: Array, bound: Array) -> tuple[float, float]:
    difference = np.abs(ours.astype(np.float64) - theirs)
    worst = np.argmax(difference - bound)
    return float(difference.flat[worst]), float(bound.flat[worst])

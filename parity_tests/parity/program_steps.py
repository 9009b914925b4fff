"""The training steps of a program on Keras and on scratch, held side by side to what each step may add.

``KerasSteps`` and ``ScratchSteps`` record, for each step of a program, what was there before and after it.
"""

import copy
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


class KerasStep(NamedTuple):
    """A batch, the weights before and after the step, and the states of the optimizer before it."""

    batch: Batch
    before: list[Array]
    states: States
    after: list[Array]


class ScratchStep(NamedTuple):
    """The model before the step, and its weights after it."""

    before: Snapshot
    after: list[Array]


class KerasSteps(list[KerasStep]):
    """Records every call of ``train_step`` on TensorFlow, where a model runs eagerly."""

    def record(self, patch: pytest.MonkeyPatch) -> None:
        original = keras.Sequential.train_step

        def train_step(model: Any, data: Any) -> Any:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            batch = Batch(to_numpy(x), to_numpy(y), None if sample_weight is None else to_numpy(sample_weight))
            before, states = model.get_weights(), [to_numpy(v) for v in model.optimizer.variables]
            logs = original(model, data)
            self.append(KerasStep(batch, before, states[2:], model.get_weights()))  # after iterations and learning rate
            return logs

        patch.setattr(keras.Sequential, "train_step", train_step)


class ScratchSteps(list[ScratchStep]):
    """Records every step of ``fit``, by a callback, and of ``train_on_batch``."""

    def record(self, patch: pytest.MonkeyPatch) -> None:
        steps, fit, train_on_batch = self, Sequential.fit, Sequential.train_on_batch

        class Recorder(Callback):
            """Begins and ends a step with each batch."""

            def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
                self.before = snapshot(self.model)

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                steps.append(ScratchStep(self.before, self.model.get_weights()))

        def fit_recorded(model: Any, *arguments: Any, callbacks: Any = (), **named: Any) -> Any:
            return fit(model, *arguments, callbacks=[*callbacks, Recorder()], **named)

        def train_recorded(model: Any, x: Array, *arguments: Any, **named: Any) -> Any:
            model.build(np.shape(x))
            before = snapshot(model)
            found = train_on_batch(model, x, *arguments, **named)
            steps.append(ScratchStep(before, model.get_weights()))
            return found

        patch.setattr(Sequential, "fit", fit_recorded)
        patch.setattr(Sequential, "train_on_batch", train_recorded)


def step_differences(ours: ScratchSteps, theirs: KerasSteps) -> Iterator[tuple[str, float, float]]:
    """Yield name, difference and bound of each weight after each step, where their quotient is largest."""
    assert len(ours) == len(theirs) > 0
    for number, (our, their) in enumerate(zip(ours, theirs, strict=True), 1):
        names = list(our.before.weights)
        keras_before = dict(zip(names, their.before, strict=True))
        states = their.states or copy.copy(our.before.states)  # Keras creates them in the first step
        network = our.before.step(their.batch, keras_before, states)
        for name, W, V in zip(names, our.after, their.after, strict=True):
            d = np.abs(our.before.weights[name] - keras_before[name])
            difference = np.abs(W.astype(np.float64) - V)
            bound = network.difference_after(name, d)
            worst = np.argmax(difference - bound)
            yield f"step {number}, {name}", float(difference.flat[worst]), float(bound.flat[worst])

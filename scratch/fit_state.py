"""``FitState``: everything that changes during ``fit``, which ``BackupAndRestore`` saves and restores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scratch.callbacks import Callback, Logs
from scratch.checks import check_integer, check_number
from scratch.network import Network
from scratch.utils import assign_weights


@dataclass
class FitState:
    """State of a running ``fit``: everything that a resumed run needs to end with the same bits.

    Attributes:
        model: the model that is trained.
        data: arrays that are trained and validated on, by name; or a generator or data set, as ``batches``.
        batch_size: samples per step.
        shuffle: whether every epoch has a new order of the samples.
        callbacks: all callbacks of this ``fit``.
        options: other arguments of ``fit`` that change what is trained or reported, as texts by name.
        epoch: current epoch, from 0.
        step: number of complete steps in this epoch.
        offset: number of batches of the current pass over the samples that earlier epochs have trained on: 0, except
            with ``steps_per_epoch``.
        logs: running means after these steps.
        validating: whether the validation after the epoch is running.
        nonfinite_loss_reported: whether the warning about a loss that is not finite has been given.
        generator: state of the model's generator before it draws the order of this epoch, or pass.
    """

    model: Network
    data: dict[str, Any]
    batch_size: int
    shuffle: bool
    callbacks: Sequence[Callback]
    epoch: int
    step: int = 0
    offset: int = 0
    logs: Logs = field(default_factory=dict)
    validating: bool = False
    nonfinite_loss_reported: bool = False
    generator: Any = None
    options: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.generator = self.model.rng.bit_generator.state

    @property
    def place(self) -> str:
        """The current batch or validation, for messages."""
        epoch = f"epoch {self.epoch + 1}"
        return f"validation after {epoch}" if self.validating else f"{epoch}, batch {self.step + 1}"

    def begin_epoch(self) -> None:
        """Record the generator before the order is drawn."""
        if self.offset == 0:
            self.generator = self.model.rng.bit_generator.state

    def end_epoch(self, offset: int) -> None:
        """Advance to the beginning of the next epoch, which begins with that batch of a pass."""
        self.epoch, self.step, self.offset = self.epoch + 1, 0, offset
        if offset == 0:
            self.generator = self.model.rng.bit_generator.state

    def get_state(self) -> dict[str, Any]:
        """Return the complete state of the training as numbers, texts, lists, dicts and arrays."""
        model, optimizer = self.model, self.model.optimizer
        assert optimizer is not None
        return {
            "epoch": self.epoch,
            "step": self.step,
            "offset": self.offset,
            "logs": self.logs,
            "stopped": model.stop_training,
            "weights": [*model.params.values(), *model.state.values()],
            "velocities": optimizer.state_arrays(model.params),  # any state: the key is that of version 0.1
            "iterations": optimizer.iterations,
            "learning_rate": optimizer.learning_rate if optimizer.schedule is None else None,
            "generator": self.generator,
            "means": [mean.get_state() for mean in model.running_means()],
            "callbacks": [callback.get_state() for callback in self.stateful_callbacks()],
        }

    def set_state(self, state: dict[str, Any], epochs: int) -> None:
        """Restore what ``get_state`` returned.

        Args:
            state: the complete state.
            epochs: the ``epochs`` of this ``fit``; a run that a callback had stopped continues after the last epoch.
        """
        model, optimizer = self.model, self.model.optimizer
        assert optimizer is not None
        with model.lock:
            assign_weights(f"Model {model.name!r}", model.params | model.state, state["weights"])
        # Version 0.1 saved None for a velocity that did not exist.
        optimizer.set_state_arrays(model.params, [v for v in state["velocities"] if v is not None])
        optimizer.iterations = check_integer("iterations", state["iterations"], minimum=0)
        if optimizer.schedule is None:
            optimizer.learning_rate = check_number("learning_rate", state["learning_rate"])
        model.rng.bit_generator.state = self.generator = state["generator"]
        for mean, saved in zip(model.running_means(), state["means"], strict=False):
            if isinstance(saved, list):  # version 0.1 saved total and count, and nothing before the first step
                saved = dict(zip(("total", "count"), saved, strict=True))
            check_number("count", saved["count"])
            mean.set_state(saved)
        for callback, saved in zip(self.stateful_callbacks(), state["callbacks"], strict=True):
            callback.set_state(saved)
        self.epoch, self.step = (check_integer(name, state[name], minimum=0) for name in ("epoch", "step"))
        self.offset = check_integer("offset", state.get("offset", 0), minimum=0)  # version 0.1 had none
        self.logs = {name: float(value) for name, value in state["logs"].items()}
        self.nonfinite_loss_reported = not all(map(math.isfinite, self.logs.values()))
        if state["stopped"]:
            self.epoch = epochs

    def stateful_callbacks(self) -> list[Callback]:
        """Return the callbacks that have a state of their own to save."""
        return [callback for callback in self.callbacks if type(callback).get_state is not Callback.get_state]

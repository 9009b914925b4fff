"""``Training``: the model's ``fit`` in a thread of its own, which can be paused between any two steps.

The thread runs ``fit`` itself, so what is trained here ends with the bits that ``fit`` gives without a lab:

- a callback waits before a step while the training is paused or limited in speed;
- ``PacedSteps`` wraps the train function of ``fit`` and lets it take as many steps per call as are asked for, one in
  slow motion and many at full speed, which changes no bit (see ``execution.py``);
- pictures for the page are made between two calls, from copies of the weights, and at most for a twentieth of the time.
"""

import contextlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from scratch.callbacks import BackupAndRestore, Callback, Logs
from scratch.callbacks.callback import may_skip_batches
from scratch.execution import Steps
from scratch.files import FileError
from scratch.lab.curves import Curves
from scratch.lab.pacing import Pace, pace_fit
from scratch.lab.snapshots import Snapshots
from scratch.lab.states import State, renew, take_state
from scratch.lab.texts import LabError
from scratch.models import Sequential
from scratch.utils import Array

BATCH_SIZE = 100  # samples per step, as in the article
ENDLESS = 1_000_000  # epochs
SHARE = 20  # a frame is made when this multiple of the last one's time has passed
LONGEST = 1.0  # seconds between two frames, on a machine that is busy with something else
SLOW_FRAME = 0.05  # seconds between two frames of a training that is limited in speed
PAUSED, PLAYING, STOPPED = "paused", "playing", "stopped"


class _EndedError(Exception):
    """Ends ``fit`` before a step."""


class NonFiniteError(Exception):
    """The loss of a batch is not finite; raised before the update."""


class Training(Pace):
    """The training of a lab.

    Args:
        model: the compiled model, which is changed.
        train: samples and targets of ``fit``.
        test: samples and targets that are evaluated after each epoch.
        make_frame: returns what the page shows of a state, given the initial one; called in the training's thread.
        changed: called after ``status`` or ``frame`` has changed, in any thread.
        backup: saves the state regularly and at each pause, so that a killed lab can be resumed.

    Attributes:
        state: ``paused``, ``playing`` or ``stopped``, after an error: the loss of a batch is not finite, for example.
        reason: why it has stopped.
        frame: the last frame: a number that grows with each, the state, and what ``make_frame`` returned.
        frame_wanted: whether a tab waits for a frame.
        initial: the state before the first step.
        started: set when the training waits before its first step, or has failed before it.
    """

    def __init__(
        self,
        model: Sequential,
        train: tuple[Any, Array],
        test: tuple[Any, Array],
        make_frame: Callable[[State, State], Any],
        changed: Callable[[], None],
        backup: BackupAndRestore | None = None,
    ) -> None:
        self.trained, self.data, self.test = model, train, test
        self.make_frame, self.changed = make_frame, changed
        self.steps_per_epoch = math.ceil(len(train[0]) / BATCH_SIZE)
        self.backup = backup
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self.frame_wanted, self.curves = False, Curves()
        self.frame: tuple[int, State, Any] | None = None
        model.warn_nonfinite_loss = self._stop_at_nonfinite  # type: ignore[method-assign]
        pace_fit(model, self)
        self._begin()

    def _begin(self) -> None:
        """Forget an earlier training, and start the thread, which waits before the first step."""
        self.state = PAUSED
        self.reason: LabError | None = None
        self._remaining, self._interval, self._next_step, self._next_frame = 0.0, 0.0, 0.0, 0.0
        self.epoch = self.step = 0
        self.logs: Logs = {}
        self.curves, self.snapshots = Curves(self.curves.generation + 1), Snapshots()
        self.initial = take_state(self.trained, -1, 0, 0)
        self._ending, self.started = False, threading.Event()
        self._thread = threading.Thread(target=self._run, name="training", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        callbacks: list[Callback] = [self, self.backup] if self.backup else [self]
        try:
            self.trained.fit(*self.data, BATCH_SIZE, ENDLESS, verbose=0, callbacks=callbacks, validation_data=self.test)
        except _EndedError:
            return
        except NonFiniteError as error:
            self.reason = error.args[0]
        except Exception as error:
            self.reason = LabError("failed", error=f"{type(error).__name__}: {error}")
        self.state = STOPPED
        self.started.set()
        self._publish()

    # Called by fit, in the training's thread.

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch, and the values before it, which a resumed training has too."""
        fit_state = self.trained.fit_state
        self.epoch, self.step, self.logs = epoch, 0, dict(fit_state.logs) if fit_state else {}

    @may_skip_batches
    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Wait while the training is paused, and until the time of the next step."""
        self.step = batch
        if self.snapshots.is_due(self.epoch, self.step):
            self._keep_snapshot()
        is_shown = False
        while not self._ending:
            if self._remaining < 1 and not (is_shown and self.state == PAUSED):
                self._pause()
                is_shown = True
            with self._condition:
                wait = self._next_step - time.perf_counter()
                if self._remaining >= 1 and wait <= 0:
                    self.state, self._next_step = PLAYING, time.perf_counter() + self._interval
                    return
                if not self._ending and (self._remaining >= 1 or self.state == PAUSED):
                    self._condition.wait(wait if self._remaining >= 1 else None)
        self._save()
        raise _EndedError

    @may_skip_batches
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Make a frame if a tab waits for one and its turn has come."""
        self.step, self.logs = batch + 1, dict(logs or {})
        if self.frame_wanted and self._remaining >= 1 and time.perf_counter() >= self._next_frame:
            self._publish()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the epoch; a goal of one epoch is reached before the next begins."""
        self.curves.end_epoch(epoch, dict(logs or {}))

    def steps_of_call(self, most: int) -> int:
        """Return how many steps the next call may take: one in slow motion, at most what is left of a goal."""
        return 1 if self._interval else max(1, int(min(most, self._remaining)))

    def record(self, steps: Steps) -> None:
        """Count the steps of a call, and note their loss and accuracy."""
        labels = steps.y if steps.y.ndim == 1 else steps.y.argmax(axis=1)
        accuracy = float((steps.out.argmax(axis=1) == labels).mean())
        self.curves.add(len(steps.losses), float(np.mean(steps.losses)), accuracy)
        with self._condition:
            self._remaining -= len(steps.losses)

    def _stop_at_nonfinite(self, x: Any, y: Array) -> None:
        """Replace the warning of ``fit``: end it before the update, and name the first tensor that is not finite."""
        fit_state = self.trained.fit_state
        with np.errstate(over="ignore", invalid="ignore"):
            tensor = self.trained.first_nonfinite(x, y)
        raise NonFiniteError(LabError("nonfinite", place=fit_state.place if fit_state else "", tensor=tensor))

    def _pause(self) -> None:
        with self._condition:
            if self._remaining >= 1:
                return
            self.state = PAUSED
        if self.snapshots.last_place != (self.epoch, self.step):
            self._keep_snapshot()
            self._save()
        self.started.set()
        self._publish()
        self._next_frame = 0  # a paused training has time

    def _save(self) -> None:
        """Write a backup; a full disk ends neither the training nor the lab."""
        if self.backup is not None:
            with contextlib.suppress(FileError):
                self.backup.save()

    def get_state(self) -> dict[str, Any]:
        """Return what a backup keeps of the lab: the curves and W₀."""
        return {"points": self.curves.points, "epochs": self.curves.epochs, "initial": self.initial.params}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what ``get_state`` returned."""
        self.curves.restore(state["points"], state["epochs"])
        self.initial = replace(self.initial, params=state["initial"])

    def _keep_snapshot(self) -> None:
        number = self.snapshots.next_id
        self.snapshots.keep(take_state(self.trained, number, self.epoch, self.step, self.logs))

    def _publish(self) -> None:
        """Make a frame of the present state."""
        start = time.perf_counter()
        self.frame_wanted = False
        state = self.take()
        number = self.frame[0] + 1 if self.frame else 1
        self.frame = number, state, self.make_frame(state, self.initial)
        end = time.perf_counter()
        self._next_frame = end + (SLOW_FRAME if self._interval else min(SHARE * (end - start), LONGEST))
        self.changed()

    def take(self) -> State:
        """Return the present state."""
        with self.trained.reading():
            return take_state(self.trained, -1, self.epoch, self.step, self.logs)

    # Called for the tabs, in other threads.

    def status(self) -> dict[str, Any]:
        """Return the status of the protocol, with ``message`` as a ``LabError`` or None."""
        optimizer = self.trained.optimizer
        assert optimizer is not None
        return {
            "state": self.state,
            "epoch": self.epoch,
            "step": self.step,
            "steps_per_epoch": self.steps_per_epoch,
            "learning_rate": float(optimizer.learning_rate),
            "steps_per_second": 1 / self._interval if self._interval else None,
            "message": self.reason,
        }

    def run_steps(self, steps: float, steps_per_second: float | None = None) -> None:
        """Train for a number of further steps, or until it is paused.

        Raises:
            LabError: if the training has stopped.
        """
        if self.state == STOPPED:
            raise LabError("stopped")
        with self._condition:
            self.state, self._remaining = PLAYING, steps
            self._interval = 1 / steps_per_second if steps_per_second else 0.0
            self._next_step = 0.0
            self._condition.notify()
        self.changed()

    def run_epoch(self) -> None:
        """Train to the end of the present epoch."""
        with self.trained.reading():  # no step is taken meanwhile
            fit_state = self.trained.fit_state
            self.run_steps(self.steps_per_epoch - (fit_state.step if fit_state else 0))

    def pause(self) -> None:
        """Pause before the next step."""
        with self._condition:
            self._remaining = 0
            self._condition.notify()  # a training in slow motion may be waiting for its next step

    def set_learning_rate(self, value: float) -> None:
        """Change the learning rate of the steps that follow.

        Raises:
            LabError: if the learning rate follows a schedule.
        """
        optimizer = self.trained.optimizer
        assert optimizer is not None
        if optimizer.schedule is not None:
            raise LabError("schedule", name=type(optimizer.schedule).__name__)
        with self.trained.reading():
            optimizer.learning_rate = value
        self.changed()

    def end(self, timeout: float | None = None) -> None:
        """End the thread before the next step; wait for it, at most for some seconds if ``timeout`` is given."""
        with self._condition:
            self._ending = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def release(self) -> None:
        """Give the model its own methods back, after ``end``."""
        for name in ("warn_nonfinite_loss", "make_train_function"):
            vars(self.trained).pop(name, None)

    def restart(self, seed: int) -> None:
        """Draw new weights as a new model with that seed does, and begin again with the present learning rate."""
        self.end()
        if self.backup is not None:
            self.backup.delete()
        renew(self.trained, self.initial.optimizer, seed)
        self._begin()

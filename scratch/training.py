"""Training with Keras's interface: ``fit``, ``evaluate``, ``predict``.

``fit`` is two loops, over epochs and over batches.  How steps are executed is decided once, before the loops, by
``make_train_function``: layer by layer, or as fused steps (see ``execution.py``).  ``compile`` and the single training
step are in ``trainable.py``, and so is ``FitState``: everything that changes during the loops, which
``BackupAndRestore`` saves and restores.
"""

import math
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from scratch.batches import Data, batches, split_validation
from scratch.callbacks import BackupAndRestore, Callback, CallbackList, History, Logs
from scratch.callbacks.progress import ProgbarLogger, interactive
from scratch.concurrency import Uninterrupted
from scratch.execution import Steps, TrainFunction
from scratch.pixels import Pixels
from scratch.trainable import FitState, TrainableNetwork, check_unsupported
from scratch.utils import Array, check_integer, check_list

Verbose = str | int  # 0 silent, 1 progress bar, 2 one line per epoch; 'auto': 1 in a terminal or notebook, else 2

LOCK_PAUSE = 1e-4  # seconds after a step in which a thread that waits for the lock gets it; it takes 50 µs to wake


class Trainer(TrainableNetwork):
    """A network with ``fit``, ``evaluate`` and ``predict``.

    Attributes:
        stop_evaluating: a callback sets it to True to end ``evaluate`` after the current batch.
        stop_predicting: likewise for ``predict``.
    """

    stop_evaluating = stop_predicting = False

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: Verbose = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        shuffle: bool = True,
        *,
        initial_epoch: int = 0,
    ) -> History:
        """Train the model.

        Args:
            x: samples (N, …) of any numeric dtype and memory layout; never modified, and copied only batch by batch.
            y: one-hot rows (N, units) or labels (N,), as the loss requires.
            batch_size: samples per step; the last step of an epoch may have fewer.
            epochs: number of epochs that are complete in the end, those before ``initial_epoch`` included.
            verbose: 0 silent, 1 progress bar, 2 one line per epoch; ``'auto'`` is 1 in a terminal or notebook, else 2.
            callbacks: called at each event.
            validation_split: share of the samples, the last ones, that is evaluated instead of trained on.
            validation_data: ``(x, y)`` to evaluate after every epoch, instead of a split.
            shuffle: whether to draw a new order of the samples for every epoch.
            initial_epoch: number of epochs that are complete already.

        Returns:
            History with one value per epoch of ``accuracy``, ``loss``, ``val_accuracy`` and ``val_loss``.

        Raises:
            ValueError: if an argument is wrong; nothing is changed then.

        Warns:
            UserWarning: once, if the loss is not finite: the epoch, the batch, and the first tensor that is not finite.
        """
        batch_size, epochs = check_integer("batch_size", batch_size), check_integer("epochs", epochs)
        initial_epoch = check_integer("initial_epoch", initial_epoch, minimum=0)
        data, validation = self._training_data(x, y, validation_split, validation_data)
        steps = math.ceil(len(data[0]) / batch_size)
        callback_list = self._callback_list(callbacks, verbose, epochs=epochs, steps=steps)
        self.build(data[0].shape)

        arrays = [*data, *(validation or ())]
        state = FitState(self, arrays, batch_size, shuffle, callback_list.callbacks, initial_epoch)
        if vars(self).setdefault("fit_state", state) is not state:  # one atomic operation, since threads may compete
            raise ValueError(f"Model {self.name!r} is being trained by another fit(); wait until that has ended.")
        try:
            self.history, self.stop_training = next(c for c in callback_list.callbacks if isinstance(c, History)), False
            callback_list.on_train_begin({})  # BackupAndRestore may restore the state of an interrupted run
            train_function = self.make_train_function(*data, batch_size, callback_list.callbacks)
            while state.epoch < epochs:
                epoch = state.epoch
                self._run_epoch(state, train_function, callback_list)
                if validation:
                    self._validate(state, validation, callback_list)
                state.end_epoch()
                callback_list.on_epoch_end(epoch, state.logs)
                if self.stop_training:
                    break
            callback_list.on_train_end(state.logs)
        finally:
            del self.fit_state  # the class's None is visible again
        return self.history

    def _run_epoch(self, state: FitState, train_function: TrainFunction, callback_list: CallbackList) -> None:
        """Train on all batches of one epoch, or of the rest of it after a restart."""
        self.reset_metrics()
        state.begin_epoch()
        callback_list.on_epoch_begin(state.epoch, {})
        rows = list(batches(len(state.data[0]), state.batch_size, self.rng if state.shuffle else None))
        while state.step < len(rows):
            callback_list.on_train_batch_begin(state.step, {})
            count = 1 if self.stop_training else train_function.steps_per_call
            with Uninterrupted(), self.lock:
                result = train_function(rows[state.step : state.step + count])
                self.update_metrics(result)
                state.step += len(result.losses)
                state.logs = self.metric_values()
            if self.inference_waits:
                self.inference_waits = False
                time.sleep(LOCK_PAUSE)
            callback_list.on_train_batch_end(state.step - 1, state.logs)
            if self.stop_training:
                break

    def _validate(self, state: FitState, validation: Data, callback_list: CallbackList) -> None:
        """Evaluate after an epoch, and add the values to its logs."""
        state.validating = True
        values = self._evaluate(*validation, state.batch_size, callback_list)
        state.validating = False
        state.logs |= {f"val_{name}": value for name, value in values.items()}

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        *,
        callbacks: Callback | Sequence[Callback] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Compute the loss and the metrics with the current parameters.

        Returns:
            ``[loss, accuracy]`` in the order of ``compile``, the loss alone without metrics, or a dict by name.

        Raises:
            ValueError: if an argument is wrong.
        """
        samples, targets = self.check_data(x, y, "evaluate")
        batch_size = check_integer("batch_size", batch_size)
        callback_list = self._callback_list(callbacks, verbose, epochs=1, steps=math.ceil(len(samples) / batch_size))
        self.build(samples.shape)
        return self._returned(self._evaluate(samples, targets, batch_size, callback_list), return_dict)

    def _evaluate(self, x: Array | Pixels, y: Array, batch_size: int, callback_list: CallbackList) -> Logs:
        loss, model = self.loss, self.detached()
        assert loss is not None
        model.reset_metrics()
        self.stop_evaluating = False
        callback_list.on_test_begin({})
        for step, rows in enumerate(batches(len(x), batch_size)):
            callback_list.on_test_batch_begin(step, {})
            with self.reading(), np.errstate(over="ignore", invalid="ignore"):
                out = model.forward(x[rows])
                _, value = model.compute_loss(loss, out, loss.targets(y[rows], out.shape[1], out.dtype))
                if not np.isfinite(value) and self.fit_state is not None and self.fit_state.validating:
                    self.warn_nonfinite_loss(x[rows], y[rows])
            model.update_metrics(Steps([float(value)], y[rows], out, len(out)))
            callback_list.on_test_batch_end(step, model.metric_values())
            if self.stop_evaluating:
                break
        logs = model.metric_values()
        callback_list.on_test_end(logs)
        return logs

    def predict(
        self,
        x: ArrayLike,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        *,
        callbacks: Callback | Sequence[Callback] | None = None,
    ) -> Array:
        """Return the outputs (N, units) for samples (N, …), computed batch by batch.

        Raises:
            ValueError: if an argument is wrong.
        """
        samples = self.check_inputs(x)
        batch_size = check_integer("batch_size", batch_size)
        callback_list = self._callback_list(callbacks, verbose, epochs=1, steps=math.ceil(len(samples) / batch_size))
        self.build(samples.shape)
        outputs: list[Array] = []
        model = self.detached()
        self.stop_predicting = False
        callback_list.on_predict_begin({})
        for step, rows in enumerate(batches(len(samples), batch_size)):
            callback_list.on_predict_batch_begin(step, {})
            with self.reading(), np.errstate(over="ignore", invalid="ignore"):
                outputs.append(model.forward(samples[rows]))
            callback_list.on_predict_batch_end(step, {"outputs": outputs[-1]})
            if self.stop_predicting:
                break
        callback_list.on_predict_end({})
        return np.concatenate(outputs)

    def train_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: None = None,
        class_weight: None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Take one training step; return what ``evaluate`` returns, from before the update.

        ``sample_weight`` and ``class_weight`` are Keras's arguments, and must be None.
        """
        check_unsupported(sample_weight=sample_weight, class_weight=class_weight)
        samples, targets = self.check_data(x, y, "train_on_batch")
        self.build(samples.shape)
        with Uninterrupted(), self.lock:
            self.reset_metrics()
            self.update_metrics(self.make_train_function(samples, targets, len(samples))([slice(None)]))
            return self._returned(self.metric_values(), return_dict)

    def test_on_batch(
        self, x: ArrayLike, y: ArrayLike, sample_weight: None = None, return_dict: bool = False
    ) -> float | list[float] | Logs:
        """Evaluate one batch; return what ``evaluate`` returns.  ``sample_weight`` must be None."""
        check_unsupported(sample_weight=sample_weight)
        samples, targets = self.check_data(x, y, "test_on_batch")
        return self.evaluate(samples, targets, batch_size=len(samples), verbose=0, return_dict=return_dict)

    def predict_on_batch(self, x: ArrayLike) -> Array:
        """Return the outputs for one batch."""
        return self(x)

    def _training_data(
        self, x: ArrayLike, y: ArrayLike, split: float, validation_data: tuple[ArrayLike, ArrayLike] | None
    ) -> tuple[Data, Data | None]:
        """Return the checked data to train on, and those to validate on, if any."""
        samples, targets = self.check_data(x, y)
        data, validation = split_validation(samples, targets, split)
        if validation_data is None:
            return data, validation
        if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
            raise ValueError(f"validation_data must be a pair (x, y); got {type(validation_data).__name__}.")
        validation = self.check_data(*validation_data, prefix="validation ")
        if validation[0].shape[1:] != samples.shape[1:]:
            shapes = f"{samples.shape[1:]}; got {validation[0].shape[1:]}"
            raise ValueError(f"validation x must have samples of the same shape as x, {shapes}.")
        return (samples, targets), validation

    def _callback_list(
        self,
        callbacks: Callback | Sequence[Callback] | None,
        verbose: Verbose,
        *,
        epochs: int,
        steps: int,
    ) -> CallbackList:
        """Return the user's callbacks, with a ``History`` and, unless silent, a progress bar."""
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f"verbose must be 'auto', 0, 1 or 2; got {verbose!r}.")
        verbose = (1 if interactive() else 2) if verbose == "auto" else int(verbose)
        found = [callbacks] if isinstance(callbacks, Callback) else check_list("callbacks", callbacks)
        if verbose and not any(isinstance(callback, ProgbarLogger) for callback in found):
            found.append(ProgbarLogger())
        if not any(isinstance(callback, History) for callback in found):
            found.append(History())  # last, as in Keras: other callbacks may add to the logs
        found.sort(key=lambda callback: isinstance(callback, BackupAndRestore))  # last: it saves the others' states
        return CallbackList(found, self, {"verbose": verbose, "epochs": epochs, "steps": steps})

    def _returned(self, logs: Logs, as_dict: bool) -> float | list[float] | Logs:
        if as_dict:
            return logs
        values = [logs[mean.name] for mean in self.running_means()]
        return values if self.metrics else values[0]

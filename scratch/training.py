"""Training with Keras's interface: ``fit``, ``train_on_batch``.

``fit`` is two loops, over epochs and over batches.  How steps are executed is decided by ``make_train_function``: layer
by layer, or as fused steps (see ``execution.py``).  For arrays this happens once, before the loops; for a generator or
a data set, for each batch (``StreamSteps`` in ``sources.py``).  ``compile`` and the single training step are in
``trainable.py``, ``evaluate`` and ``predict`` in ``evaluation.py``.  Everything that changes during the loops is in
``FitState``, which ``BackupAndRestore`` saves and restores.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from scratch.batches import Data, split_validation
from scratch.callbacks import Callback, CallbackList, History, Logs
from scratch.checks import check_integer
from scratch.concurrency import Uninterrupted
from scratch.dropped_names import renamed
from scratch.evaluation import Evaluator, Verbose
from scratch.execution import TrainFunction
from scratch.fit_state import FitState
from scratch.sample_weights import weights_of
from scratch.sources import (
    ArraySource,
    Source,
    batch_size_or_default,
    check_frequency,
    is_stream,
    stream_source,
    validates,
    validation_source,
)

LOCK_PAUSE = 1e-4  # seconds after a step in which a thread that waits for the lock gets it; it takes 50 µs to wake


class Trainer(Evaluator):
    """A network with ``fit`` and ``train_on_batch``."""

    @renamed(nb_epoch="epochs")
    def fit(
        self,
        x: Any,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Verbose = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: ArrayLike | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train the model.

        Args:
            x: samples (N, …) of any numeric dtype and memory layout; never modified, and copied only batch by batch.
                Or a ``PyDataset`` or a generator of batches ``(x, y)`` or ``(x, y, sample_weight)``, without y.
            y: one-hot rows (N, units) or labels (N,), as the loss requires.
            batch_size: samples per step, by default 32; the last step of an epoch may have fewer.
            epochs: number of epochs that are complete in the end, those before ``initial_epoch`` included.
            verbose: 0 silent, 1 progress bar, 2 one line per epoch; ``'auto'`` is 1 in a terminal or notebook, else 2.
            callbacks: called at each event.
            validation_split: share of the samples, the last ones, that is evaluated instead of trained on; not used
                with ``validation_data``.
            validation_data: ``(x, y)``, ``(x, y, sample_weight)``, a ``PyDataset`` or a generator.
            shuffle: whether to draw a new order of the samples (of a ``PyDataset``: the batches) for every epoch.
            class_weight: factor of the loss of a training sample by its class; 1 for other classes.
            sample_weight: factor of the loss of each sample (N,).
            initial_epoch: number of epochs that are complete already.
            steps_per_epoch: batches per epoch; the next epoch continues with the next batch.
            validation_steps: number of batches of a validation, by default all.
            validation_batch_size: samples per batch of a validation, by default ``batch_size``.
            validation_freq: validate after every so many epochs, or after the epochs of a list, counted from 1.

        Returns:
            History with one value per epoch of ``accuracy``, ``loss``, ``val_accuracy`` and ``val_loss``.

        Raises:
            ValueError: if an argument is wrong; nothing is changed then.

        Warns:
            UserWarning: once, if the loss is not finite: the epoch, the batch, and the first tensor that is not finite;
                if a generator ends early.  An epoch without a batch ends the training, and a validation without a
                batch has no values.
        """
        epochs = check_integer("epochs", epochs)
        initial_epoch = check_integer("initial_epoch", initial_epoch, minimum=0)
        frequency = check_frequency(validation_freq)
        weights, steps = (sample_weight, class_weight), (steps_per_epoch, "steps_per_epoch")
        if is_stream(x):
            self.loss_and_optimizer("fit")
            source: Source = stream_source(self, x, y, weights, *steps, validation_split)
        else:
            data, part = self._training_data(x, y, weights, validation_split if validation_data is None else 0)
            source = ArraySource(data, batch_size_or_default(batch_size, len(data.x), *steps), *steps)
            validation_data = part if validation_data is None else validation_data
        if validation_batch_size is not None:
            check_integer("validation_batch_size", validation_batch_size)
        size = batch_size if validation_batch_size is None else validation_batch_size
        validation = validation_source(self, validation_data, source, size, validation_steps)
        callback_list = self._callback_list(callbacks, verbose, epochs=epochs, steps=source.steps)
        self.build(source.x_shape)

        arrays = source.arrays("") | (validation.arrays("validation ") if validation else {})
        state = FitState(self, arrays, source.batch_size, shuffle, callback_list.callbacks, initial_epoch)
        options = {
            "steps_per_epoch": steps_per_epoch,
            "validation_steps": validation_steps,
            "validation_batch_size": validation_batch_size,
            "validation_freq": None if frequency == 1 else frequency,
        }
        state.options = {name: str(value) for name, value in options.items() if value is not None}
        if vars(self).setdefault("fit_state", state) is not state:  # one atomic operation, since threads may compete
            raise ValueError(
                f"Model {self.name!r} is being trained by another fit(); wait until that has ended. If the study lab "
                "shows it, call close() of the page that show() returned."
            )
        try:
            self.history, self.stop_training = next(c for c in callback_list.callbacks if isinstance(c, History)), False
            callback_list.on_train_begin({})  # BackupAndRestore may restore the state of an interrupted run
            train_function = source.train_function(self, callback_list.callbacks)
            while state.epoch < epochs:
                epoch = state.epoch
                self._run_epoch(state, source, train_function, callback_list)
                if state.step == 0:  # a generator had ended before this epoch
                    break
                source.end_epoch()
                if validation and validates(epoch + 1, frequency):
                    self._validate(state, validation, callback_list)
                state.end_epoch(source.offset_after(state))
                callback_list.on_epoch_end(epoch, state.logs)
                if self.stop_training:
                    break
            callback_list.on_train_end(state.logs)
        finally:
            del self.fit_state  # the class's None is visible again
        return self.history

    def _run_epoch(
        self, state: FitState, source: Source, train_function: TrainFunction, callback_list: CallbackList
    ) -> None:
        """Train on all batches of one epoch, or of the rest of it after a restart."""
        if state.step == 0:  # otherwise a resumed epoch, whose running means are restored
            self.reset_metrics()
        state.begin_epoch()
        callback_list.on_epoch_begin(state.epoch, {})
        source.begin_epoch()
        rows, uninterrupted = source.epoch(state), Uninterrupted()
        while state.step < len(rows):
            callback_list.on_train_batch_begin(state.step, {})
            count = 1 if self.stop_training else train_function.steps_per_call
            with uninterrupted, self.lock:
                result = train_function(rows[state.step : state.step + count])
                if not result.losses:  # a generator has ended
                    return
                self.update_metrics(result)
                state.step += len(result.losses)
                state.logs = self.metric_values()
            if self.inference_waits:
                self.inference_waits = False
                time.sleep(LOCK_PAUSE)
            callback_list.on_train_batch_end(state.step - 1, state.logs)
            if self.stop_training:
                return

    def _validate(self, state: FitState, validation: Source, callback_list: CallbackList) -> None:
        """Evaluate after an epoch, and add the values to its logs."""
        state.validating = True
        values = self._evaluate(validation, callback_list)
        state.validating = False
        state.logs = dict(sorted([*state.logs.items(), *((f"val_{name}", value) for name, value in values.items())]))

    def train_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Take one training step.

        In a callback of ``fit``, the running means of the epoch stay as they are.

        Args:
            x: samples (N, …).
            y: one-hot rows (N, units) or labels (N,), as the loss requires.
            sample_weight: factor of the loss of each sample (N,).
            class_weight: factor of the loss of a sample by its class; 1 for other classes.
            return_dict: whether to return a dict by name.

        Returns:
            What ``evaluate`` returns, from before the update.

        Raises:
            ValueError: if an argument is wrong; nothing is changed then.
        """
        samples, targets = self.check_data(x, y, "train_on_batch")
        weights = weights_of(targets, sample_weight, class_weight)
        self.build(samples.shape)
        means = self if self.fit_state is None else self.detached()
        with Uninterrupted(), self.lock:
            means.reset_metrics()
            train_function = self.make_train_function(samples, targets, len(samples), sample_weight=weights)
            means.update_metrics(train_function([slice(None)]))
            return self._returned(means.metric_values(), return_dict)

    def _training_data(self, x: ArrayLike, y: Any, weights: Any, split: float) -> tuple[Data, Data | None]:
        """Return the checked data to train on, and those that a split validates on, if any."""
        samples, targets = self.check_data(x, y)
        train, part = split_validation(Data(samples, targets, weights_of(targets, *weights)), split)
        # Weights of classes are for the training alone, as in Keras.
        return train, part._replace(sample_weight=None) if part and weights[1] is not None else part

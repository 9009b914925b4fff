"""Evaluation and prediction with Keras's interface: ``evaluate``, ``predict``, and both for one batch; ``model(x)``.

Each is a loop over batches; ``inference.py`` decides how many of them the compiled core computes at once.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scratch.batches import Data
from scratch.callbacks import Callback, CallbackList, History, Logs
from scratch.callbacks.progress import ProgbarLogger, interactive
from scratch.checks import check_list
from scratch.execution import Steps
from scratch.inference import Inference, make_inference
from scratch.sources import ArraySource, Source, batch_size_or_default, is_stream, prediction_source, stream_source
from scratch.trainable import TrainableNetwork
from scratch.utils import Array, accepted

Verbose = str | int  # 0 silent, 1 progress bar, 2 one line per epoch; 'auto': 1 in a terminal or notebook, else 2


class Evaluator(TrainableNetwork):
    """A network with ``evaluate``, ``predict`` and a call.

    Attributes:
        stop_evaluating: a callback sets it to True to end ``evaluate`` after the current batch, or after the batches
            that are computed at once.
        stop_predicting: likewise for ``predict``.
    """

    stop_evaluating = stop_predicting = False

    def evaluate(
        self,
        x: Any,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        sample_weight: ArrayLike | None = None,
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Compute the loss and the metrics with the current parameters.

        Args:
            x: samples, or a ``PyDataset`` or generator of batches, as in ``fit``.
            y: their targets.
            batch_size: samples per batch, by default 32.
            verbose: as in ``fit``.
            sample_weight: factor of the loss of each sample (N,).
            steps: number of batches to evaluate, by default all; a generator needs it.
            callbacks: called at each event.
            return_dict: whether to return a dict by name.

        Returns:
            ``[loss, accuracy]`` in the order of ``compile``, the loss alone without metrics, or a dict by name.

        Raises:
            ValueError: if an argument is wrong.
        """
        if is_stream(x):
            self.loss_and_optimizer("evaluate")
            source: Source = stream_source(self, x, y, (sample_weight, None), steps, "steps")
        else:
            data = self.checked(x, y, sample_weight, "evaluate")
            size = batch_size_or_default(batch_size, len(data.x), steps, "steps")
            source = ArraySource(data, size, steps, "steps")
        callback_list = self._callback_list(callbacks, verbose, epochs=1, steps=source.steps)
        self.build(source.x_shape)
        return self._returned(self._evaluate(source, callback_list), return_dict)

    def _evaluate(self, source: Source, callback_list: CallbackList) -> Logs:
        model = self.detached()
        model.reset_metrics()
        self.stop_evaluating = False
        callback_list.on_test_begin({})
        step, inference = 0, self._inference(source, callback_list, ("on_test_batch_begin", "on_test_batch_end"))
        for data in source.evaluation(1 if self.stop_evaluating else inference.batches_per_call):
            callback_list.on_test_batch_begin(step, {})
            with self.reading(), np.errstate(over="ignore", invalid="ignore"):
                steps = inference.evaluate(data)
                if self.fit_state is not None and self.fit_state.validating:
                    self._warn_nonfinite(steps, data)
            model.update_metrics(steps)
            step += len(steps.losses)
            callback_list.on_test_batch_end(step - 1, model.metric_values())
            if self.stop_evaluating:
                break
        if self.fit_state is None:  # otherwise the metrics are those of the training
            with self.lock:
                for own, mean in zip(self.running_means(), model.running_means(), strict=True):
                    own.set_state(mean.get_state())
        logs = model.metric_values() if step else {}  # the generator of a validation may have ended
        callback_list.on_test_end(logs)
        return logs

    def _inference(self, source: Source, callback_list: CallbackList, events: Sequence[str]) -> Inference:
        return make_inference(self, source.data, source.batch_size, source.steps, callback_list, events)

    def _warn_nonfinite(self, steps: Steps, data: Data) -> None:
        """Warn of the first batch of a validation whose loss is not finite."""
        for i in np.flatnonzero(~np.isfinite(steps.losses))[:1]:
            rows = slice(i * steps.batch_size, (i + 1) * steps.batch_size)
            self.warn_nonfinite_loss(data.x[rows], data.y[rows])

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
    ) -> Array:
        """Return the outputs (N, units) for samples (N, …), computed batch by batch.

        Args:
            x: samples, or a ``PyDataset`` or generator of batches x, ``(x, y)`` or ``(x, y, sample_weight)``.
            batch_size: samples per batch, by default 32.
            verbose: as in ``fit``.
            steps: number of batches, by default all; a generator needs it.
            callbacks: called at each event.

        Raises:
            ValueError: if an argument is wrong.
        """
        source = prediction_source(self, x, batch_size, steps)
        callback_list = self._callback_list(callbacks, verbose, epochs=1, steps=source.steps)
        self.build(source.x_shape)
        outputs: list[Array] = []
        self.stop_predicting = False
        callback_list.on_predict_begin({})
        step, inference = 0, self._inference(source, callback_list, ("on_predict_batch_begin", "on_predict_batch_end"))
        for data in source.evaluation(1 if self.stop_predicting else inference.batches_per_call):
            callback_list.on_predict_batch_begin(step, {})
            with self.reading(), np.errstate(over="ignore", invalid="ignore"):
                outputs.append(inference.predict(data.x))
            step += math.ceil(len(data.x) / (source.batch_size or len(data.x)))
            callback_list.on_predict_batch_end(step - 1, {"outputs": outputs[-1]})
            if self.stop_predicting:
                break
        callback_list.on_predict_end({})
        return np.concatenate(outputs)

    def test_on_batch(
        self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, return_dict: bool = False
    ) -> float | list[float] | Logs:
        """Evaluate one batch.

        Args:
            x: samples (N, …).
            y: one-hot rows (N, units) or labels (N,), as the loss requires.
            sample_weight: factor of the loss of each sample (N,).
            return_dict: whether to return a dict by name.

        Returns:
            What ``evaluate`` returns.

        Raises:
            ValueError: if an argument is wrong.
        """
        data = self.checked(x, y, sample_weight, "test_on_batch")
        self.build(data.x.shape)
        source = ArraySource(data, len(data.x), None, "steps")
        return self._returned(self._evaluate(source, self._callback_list(None, 0, epochs=1, steps=1)), return_dict)

    def __call__(self, x: ArrayLike, training: bool = False) -> Array:
        """Return the output for a batch x in one pass; the model is built if necessary.

        Args:
            x: samples (N, …).
            training: whether to compute as a training step does: each call draws new masks of ``Dropout``, and updates
                the moving statistics of ``BatchNormalization``.

        Raises:
            ValueError: if x is not a batch of finite numbers of the right shape.
        """
        batch = self.check_inputs(x)
        self.build(batch.shape)
        with self.reading():
            if training:
                model = self.detached()
                out = model.forward(batch, **accepted(model.forward, training=True))
                for key, array in self.state.items():
                    array[...] = model.state[key]
            else:
                out = Inference(self, len(batch), 1).predict(batch)
            return out.copy()  # a linear layer returns x itself

    def predict_on_batch(self, x: ArrayLike) -> Array:
        """Return the outputs (N, units) for one batch x (N, …).

        Raises:
            ValueError: if x is not a batch of finite numbers of the right shape.
        """
        return self(x)

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
        return CallbackList(found, self, {"verbose": verbose, "epochs": epochs, "steps": steps})

    def _returned(self, logs: Logs, as_dict: bool) -> float | list[float] | Logs:
        if as_dict:
            return logs
        values = [logs[mean.name] for mean in self.running_means()]
        return values if self.metrics else values[0]

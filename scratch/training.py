"""Training: two loops, over epochs and over batches, around one ``train_step``; evaluation and prediction beside it.

Where nobody wants to know of every batch, and the compiled step can train the model, many steps are one call.
"""

import copy
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from scratch import losses, optimizers
from scratch import metrics as metrics_module
from scratch.callbacks import BackupAndRestore, Callback, CallbackList, History, Logs
from scratch.callbacks.backup import Start
from scratch.callbacks.progress import ProgbarLogger, interactive
from scratch.execution import fused_step
from scratch.losses import CategoricalCrossentropy, check_same_length
from scratch.metrics import METRICS, CategoricalAccuracy, Mean
from scratch.network import Network
from scratch.optimizers import SGD
from scratch.pixels import Pixels
from scratch.utils import Array, check_integer, check_list, check_number, overridden

if TYPE_CHECKING:
    from scratch.kernels.fused_step import FusedStep

# At most so many steps in one go, with so many outputs and multiplications (forward): a few hundredths of a second.
STEPS, OUTPUTS, MULTIPLICATIONS = 1 << 12, 1 << 17, 1 << 30
Verbose = str | int  # 0 silent, 1 a progress bar, 2 one line an epoch; 'auto': 1 where someone watches, else 2


def batches(n: int, batch_size: int, rng: np.random.Generator | None = None) -> Iterator[slice | Array]:
    """Split n samples into batches (ミニバッチ), the last of which may be short.

    Args:
        n: number of samples.
        batch_size: samples in a batch.
        rng: draws one permutation of the samples; without it they stay in order.

    Yields:
        What to index an array of samples with: a slice in order, else an array of row numbers.
    """
    order = None if rng is None else rng.permutation(n)
    for start in range(0, n, batch_size):
        rows = slice(start, start + batch_size)
        yield rows if order is None else order[rows]


class Trainer(Network):
    """A network that can be compiled, fitted, evaluated and asked for predictions.

    Attributes:
        optimizer: what ``compile`` was given; None before.
        loss: a copy of what ``compile`` was given, computing with the model's backend.
        metrics: likewise, as objects.
        stop_training: set it to True in a callback, and ``fit`` ends after the next step.
        start: where ``fit`` begins, for a callback to read and to move in ``on_train_begin``; None at other times.
    """

    stop_training = False
    start: Start | None = None

    def compile(
        self,
        optimizer: str | SGD = "sgd",
        loss: str | CategoricalCrossentropy | None = None,
        metrics: Sequence[str | CategoricalAccuracy] | None = None,
    ) -> None:
        """Say how the model is to be trained; its weights stay as they are.

        Args:
            optimizer: ``'sgd'`` or an ``SGD``.
            loss: ``'categorical_crossentropy'``, ``'sparse_categorical_crossentropy'`` or a loss object.
            metrics: names or metric objects, such as ``['accuracy']``.

        Raises:
            ValueError: if a name is unknown, the loss has no reduction to one number, or the optimizer is another
                model's.
        """
        new_optimizer, new_loss = optimizers.get(optimizer), copy.copy(losses.get(loss))
        if new_loss.reduction == "none":
            raise ValueError("compile needs a loss that is one number a batch; got one with reduction=None.")
        if new_optimizer.owner not in (None, self):
            raise ValueError("The optimizer belongs to another model, whose velocities it holds; make a new one.")
        self.metrics = metrics_module.get(metrics, new_loss)
        self.optimizer, self.loss = new_optimizer, new_loss
        self.optimizer.owner, self.loss.backend = self, self.backend
        self.history = History()

    def train_step(self, x: Array | Pixels, y: Array, where: str = "") -> tuple[float, Array]:
        """Forward, loss, backward in reverse, update; for a model like the article's in one compiled step.

        Args:
            x: inputs of one batch.
            y: targets of one batch, as the loss has checked them.
            where: what a warning calls this step if its loss is not finite; no warning if empty.

        Returns:
            The loss and the outputs, both from before the update.
        """
        loss, optimizer = self._compiled("train_step")
        fused = fused_step(self, loss, optimizer)
        if fused:
            steps, losses, out = self._train(fused, x, np.arange(len(x)), y, len(x), where)
            if steps:
                return float(loss.reduce(losses)), out
        with np.errstate(over="ignore", invalid="ignore"):  # explained in words below
            out = self.forward(x)
            criterion, value = self.compute_loss(loss, out, loss.targets(y, out))
            self.backward(criterion)
            if where and not np.isfinite(value):
                self._warn_not_finite(x, y, where)
            optimizer.update(self.params, self.grads)
        return float(value), out

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
        initial_epoch: int = 0,
    ) -> History:
        """Train the model.

        Args:
            x: samples (N, …), of any numeric dtype and memory layout; never changed, and copied batch by batch only.
            y: one-hot rows (N, units) or labels (N,), as the loss wants them.
            batch_size: samples in a step; the last step of an epoch may have fewer.
            epochs: the number of the last epoch.
            verbose: 0 silent, 1 a progress bar, 2 one line an epoch; ``'auto'`` is 1 in a terminal and 2 elsewhere.
            callbacks: told what happens.
            validation_split: this share of the samples, the last ones, is not trained on but evaluated.
            validation_data: ``(x, y)`` to evaluate after every epoch, in place of a split.
            shuffle: whether every epoch draws a new order of the samples.
            initial_epoch: epochs that are done already.

        Returns:
            History of ``accuracy``, ``loss``, ``val_accuracy``, ``val_loss``, one value an epoch each.

        Raises:
            ValueError: if an argument is wrong, before anything has changed.

        Warns:
            UserWarning: once, if the loss stops being finite: the epoch, the batch, and the first tensor that did.
        """
        self._compiled("fit")
        check_integer("batch_size", batch_size)
        check_integer("epochs", epochs)
        check_integer("initial_epoch", initial_epoch, minimum=0)
        samples, targets = self._check_data(x, y)
        samples, targets, validation = self._hold_out(samples, targets, validation_split, validation_data)
        steps = math.ceil(len(samples) / batch_size)
        tell = self._listeners(callbacks, verbose, epochs=epochs, steps=steps, record=True)
        self.build(samples.shape)

        self.history, self.stop_training = next(c for c in tell.callbacks if isinstance(c, History)), False
        data = [samples, targets, *(validation or ())]
        self.start = start = Start(initial_epoch, batch_size, shuffle, data, tell.callbacks)
        tell.on_train_begin({})  # a BackupAndRestore may move the start
        self.start, logs = None, start.logs
        at_once, numbers = self._steps_at_once(samples, batch_size, tell.callbacks), np.arange(len(samples))
        for epoch in range(start.epoch, epochs):
            self._reset_metrics()
            tell.on_epoch_begin(epoch, {})
            rows = list(batches(len(samples), batch_size, self.rng if shuffle else None))
            orders = [numbers[some] for some in rows] if at_once > 1 else []
            done = start.step
            for step in range(start.step, steps):
                if step < done:  # it was taken together with the one before
                    continue
                tell.on_train_batch_begin(step, {})
                where = f"epoch {epoch + 1}, batch {step + 1}" if _all_finite(logs) else ""
                several = orders[step : step + at_once] if not self.stop_training else []
                taken = self._take_steps(samples, targets, several, where) if len(several) > 1 else 0
                if taken == 0:
                    loss, out = self.train_step(samples[rows[step]], targets[rows[step]], where)
                    self._update_metrics([loss], targets[rows[step]], out, len(out))
                done = step + max(1, taken)
                logs = self._logs()
                tell.on_train_batch_end(done - 1, logs)
                if self.stop_training:
                    break
            start.step = 0
            if validation:
                where = f"validation after epoch {epoch + 1}" if _all_finite(logs) else ""
                values = self._evaluate(*validation, batch_size, tell, where)
                logs |= {f"val_{name}": value for name, value in values.items()}
            tell.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        tell.on_train_end(logs)
        return self.history

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Loss and metrics of the model as it is.

        Returns:
            ``[loss, accuracy]`` in the order of ``compile``, the loss alone without metrics, or a dict by name.

        Raises:
            ValueError: if an argument is wrong.
        """
        samples, targets = self._check_data(x, y, "evaluate")
        steps = math.ceil(len(samples) / check_integer("batch_size", batch_size))
        tell = self._listeners(callbacks, verbose, epochs=1, steps=steps)
        self.build(samples.shape)
        return self._returned(self._evaluate(samples, targets, batch_size, tell), return_dict)

    def predict(
        self,
        x: ArrayLike,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
    ) -> Array:
        """Outputs (N, units) for samples (N, …), computed batch by batch.

        Raises:
            ValueError: if an argument is wrong.
        """
        samples = self.check_inputs(x)
        steps = math.ceil(len(samples) / check_integer("batch_size", batch_size))
        tell = self._listeners(callbacks, verbose, epochs=1, steps=steps)
        self.build(samples.shape)
        outputs = []
        tell.on_predict_begin({})
        for step, rows in enumerate(batches(len(samples), batch_size)):
            tell.on_predict_batch_begin(step, {})
            with np.errstate(over="ignore", invalid="ignore"):
                outputs.append(self.forward(samples[rows]))
            tell.on_predict_batch_end(step, {})
        tell.on_predict_end({})
        return np.concatenate(outputs)

    def train_on_batch(self, x: ArrayLike, y: ArrayLike, return_dict: bool = False) -> float | list[float] | Logs:
        """Take one training step; returns what ``evaluate`` returns, from before the update."""
        samples, targets = self._check_data(x, y, "train_on_batch")
        self.build(samples.shape)
        self._reset_metrics()
        loss, out = self.train_step(samples, targets, "train_on_batch")
        self._update_metrics([loss], targets, out, len(out))
        return self._returned(self._logs(), return_dict)

    def test_on_batch(self, x: ArrayLike, y: ArrayLike, return_dict: bool = False) -> float | list[float] | Logs:
        """Evaluate one batch; returns what ``evaluate`` returns."""
        samples, targets = self._check_data(x, y, "test_on_batch")
        return self.evaluate(samples, targets, batch_size=len(samples), verbose=0, return_dict=return_dict)

    def predict_on_batch(self, x: ArrayLike) -> Array:
        """Outputs for one batch."""
        return self(x)

    def _steps_at_once(self, x: Array | Pixels, batch_size: int, callbacks: Sequence[Callback]) -> int:
        """How many steps ``fit`` takes in one go: one if somebody wants to know of each, or it is not the compiled one.

        Else as many as are over in a moment, so that Ctrl-C, a bar and a backup need not wait.
        """
        own = overridden(self, Trainer, "train_step") or any(
            type(metric) not in METRICS.values() or overridden(metric, type(metric), "update_state")
            for metric in self.metrics
        )
        fused = fused_step(self, *self._compiled("fit"))
        if own or not fused or not fused.reads(x) or any(callback.every_batch for callback in callbacks):
            return 1
        weights, outputs = self.count_params(), math.prod(filter(None, self.output_shape or ()))
        return max(1, min(STEPS, min(MULTIPLICATIONS // weights, OUTPUTS // outputs) // batch_size))

    def _take_steps(self, x: Array | Pixels, y: Array, orders: Sequence[Array], where: str) -> int:
        """Train on several batches in one go, if the compiled step still can; return on how many."""
        loss, optimizer = self._compiled("fit")
        fused = fused_step(self, loss, optimizer)
        if not fused:  # a callback has changed the optimizer
            return 0
        order, size = np.concatenate(orders), len(orders[0])
        y = y[order]
        steps, losses, out = self._train(fused, x, order, y, size, where)
        values = [float(loss.reduce(losses[i * size : (i + 1) * size])) for i in range(steps)]
        self._update_metrics(values, y[: steps * size], out[: steps * size], size)
        return steps

    def _train(
        self, fused: "FusedStep", x: Array | Pixels, order: Array, y: Array, batch_size: int, where: str
    ) -> tuple[int, Array, Array]:
        """Take the steps that those samples of x, and their targets y, are enough for; see ``FusedStep.train``."""
        loss, optimizer = self._compiled("fit")
        t = loss.smooth(loss.targets(y, fused.weights[-1][0]))
        rate = float(optimizer.learning_rate)
        try:
            return fused.train(x, order, t, batch_size, rate, stop_on_nonfinite=where != "")
        finally:
            optimizer.iterations += fused.steps  # also if the user has interrupted

    def _warn_not_finite(self, x: Array | Pixels, y: Array, where: str) -> None:
        loss, _ = self._compiled("trace")
        bad = next(name for name, tensor in self.trace_batch(loss, x, y).items() if not np.isfinite(tensor).all())
        warnings.warn(
            f"The loss is not finite any more: {where}; the first tensor with NaN or infinity in it is {bad!r}. "
            "A smaller learning rate or clipnorm may help.",
            stacklevel=4,
        )

    def _compiled(self, method: str) -> tuple[CategoricalCrossentropy, SGD]:
        if self.loss is None or self.optimizer is None:
            raise ValueError(f"Call compile(optimizer, loss, metrics) before {method}().")
        return self.loss, self.optimizer

    def _check_data(
        self, x: ArrayLike, y: ArrayLike, method: str = "fit", prefix: str = ""
    ) -> tuple[Array | Pixels, Array]:
        loss, _ = self._compiled(method)
        samples = self.check_inputs(x, f"{prefix}x")
        targets = loss.check_targets(y, self.compute_output_shape(samples.shape), f"{prefix}y")
        check_same_length(f"{prefix}x", samples, f"{prefix}y", targets)
        return samples, targets

    def _hold_out(
        self, x: Array | Pixels, y: Array, split: float, data: tuple[ArrayLike, ArrayLike] | None
    ) -> tuple[Array | Pixels, Array, tuple[Array | Pixels, Array] | None]:
        """Samples to train on, their targets, and what to validate with."""
        if isinstance(split, bool) or not 0 <= check_number("validation_split", split) < 1:
            raise ValueError(f"validation_split must be at least 0 and less than 1; got {split!r}.")
        if data is not None:
            if not isinstance(data, tuple | list) or len(data) != 2:
                raise ValueError(f"validation_data must be a pair (x, y); got {type(data).__name__}.")
            val_x, val_y = self._check_data(*data, prefix="validation ")
            if val_x.shape[1:] != x.shape[1:]:
                raise ValueError(f"validation x must have samples like x, {x.shape[1:]}; got {val_x.shape[1:]}.")
            return x, y, (val_x, val_y)
        if split == 0:
            return x, y, None
        kept = math.floor(len(x) * (1 - split))
        if kept in (0, len(x)):
            raise ValueError(
                f"validation_split={split} of {len(x)} samples leaves none to {'validate' if kept else 'train'} with."
            )
        return x[:kept], y[:kept], (x[kept:], y[kept:])

    def _listeners(
        self,
        callbacks: Callback | Sequence[Callback] | None,
        verbose: Verbose,
        *,
        epochs: int,
        steps: int,
        record: bool = False,
    ) -> CallbackList:
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f"verbose must be 'auto', 0, 1 or 2; got {verbose!r}.")
        verbose = (1 if interactive() else 2) if verbose == "auto" else int(verbose)
        listeners = [callbacks] if isinstance(callbacks, Callback) else check_list("callbacks", callbacks)
        listeners += [ProgbarLogger()] if verbose else []
        if record and not any(isinstance(callback, History) for callback in listeners):
            listeners.append(History())  # last, as in Keras: after whoever may add to the logs
        listeners.sort(key=lambda callback: isinstance(callback, BackupAndRestore))  # it looks at what all others did
        return CallbackList(listeners, self, {"verbose": verbose, "epochs": epochs, "steps": steps})

    def _evaluate(self, x: Array | Pixels, y: Array, batch_size: int, tell: CallbackList, where: str = "") -> Logs:
        loss, _ = self._compiled("evaluate")
        logs: Logs = {}
        self._reset_metrics()
        tell.on_test_begin({})
        for step, rows in enumerate(batches(len(x), batch_size)):
            tell.on_test_batch_begin(step, {})
            with np.errstate(over="ignore", invalid="ignore"):
                out = self.forward(x[rows])
                _, value = self.compute_loss(loss, out, loss.targets(y[rows], out))
                if where and _all_finite(logs) and not np.isfinite(value):
                    self._warn_not_finite(x[rows], y[rows], where)
            self._update_metrics([float(value)], y[rows], out, len(out))
            logs = self._logs()
            tell.on_test_batch_end(step, logs)
        tell.on_test_end(logs)
        return logs

    def running_means(self) -> list[Mean]:
        """The loss and the metrics of the epoch so far, as objects."""
        return [self.mean_loss, *self.metrics]

    def _logs(self) -> Logs:
        """Their values by name, in Keras's order: alphabetical."""
        return {mean.name: mean.result() for mean in sorted(self.running_means(), key=lambda mean: mean.name)}

    def _reset_metrics(self) -> None:
        self.mean_loss = Mean("loss")
        for metric in self.metrics:
            metric.reset_state()

    def _update_metrics(self, losses: Sequence[float], y: Array, out: Array, batch_size: int) -> None:
        """See the losses of some batches, and what came out for their samples."""
        for i, loss in enumerate(losses):
            count = min(batch_size, len(out) - i * batch_size)
            self.mean_loss.add(loss * count, count)
        for metric in self.metrics:
            metric.update_state(y, out)

    def _returned(self, logs: Logs, as_dict: bool) -> float | list[float] | Logs:
        if as_dict:
            return logs
        values = [logs[m.name] for m in self.running_means()]
        return values if self.metrics else values[0]


def _all_finite(logs: Logs) -> bool:
    return all(map(math.isfinite, logs.values()))

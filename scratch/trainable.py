"""``TrainableNetwork``: ``compile``, one training step, and the running metrics."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from scratch import execution, losses, optimizers
from scratch import metrics as metrics_module
from scratch.batches import Data
from scratch.callbacks import Callback, History, Logs
from scratch.checks import check_same_length
from scratch.dropped_names import refuse_unknown_arguments
from scratch.execution import Steps, TrainFunction
from scratch.fit_state import FitState
from scratch.losses import Loss
from scratch.losses.weighted import WeightedLoss
from scratch.metrics import Mean, Metric
from scratch.network import Network
from scratch.optimizers import Optimizer
from scratch.pixels import Pixels
from scratch.sample_weights import weights_of
from scratch.utils import Array, accepted, overridden, warn_user


class TrainableNetwork(Network):
    """A network that ``compile`` has given a loss, an optimizer and metrics.

    Attributes:
        fit_state: the state of the running ``fit``, for callbacks; None at other times.
        history: what the last ``fit`` returned.
    """

    fit_state: FitState | None = None
    history: History

    def compile(
        self,
        optimizer: str | Optimizer = "rmsprop",
        loss: str | Loss | type[Loss] | Callable[..., Any] | None = None,
        loss_weights: None = None,
        metrics: str | Sequence[str | Metric | type[Metric] | Callable[..., Any]] | None = None,
        weighted_metrics: str | Sequence[str | Metric | type[Metric] | Callable[..., Any]] | None = None,
        run_eagerly: bool = False,
        **unknown: object,
    ) -> None:
        """Configure the model for training; its parameters stay as they are.

        Args:
            optimizer: one of the names in ``scratch.optimizers.OPTIMIZERS``, or an optimizer object.
            loss: one of the names in ``scratch.losses.LOSSES``, a loss object, or a function of ``scratch.losses``.
            loss_weights: Keras's argument for several outputs; must be None.
            metrics: names, metric objects or functions of (y_true, y_pred), such as ``['accuracy']``.
            weighted_metrics: as ``metrics``, but means over samples with the weights that ``fit`` is given.
            run_eagerly: whether to train layer by layer on either backend, so that a ``print`` or a breakpoint in
                ``layers.py`` is reached for every batch.
            **unknown: Keras's further arguments, with its defaults.

        Raises:
            TypeError: if there is another argument.
            ValueError: if a name is unknown, the loss has no reduction to one number or no operation on the model's
                backend, or the optimizer belongs to another model.
        """
        refuse_unknown_arguments("compile", unknown, "compile")
        if loss_weights is not None:
            raise ValueError(
                "scratch does not support loss_weights, the third argument as in Keras; "
                f"got {loss_weights!r}. Pass metrics by name: metrics=['accuracy']."
            )
        new_optimizer, new_loss = optimizers.get(optimizer), copy.copy(losses.get(loss))
        new_loss.backend = self.backend
        new_loss.check_op()
        if new_loss.reduction == "none":
            raise ValueError("compile needs a loss that is one number per batch; got one with reduction=None.")
        if new_optimizer.owner not in (None, self):
            raise ValueError("The optimizer belongs to another model; create a new one for each model.")
        self._choose_metrics((metrics, weighted_metrics), new_loss, self._units())
        if new_optimizer.owner is None:  # new, or a copy of another model's optimizer, whose state does not apply
            new_optimizer.iterations, new_optimizer.state = 0, {}
        self.optimizer, self.loss, self.run_eagerly = new_optimizer, new_loss, bool(run_eagerly)
        self.optimizer.owner = self
        self.mean_loss, self.history = Mean("loss"), History()

    @property
    def metrics_names(self) -> list[str]:
        """``loss`` and, for all metrics, ``compile_metrics``, as in Keras 3; see ``return_dict`` of ``evaluate``."""
        if self.loss is None:
            return []
        return ["loss"] if self._listed_metrics == (None, None) else ["loss", "compile_metrics"]

    def _choose_metrics(self, listed: tuple[Any, Any], loss: Loss, units: int | None) -> None:
        """Set the metrics that are listed, plain and weighted, as they fit the loss and the number of outputs."""
        self.metrics = metrics_module.get(listed[0], loss, units, listed[1])
        self._listed_metrics, self._units_of_metrics = listed, units

    def _units(self) -> int | None:
        """Return the number of outputs, also of a model that is not built; None if it is unknown."""
        known = (
            layer._units() if isinstance(layer, TrainableNetwork) else getattr(layer, "units", None)
            for layer in reversed(self.layers)
        )
        return next((units for units in known if units is not None), None)

    def train_step(self, x: Array | Pixels, y: Array, sample_weight: Array | None = None) -> tuple[float, Array]:
        """Take one training step through the layers: forward, loss, backward, update.

        Args:
            x: inputs of one batch.
            y: its targets, as checked by the loss.
            sample_weight: the weight of each sample (N,), if they have any.

        Returns:
            The loss and the outputs, both from before the update.

        Warns:
            UserWarning: if the loss is not finite; once per ``fit``.
        """
        loss, optimizer = self.loss_and_optimizer("train_step")
        loss = loss if sample_weight is None else WeightedLoss(loss, sample_weight)
        with np.errstate(over="ignore", invalid="ignore"):  # reported by the warning
            out = self.forward(x, **accepted(self.forward, training=True))
            criterion, value = self.compute_loss(loss, out, loss.targets(y, out.shape[1], out.dtype))
            self.backward(criterion)
            if not np.isfinite(value):
                self.warn_nonfinite_loss(x, y)
            optimizer.update(self.params, self.grads)
        return float(value), out

    def make_train_function(
        self,
        x: Array | Pixels,
        y: Array,
        batch_size: int,
        callbacks: Sequence[Callback] = (),
        sample_weight: Array | None = None,
    ) -> TrainFunction:
        """Return the function that executes training steps: see ``execution.py``."""
        if sample_weight is not None or overridden(self, TrainableNetwork, "train_step"):
            return execution.LayerByLayer(self.train_step, x, y, sample_weight)
        return execution.make_train_function(self, self.train_step, x, y, batch_size, callbacks)

    def loss_and_optimizer(self, method: str) -> tuple[Loss, Optimizer]:
        """Return the loss and the optimizer, or raise a ``ValueError`` if ``compile`` has not been called."""
        if self.loss is None or self.optimizer is None:
            raise ValueError(f"Call compile(optimizer, loss, metrics=…) before {method}().")
        return self.loss, self.optimizer

    def check_data(
        self, x: ArrayLike, y: ArrayLike, method: str = "fit", prefix: str = ""
    ) -> tuple[Array | Pixels, Array]:
        """Return samples and targets as arrays that the model and its loss accept, without a copy.

        Args:
            x: samples (N, …).
            y: targets (N, …).
            method: the calling method, for error messages.
            prefix: precedes the names x and y in error messages.

        Raises:
            ValueError: if the model is not compiled, or x or y does not fit it.
        """
        loss, _ = self.loss_and_optimizer(method)
        samples = self.check_inputs(x, f"{prefix}x")
        output_shape = self.compute_output_shape(samples.shape)
        units = output_shape[-1]
        if self._units_of_metrics != units:  # layers have been added or removed since ``compile``
            self._choose_metrics(self._listed_metrics, loss, units)
        if isinstance(y, list | tuple) and len(y) == 1 and getattr(y[0], "shape", ())[:1] == (len(samples),):
            y = y[0]  # the targets of the only output, as in Keras
        targets = loss.check_targets(y, output_shape, f"{prefix}y")
        check_same_length(f"{prefix}x", samples, f"{prefix}y", targets)
        return samples, targets

    def checked(
        self, x: ArrayLike, y: Any, sample_weight: ArrayLike | None, method: str = "fit", prefix: str = ""
    ) -> Data:
        """Return what ``check_data`` returns, with the weights of the samples."""
        samples, targets = self.check_data(x, y, method, prefix)
        return Data(samples, targets, weights_of(targets, sample_weight, argument=f"{prefix}sample_weight"))

    def warn_nonfinite_loss(self, x: Array | Pixels, y: Array) -> None:
        """Warn that the loss of a batch is not finite, naming the first such tensor; once per ``fit``."""
        state, place = self.fit_state, "train_on_batch"
        if state is not None:
            if state.nonfinite_loss_reported:
                return
            state.nonfinite_loss_reported, place = True, state.place
        warn_user(
            f"The loss is not finite any more: {place}; the first tensor with NaN or infinity is "
            f"{self.first_nonfinite(x, y)!r}. A smaller learning rate or clipnorm may help."
        )

    def first_nonfinite(self, x: Array | Pixels, y: Array) -> str:
        """Return the name of the first tensor with NaN or infinity, for a batch whose loss is not finite."""
        assert self.loss is not None
        validating = self.fit_state is not None and self.fit_state.validating
        trace = self.detached().trace_batch(self.loss, x, y, training=not validating)
        return next((name for name, tensor in trace.items() if not np.isfinite(tensor).all()), "loss")  # another mask

    def detached(self) -> Self:
        """Return a shallow copy that shares the parameters and has metrics of its own."""
        detached = super().detached()
        detached.metrics = [metric.detached() for metric in self.metrics]
        detached.mean_loss = Mean("loss")
        return detached

    def metric_values(self) -> Logs:
        """Return the current values by name, in Keras's order: alphabetical."""
        return {mean.name: mean.result() for mean in sorted(self.running_means(), key=lambda mean: mean.name)}

    def reset_metrics(self) -> None:
        """Reset all running means."""
        for mean in self.running_means():
            mean.reset_state()

    def update_metrics(self, steps: Steps) -> None:
        """Add the results of training or evaluation steps to the running means."""
        for i, loss in enumerate(steps.losses):
            count = min(steps.batch_size, len(steps.out) - i * steps.batch_size)
            self.mean_loss.add(loss * count, count)
        for metric in self.metrics:
            if metric.weighted and steps.sample_weight is not None:
                metric.update_state(steps.y, steps.out, steps.sample_weight)
            else:
                metric.update_state(steps.y, steps.out)

"""``Network``: a stack of layers, and one pass forward and back through it.

This is the book's network: ``forward`` runs the layers in order, ``backward`` in reverse.  Training with Keras's
interface is built on it in ``training.py``.  To watch a pass in a debugger, compile with ``run_eagerly=True`` (``python
-m scratch --eager``): the compiled core of ``backend="numba"`` calls neither ``forward`` nor ``backward``, in training
or when a model that it has trained predicts.
"""

import threading
from contextlib import suppress
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from scratch import utils
from scratch.checks import check_array
from scratch.layer import Layer, gradient_name
from scratch.layer_stack import LayerStack
from scratch.losses import Loss
from scratch.metrics import Mean, Metric
from scratch.optimizers import Optimizer
from scratch.pixels import Pixels
from scratch.utils import Array, Shape


class Network(LayerStack):
    """A stack of layers with a forward and a backward pass, and what ``compile`` sets.

    Attributes:
        optimizer: the optimizer given to ``compile``; None before.
        loss: a copy of the loss given to ``compile``, with the model's backend; None before.
        metrics: the metrics given to ``compile``, as objects.
        mean_loss: running mean of the loss.
        run_eagerly: whether training always runs layer by layer.
        fused: the compiled training step, created by ``scratch.fusion`` when it is first used.
        stop_training: a callback sets it to True to end ``fit`` after the current step.
        inference_waits: whether a thread may be waiting for the lock; ``fit`` then pauses after the step.
    """

    optimizer: Optimizer | None = None
    loss: Loss | None = None
    metrics: list[Metric] = []  # noqa: RUF012 (replaced by compile, never changed)
    mean_loss: Mean
    run_eagerly: bool = False
    stop_training = False
    fused: Any = None
    inference_waits = False

    def running_means(self) -> list[Mean]:
        """Return the running means of the epoch: the loss, then the metrics in the order of ``compile``."""
        return [self.mean_loss, *self.metrics]

    def forward(self, x: Array | Pixels, trace: dict[str, Array] | None = None, training: bool = False) -> Array:
        """Return the output of the last layer for a batch x (順伝播).

        Args:
            x: a batch (N, …).
            trace: receives every layer's output.
            training: whether to compute as in training; passed to each layer whose ``forward`` has this argument.
        """
        out = x
        for layer in self._layers:
            out = layer.forward(np.asarray(out, layer.dtype), **utils.accepted(layer.forward, training=training))
            if trace is not None:
                trace[f"{layer.name}/out"] = out.copy()
        return np.asarray(out)

    def compute_loss(self, loss: Loss, y: Array, t: Array) -> tuple[Loss, Array]:
        """Return the loss of the last ``forward``, whose output was y, preceded by the object that computed it.

        The loss includes the penalties of the layers' regularizers, whose gradients the layers add in ``backward``.

        After a softmax layer that object computes the loss from the logits, if the loss can: ``SoftmaxCrossEntropy``.
        Likewise ``SigmoidCrossEntropy`` after a sigmoid.
        """
        if of_logits := self.loss_of_logits(loss):
            loss, y = of_logits, self.last_layer.z
        value, penalty = loss.forward(y, t), self.penalty()
        if np.ndim(value):
            raise ValueError(
                f"forward of the loss {type(loss).__name__} must return one number, such as self.reduce(losses); "
                f"got shape {np.shape(value)}."
            )
        return loss, value + value.dtype.type(penalty) if penalty else value

    def loss_of_logits(self, loss: Loss) -> Loss | None:
        """Return the same loss as a function of the last layer's logits; None if it is computed from the outputs."""
        last, of_logits = self.last_layer, loss.for_logits()
        is_fused = of_logits is not None and of_logits.logits_of == last.activation
        return of_logits if is_fused and not utils.overridden(last, Layer, "activate", "activate_backward") else None

    def backward(
        self,
        dout: Array | Loss,
        trace: dict[str, Array] | None = None,
        *,
        from_logits: bool = False,
        need_dx: bool = True,
    ) -> Array | None:
        """Store the gradients of the loss in every layer's ``grads`` (誤差逆伝播).

        Nothing is computed below the first layer with parameters, unless the result is needed or a ``trace`` is given.

        Args:
            dout: the first result of ``compute_loss``; for a model that is a layer of another model, the gradient with
                respect to its output.
            trace: receives every gradient.
            from_logits: as for other layers.
            need_dx: as for other layers; after a loss, the gradient with respect to the input is not needed.
        """
        if isinstance(dout, Loss):
            from_logits, need_dx = self.last_layer.activation == dout.logits_of, False
            dout = dout.backward()
            if trace is not None:
                trace["loss/dx"] = np.array(dout)
        dx: Array | None = dout
        trainable = [layer for layer in self._layers if layer.params]
        for layer in reversed(self._layers):
            assert dx is not None
            is_last = layer is self._layers[-1]
            goes_on = need_dx or trace is not None or (bool(trainable) and layer is not trainable[0])
            dx = layer.backward(np.asarray(dx, layer.dtype), from_logits=from_logits and is_last, need_dx=goes_on)
            if trace is not None:
                trace[f"{layer.name}/dx"] = np.array(dx)
                grads = layer.grads.items()
                trace.update({gradient_name(f"{layer.name}/{key}"): grad.copy() for key, grad in grads})
            if not goes_on:
                return None
        return dx

    def trace_batch(self, loss: Loss, x: Array | Pixels, y: Array, training: bool = True) -> dict[str, Array]:
        """Run one checked batch forward and backward, and return the trace that ``Sequential.trace`` describes."""
        trace: dict[str, Array] = {}
        out = self.forward(x, trace, **utils.accepted(self.forward, training=training))
        criterion, trace["loss"] = self.compute_loss(loss, out, loss.targets(y, out.shape[1], out.dtype))
        self.backward(criterion, trace)
        return trace

    def check_inputs(self, x: ArrayLike, argument: str = "x") -> Array | Pixels:
        """Return x as an array, or as pixels, that the first layer accepts, without a copy.

        As in Keras, a last axis of length 1 is added or removed if the model's input has one axis more or less.

        Raises:
            ValueError: if x is not a batch of finite numbers of the right shape.
        """
        if hasattr(x, "__iter__") and not hasattr(x, "__getitem__") and not hasattr(x, "__array__"):  # tf.data.Dataset
            raise ValueError(
                f"{argument} must be an array, a generator of batches or a utils.PyDataset; got {type(x).__name__}."
            )
        dtype, x = self._layers[0].dtype if self._layers else None, self._only_input(x, argument)
        array = x if isinstance(x, Pixels) else check_array(argument, x, dtype)
        rank = len(self.input_shape or array.shape)
        if len(array.shape) == rank - 1 and self.input_shape is not None and self.input_shape[-1] == 1:
            array = array[..., np.newaxis]
        elif len(array.shape) == rank + 1 and array.shape[-1] == 1:
            array = array[..., 0]
        self.compute_output_shape(array.shape)
        return array

    def _only_input(self, x: ArrayLike | Pixels, argument: str) -> ArrayLike | Pixels:
        """Return the array of a list of one array, as Keras does; x itself if it may be a list of samples.

        Raises:
            ValueError: if x is a list of several arrays, each a batch that the model accepts.
        """
        if not isinstance(x, list | tuple) or not x:
            return x
        shape = getattr(x[0], "shape", ())
        if len(shape) < 2 or self._accepts((len(x), *shape)) or not self._accepts(shape):
            return x
        if len(x) > 1:
            raise ValueError(f"{argument} must be one array, the input of this model; got a list of {len(x)} arrays.")
        only: ArrayLike | Pixels = x[0]
        return only

    def _accepts(self, input_shape: Shape) -> bool:
        with suppress(ValueError):
            self.compute_output_shape(input_shape)
            return True
        return False

    def reading(self) -> "threading.RLock":
        """Return the lock that inference holds; also ask ``fit`` to pause after its step, so that inference gets it."""
        self.inference_waits = True
        return self.lock

    def __getstate__(self) -> dict[str, Any]:
        # The lock and a running fit belong to one object; a copy that a callback makes during fit is not being trained.
        return {name: value for name, value in vars(self).items() if name not in ("lock", "fit_state")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, fused=None)  # whose buffers need one lock
        self.set_lock(threading.RLock())
        if self.optimizer is not None and self.optimizer.owner is None:
            self.optimizer.owner = self

    def detached(self) -> Self:
        """Return a shallow copy that shares the parameters.

        Inference and traces run on it, because ``forward`` and ``backward`` keep tensors in the layers: several threads
        may use a model at once, and what a training step keeps for its backward pass stays.  With a method that was
        replaced on this object, the copy shares the layers too: that method runs the layers of this object.
        """
        copy = object.__new__(type(self))
        vars(copy).update(vars(self))
        if vars(self).keys().isdisjoint(("forward", "compute_loss", "backward")):
            copy._layers = [layer.detached() for layer in self._layers]
        return copy

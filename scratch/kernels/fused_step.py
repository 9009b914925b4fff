"""Fused steps: forward, loss, backward and update of Dense layers, with Dropout, many steps in one call.

Inference is a step that ends with the loss.

Layer by layer, all cores synchronize after every operation and return to Python.  A fused step consists of a few
*passes* (see ``plan``), each of which is partitioned into *chunks*, and every worker thread executes chunks until all
steps are done.  Measured for the article's network (60,000 digits, float32, batch size 100, all layers partitioned by
samples) on one core of an AMD EPYC (Zen 5), processor time: 0.26 s per epoch, layer by layer (``run_eagerly=True``)
0.35 s.

Worked example
--------------

The article's network, 784-256-100-10, with batches of 100 samples and two workers.  The first layer is partitioned by
inputs, the others by samples (chunks start at multiples of 4, those of W at multiples of 16), and a step has three
passes::

    pass  operations                   chunk 0                       chunk 1
    0     gather, forward 0            inputs 0 to 399               inputs 400 to 783   of all samples
    1     activate 0, forward 1 and    samples 0 to 51               samples 52 to 99
          2, activate 1 and 2, loss,
          backward 2, 1
    2     update 0                     W[0:400] and b (256,)         W[400:784]          of W (784, 256)
          update 1                     W[0:128] and b (100,)         W[128:256]          of W (256, 100)
          update 2                     W[0:64] and b (10,)           W[64:100]           of W (100, 10)

The 600 steps of an epoch are 1,800 passes, numbered 0 to 1799.  If the first layer had 1,024 units, it would be
partitioned by units: gather and forward 0 (chunk 0: units 0 to 511); forward 1 to backward 1, by samples; and the
updates, where layer 0 is partitioned by units again.  With clipping by a norm, ``apply`` 0, 1, 2 are one more pass.
"""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratch.kernels import STATE_ARRAYS, Rule, clips_by_norm
from scratch.kernels.arrays import writeable
from scratch.kernels.job import APPLY, PADDING, UPDATE, Job, Progress, Samples, State
from scratch.kernels.masks import Dropout, Masks, draw_masks, empty_masks
from scratch.kernels.parameters import Parameters, Weights
from scratch.kernels.plan import Key, Plan, chunk_count
from scratch.kernels.single_steps import SingleSteps
from scratch.kernels.workers import run_workers
from scratch.pixels import Pixels

Array = NDArray[Any]
Known = Sequence[tuple[Array | None, Array | None]]  # what is known of W and b of each layer
INFERENCE_BATCH = 512  # samples of a step at most: the results of a sample do not depend on the others
NO_SAMPLES = Samples(*(np.empty(0, dtype) for dtype in (np.uint8, np.float32, np.float64)))
NO_UPDATE = Rule(0, 0.0, 0.0, 0.0, False, 0.0, 0.0, 0.0, 0.0)


class FusedStep:
    """Forward, backward and update for Dense layers, a softmax with cross-entropy, and an optimizer with a ``Rule``.

    Before each Dense layer may be a Dropout.

    Args:
        weights: W (inputs, units) and b (units,) or None of each layer, first to last, of one dtype; are copied.
        activations: the activation after each layer, of ``kernels.FUSED_ACTIVATIONS``; the last is ``softmax``.

    Attributes:
        weights: the parameters that it trains: views of one flat array, to be used in place of the arguments.
        dropouts: the Dropout layer before each Dense layer, whose masks ``train`` draws, or None; may be assigned.
        dtype: of the parameters.
        classes: number of outputs.
        steps: number of complete steps of the last call of ``train``, also if that call raised an exception; callers
            of ``single_steps`` assign it.

    Raises:
        ValueError: if the parameters do not fit together.
    """

    def __init__(self, weights: Weights, activations: Sequence[str]) -> None:
        _check_parameters(weights)
        self.parameters = Parameters(weights)
        self.weights = self.parameters.views(self.parameters.flat)
        self.activations = list(activations)
        self.dropouts: Sequence[Dropout | None] = [None] * len(weights)
        self.dtype, self.classes = self.weights[0][0].dtype, self.weights[-1][0].shape[1]
        self.arrays, self.views = np.zeros(0, self.dtype), list[Weights]()
        self.plans: dict[str, Plan] = {}  # of "train" and "infer"
        self.widths = [len(W) for W, _ in weights]
        self.no_masks = empty_masks(self.dropouts, self.widths, 0, self.dtype)
        self.steps = 0

    @property
    def masks_per_sample(self) -> int:
        """Bytes of the masks of one sample."""
        return sum(width for width, dropout in zip(self.widths, self.dropouts, strict=True) if dropout)

    def is_for(self, weights: Weights, activations: Sequence[str]) -> bool:
        """Return whether it updates these arrays, the same objects, and has these activations."""
        return (
            len(weights) == len(self.weights)
            and all(W is V and b is c for (W, b), (V, c) in zip(weights, self.weights, strict=True))
            and self.activations == activations
        )

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # a copied or pickled model gets None: its parameters are other arrays

    def state_arrays(self, known: Sequence[Known], initial: float) -> list[Weights]:
        """Return the state arrays of an optimizer that ``train`` reads and updates: views of one flat array.

        Args:
            known: for each state array its values so far, for W and b of each layer; None for the initial value.  They
                are copied to a new array, unless they are what this method has returned last.
            initial: the initial value.
        """
        arrays, views = list(chain(*chain(*known))), list(chain(*chain(*self.views)))
        if len(arrays) != len(views) or any(array is not view for array, view in zip(arrays, views, strict=True)):
            size = self.parameters.flat.size  # the present array may be the state of an optimizer that is used again
            self.arrays = Parameters.zeros(len(known) * size, self.dtype)
            self.views = [self.parameters.views(self.arrays[i * size :]) for i in range(len(known))]
            for array, view in zip(arrays, chain(*chain(*self.views)), strict=True):
                if view is not None:
                    view[...] = initial if array is None else array
        return self.views

    def train(
        self, x: Array | Pixels, order: Array, t: Array, batch_size: int, rule: Rule, steps: Array
    ) -> tuple[int, Array, Array]:
        """Take one step for each batch of the given samples; stop before the update of a batch with a nonfinite loss.

        Args:
            x: samples (N, …), which are flattened to rows of D numbers; bytes, float32 and float64 are read in place.
            order: indices of the samples to train on (n,), batch after batch.
            t: their targets (n, C), of the weights' dtype.
            batch_size: samples per step; the last step may have fewer.
            rule: of the optimizer; if it has state arrays, ``state_arrays`` has been called.
            steps: learning rate and step size of each step (steps, 2), float64.

        Returns:
            Number of complete steps; losses (n,) and probabilities (n, C) of the samples, each from before the update
            of its batch.

        Raises:
            ValueError: if the samples do not have as many numbers as the first layer has inputs, or the other arguments
                do not fit them.
        """
        self.steps = 0
        _check_order(order, len(x), batch_size)
        expected_steps = math.ceil(len(order) / batch_size), 2
        if steps.shape != expected_steps or steps.dtype != np.float64:
            raise ValueError(f"A fused step needs steps {expected_steps}, float64; got {steps.dtype} {steps.shape}.")
        plan = self._training_plan(rule, min(batch_size, len(order)))
        masks = empty_masks(self.dropouts, self.widths, len(order), self.dtype)
        for ahead, first in enumerate(range(0, len(order), batch_size) if any(self.dropouts) else ()):
            draw_masks(masks, self.dropouts, self.widths, (first, min(batch_size, len(order) - first)), ahead)
        job = self._job(plan, x, order, t, rule, steps, masks)
        try:
            run_workers(job, plan.buffers)
        finally:
            passes = len(plan.pass_starts) - 1
            self.steps = int(job.progress.chunks_done[0]) // (plan.chunks * passes)
        return self.steps, job.losses, job.probabilities

    def single_steps(self, x: Array | Pixels, batch_size: int, rule: Rule, count: int) -> SingleSteps:
        """Return a series of at most so many steps, to be taken one at a time.

        Args:
            x: samples, as for ``train``; must be read in place.
            batch_size: samples per step.
            rule: of the optimizer, as for ``train``.
            count: of the steps.

        Raises:
            ValueError: as ``train``.
        """
        plan, n = self._training_plan(rule, batch_size), count * batch_size
        masks = empty_masks(self.dropouts, self.widths, n, self.dtype)
        order, t = np.zeros(n, np.int64), np.empty((n, self.classes), self.dtype)
        job = self._job(plan, x, order, t, rule, np.empty((count, 2)), masks)
        return SingleSteps(job, plan.buffers, self.dropouts)

    def infer(self, x: Array | Pixels, t: Array) -> tuple[Array, Array]:
        """Compute the losses (n,) and the probabilities (n, C) of samples, without Dropout and without an update.

        Args:
            x: samples (n, …), as for ``train``.
            t: their targets (n, C).

        Raises:
            ValueError: as ``train``.
        """
        # A power of two, so that calls with similar numbers of samples have the same plan.
        batch_size = min(1 << (len(x) - 1).bit_length(), INFERENCE_BATCH)
        steps = np.zeros((math.ceil(len(x) / batch_size), 2))
        plan = self._plan(batch_size, ())
        job = self._job(plan, x, np.arange(len(x)), t, NO_UPDATE, steps, self.no_masks)
        run_workers(job, plan.buffers)
        return job.losses, job.probabilities

    def _training_plan(self, rule: Rule, batch_size: int) -> Plan:
        needed, found = STATE_ARRAYS[rule.kind], len(self.views)
        if needed > found:
            raise ValueError(f"A fused step needs state_arrays(…) for {needed} arrays before this rule; got {found}.")
        return self._plan(batch_size, (UPDATE, APPLY) if clips_by_norm(rule) else (UPDATE,))

    def _plan(self, batch_size: int, updates: Sequence[int]) -> Plan:
        """Return the plan for batches of this size: the last one, or a new one."""
        dropped = [dropout is not None and bool(updates) for dropout in self.dropouts]
        key = Key(chunk_count(self.weights, batch_size), batch_size, updates, dropped)
        use = "train" if updates else "infer"
        if use not in self.plans or self.plans[use].key != key:
            self.plans.pop(use, None)  # releases the old buffers, also if there is no memory for new ones
            self.plans[use] = Plan(self.parameters, self.activations, key)
        return self.plans[use]

    def _job(
        self, plan: Plan, x: Array | Pixels, order: Array, t: Array, rule: Rule, steps: Array, masks: Masks
    ) -> Job:
        """Return the description of the steps for the workers, after a check; the arguments are those of ``train``."""
        if t.shape != (len(order), self.classes) or t.dtype != self.dtype:
            expected = f"{self.dtype} targets of shape {(len(order), self.classes)}"
            raise ValueError(f"A fused step needs {expected}; got {t.dtype} of shape {t.shape}.")
        if not reads(x):
            x, order = writeable(x[order].astype(self.dtype)), np.arange(len(order))
        rows = (x.bytes if isinstance(x, Pixels) else x).reshape(len(x), -1)
        inputs = len(self.weights[0][0])
        if rows.shape[1] != inputs:
            raise ValueError(f"The first layer expects {inputs} numbers per sample; received x with shape {x.shape}.")
        counters = np.zeros((3 + plan.chunks, PADDING), np.int64)
        return Job(
            plan.layers,
            plan.operations,
            plan.pass_starts,
            plan.chunks,
            plan.batch_size,
            plan.buffer_sizes,
            _samples(rows),
            order,
            writeable(t),
            State(self.parameters.flat, self.arrays, plan.gradients, plan.squares, plan.activations),
            np.empty(len(t), self.dtype),
            np.empty(t.shape, self.dtype),
            rule,
            writeable(steps),
            masks,
            Progress(counters[0], counters[1], counters[2], counters[3:]),
        )


def reads(x: Array | Pixels) -> bool:
    """Return whether a fused step reads these samples in place; others are copied and converted first."""
    rows = x.bytes if isinstance(x, Pixels) else x
    dtypes = (np.uint8,) if isinstance(x, Pixels) else (np.float32, np.float64)
    return rows.flags.carray and rows.dtype in dtypes


def _samples(rows: Array) -> Samples:
    return Samples(*(rows.reshape(-1) if rows.dtype == empty.dtype else empty for empty in NO_SAMPLES))


def _check_parameters(weights: Weights) -> None:
    """Raise a ``ValueError`` unless the parameters have one dtype, are contiguous, and their shapes form a chain."""
    dtype, inputs = weights[0][0].dtype, len(weights[0][0])
    for W, b in weights:
        units = W.shape[-1]
        for array, shape in ((W, (inputs, units)), (b, (units,))):
            if array is not None and not (array.shape == shape and array.dtype == dtype and array.flags.carray):
                found = f"{array.dtype} of shape {array.shape}"
                raise ValueError(f"A fused step needs a contiguous {dtype} parameter of shape {shape}; got {found}.")
        inputs = units


def _check_order(order: Array, samples: int, batch_size: int) -> None:
    """Raise a ``ValueError`` unless the order has the numbers of one or more samples."""
    is_order = order.ndim == 1 and order.dtype == np.int64 and len(order) > 0 and batch_size > 0
    if not is_order or order.min() < 0 or order.max() >= samples:
        raise ValueError(
            f"A fused step needs batches of int64 numbers (n,) from 0 to {samples - 1}; "
            f"got {order.dtype} of shape {order.shape}, batch_size={batch_size}."
        )

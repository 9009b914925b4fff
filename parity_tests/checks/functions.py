"""Functions on arrays that a program may call by itself: activations, losses, penalties, ``normalize``."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import keras
import numpy as np

import scratch
from keras_impl.frameworks import to_numpy
from parity_tests.checks.losses import ArrayLoss, bounded_loss, predictions
from parity_tests.comparison import Comparison, compare
from parity_tests.reference.activations import ACTIVATIONS
from parity_tests.reference.error_model import Array, Rounding, exact
from parity_tests.reference.losses import LOSSES
from scratch import losses

ROUNDING = Rounding("float32")
PENALTIES: tuple[tuple[str, dict[str, float]], ...] = (
    ("L1", {}),
    ("L2", {}),
    ("L1", {"l1": 0.375}),
    ("L2", {"l2": 0.375}),
    ("L1L2", {"l1": 0.25, "l2": 0.5}),
)
AXES: tuple[dict[str, int], ...] = ({}, {"axis": 1, "order": 1}, {"axis": -1, "order": 3})  # Keras fails at axis 0


@lru_cache
def inputs() -> Array:
    """Return numbers of both signs (30, 6)."""
    return np.random.default_rng(13).normal(scale=3, size=(30, 6)).astype("float32")


def check_activations() -> Iterator[Comparison]:
    """The functions of ``scratch.activations`` give Keras's outputs, with their default arguments."""
    for name, model in ACTIVATIONS.items():
        bounded = model.forward(ROUNDING, exact(inputs()))
        theirs = to_numpy(getattr(keras.activations, name)(keras.ops.convert_to_tensor(inputs())))
        yield compare(f"activations.{name}", getattr(scratch.activations, name)(inputs()), theirs, 2 * bounded.bound)


def check_loss_functions() -> Iterator[Comparison]:
    """The functions of ``scratch.losses`` give Keras's loss of each sample."""
    for name, cls in losses.LOSSES.items():
        case = ArrayLoss(cls.__name__, {"reduction": None, **LOSSES[cls.__name__].options})
        y = predictions(case)["proper"].astype("float32")
        t = case.targets if case.targets.ndim == 1 else case.targets.astype("float32")
        options: dict[str, Any] = LOSSES[cls.__name__].options
        theirs = to_numpy(getattr(keras.losses, name)(t, y, **options))
        ours = np.asarray(getattr(losses, name)(t, y, **options))
        yield compare(f"losses.{name}", ours, theirs, 2 * bounded_loss(case, y).bound)


def check_penalties() -> Iterator[Comparison]:
    """Regularizers give Keras's penalty, a sum of 180 terms of one sign (rule 2), with their default arguments, too."""
    for name, arguments in PENALTIES:
        ours = getattr(scratch.regularizers, name)(**arguments)(inputs())
        theirs = float(getattr(keras.regularizers, name)(**arguments)(keras.ops.convert_to_tensor(inputs())))
        bound = 2 * (ROUNDING.gamma(inputs().size) + 6 * ROUNDING.u) * theirs
        yield compare(f"regularizers.{name}({arguments})", np.float64(ours), np.float64(theirs), bound)


def check_functions() -> Iterator[Comparison]:
    """Activations, losses and penalties as functions, and ``normalize``, which both programs compute in NumPy."""
    yield from check_activations()
    yield from check_loss_functions()
    yield from check_penalties()
    for options in AXES:
        ours, theirs = (program.utils.normalize(inputs(), **options) for program in (scratch, keras))
        yield compare(f"normalize({options})", ours, theirs, 8 * ROUNDING.u * np.abs(theirs))

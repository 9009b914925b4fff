"""Short runs of ``fit`` that are interrupted and resumed, for the tests of ``BackupAndRestore``."""

from typing import Any

import numpy as np
import pytest

from scratch.callbacks import Callback, History
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.optimizers import SGD, Optimizer
from scratch.utils import clear_session, set_random_seed

Data = tuple[np.ndarray, np.ndarray]
BATCH, EPOCHS, STEPS = 10, 4, 5  # of the 60 samples 12 are held out for validation


class Interrupt(Callback):
    """Raises KeyboardInterrupt after a given batch of a given epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.last = epoch, batch

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if (self.epoch, batch) == self.last:
            raise KeyboardInterrupt


def new_model(backend: str = "numpy", units: int = 6, optimizer: Optimizer | None = None, **sgd: Any) -> Sequential:
    """Return a model as a new process would create it: with the same names and the same seed."""
    clear_session()
    set_random_seed(5)
    model = Sequential([Dense(units, "relu", input_shape=(4,)), Dense(3, "softmax")], backend=backend)
    optimizer = optimizer or SGD(**{"learning_rate": 0.1, **sgd})
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model: Sequential, data: Data, *callbacks: Callback, **options: Any) -> History:
    options = {"batch_size": BATCH, "epochs": EPOCHS, "validation_split": 0.2, "verbose": 0, **options}
    return model.fit(*data, callbacks=callbacks, **options)


def interrupt(model: Sequential, data: Data, *callbacks: Callback, at: tuple[int, int], **options: Any) -> None:
    """Call ``fit`` and interrupt it after batch ``at[1]`` of epoch ``at[0]``."""
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, *callbacks, Interrupt(*at), **options)


def everything(model: Sequential) -> list[bytes | str]:
    """Return the bits of everything in the model that training changes."""
    assert model.optimizer is not None
    bits = [array.tobytes() for array in (*model.get_weights(), *model.optimizer.variables)]
    return [*bits, str(model.rng.bit_generator.state)]

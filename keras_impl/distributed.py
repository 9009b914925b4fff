"""Training on several devices and in several processes: Keras's ``DataParallel`` on JAX, with scratch's batches.

Every process holds the whole model and all samples.  The rows of each batch are divided equally among the processes and
their devices, and the gradients are averaged over all devices (by gloo, over TCP).  Every device therefore takes the
step that a single device would take with the whole batch, up to rounding.
"""

from typing import Any

import jax
import keras
import numpy as np

from keras_impl.convert import copy_weights
from keras_impl.data import Batches
from scratch.article import Samples


class ProcessBatches(Batches):
    """The rows of each batch that belong to this process: the k-th of equal parts, where k is the process's index."""

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        x, y = super().__getitem__(index)
        k, parts = jax.process_index(), jax.process_count()
        return np.split(x, parts)[k], np.split(y, parts)[k]


class ValidateLocally(keras.callbacks.Callback):
    """Copies the weights after each epoch to a model of this process alone, and evaluates that model.

    Without distribution the batches of the evaluation may have any size.

    Args:
        local_model: a model without distribution; it has the weights, and the history, of the training.
        test: samples (N, …) and targets for the evaluation.
        batch_size: samples per batch of the evaluation.
    """

    def __init__(self, local_model: keras.Sequential, test: Samples, batch_size: int) -> None:
        super().__init__()
        self.local_model, self.test, self.batch_size = local_model, test, batch_size

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Share the history with the local model."""
        self.local_model.history = self.model.history

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Add ``val_loss`` and ``val_accuracy`` to the logs, for the callbacks that are called later."""
        distribution = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            copy_weights(self.model, self.local_model)
            values = self.local_model.evaluate(*self.test, batch_size=self.batch_size, verbose=0, return_dict=True)
        finally:
            keras.distribution.set_distribution(distribution)
        logs.update({f"val_{name}": value for name, value in values.items()})


def fit(
    model: keras.Sequential,
    train: Samples,
    test: Samples,
    batch_size: int,
    rng: np.random.Generator,
    callbacks: list[keras.callbacks.Callback],
    **options: Any,
) -> keras.callbacks.History:
    """Train on all devices of all processes, and copy the weights to the model after each epoch.

    Args:
        model: a built and compiled model, with the same weights in each process.
        train: samples (N, …) and targets, the same in each process.
        test: samples and targets for the validation after each epoch.
        batch_size: samples per step, over all devices.
        rng: draws the order of each epoch; in the same state in each process.
        callbacks: called after the validation of an epoch.
        options: further arguments of Keras's ``fit``.

    Raises:
        ValueError: if a batch cannot be divided equally among the devices.
    """
    check_batches(len(train[0]), batch_size, jax.device_count())
    data = ProcessBatches(*train, batch_size, rng)
    # The batches are divided already.  Keras would divide those of tf.data only, and a short last batch wrongly.
    with keras.distribution.DataParallel(auto_shard_dataset=False).scope():
        twin = keras.models.clone_model(model)
        copy_weights(model, twin)
        twin.compile_from_config(model.get_compile_config())
        callbacks = [data.draw_orders(), ValidateLocally(model, test, batch_size), *callbacks]
        return twin.fit(data, shuffle=False, callbacks=callbacks, **options)


def check_batches(samples: int, batch_size: int, devices: int) -> None:
    """Check that all batches of an epoch can be divided equally among the devices, as JAX requires.

    Raises:
        ValueError: if a batch cannot; the message says which.
    """
    if batch_size % devices:
        raise ValueError(f"batch_size must be a multiple of {devices}, the number of devices; got {batch_size}.")
    last = samples % batch_size
    if left := last % devices:
        raise ValueError(
            f"The last batch of an epoch has {last} of {samples:,} samples, {left} more than {devices} devices can "
            f"share equally; choose another batch_size than {batch_size}."
        )

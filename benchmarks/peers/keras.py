"""Keras, on the framework that the environment variable KERAS_BACKEND names."""

import keras

from benchmarks.peers.base import ModelPeer
from benchmarks.tasks import Array, Task
from keras_impl import build_model


class KerasPeer(ModelPeer):
    """The article's model in Keras, trained as the task's variant asks.

    Args:
        task: the network, its samples and its initial weights.
        framework: ``'tensorflow'``, ``'jax'`` or ``'torch'``; must be the framework of this process.

    Raises:
        ValueError: if Keras runs on another framework in this process.
    """

    def __init__(self, task: Task, framework: str) -> None:
        super().__init__(task)
        if keras.config.backend() != framework:
            raise ValueError(
                f"KERAS_BACKEND must be '{framework}' when the process starts; "
                f"Keras runs on '{keras.config.backend()}' in this process."
            )
        keras.utils.clear_session()
        self.x = task.x
        self.model = build_model(tuple(task.hidden), task.inputs, task.classes)
        if task.x.ndim > 2:
            layers = [keras.Input(task.x.shape[1:]), keras.layers.Flatten(), *self.model.layers]
            self.model = keras.Sequential(layers)
        if task.variant.dropout:
            layers = task.with_dropout(self.model.layers, keras.layers.Dropout)
            self.model = keras.Sequential([keras.Input(task.x.shape[1:]), *layers])
        self.model.compile(task.create_optimizer(keras.optimizers), task.loss, metrics=["accuracy"])
        if task.variant.reads_logs:
            self.callbacks = [keras.callbacks.LambdaCallback(on_train_batch_end=self.read_logs)]

    def call(self, x: Array) -> Array:
        return keras.ops.convert_to_numpy(self.model(x))  # waits for the result; the conversion itself is negligible

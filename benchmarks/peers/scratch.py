"""scratch itself, with one of its backends."""

from benchmarks.peers.base import ModelPeer
from benchmarks.tasks import Array, Task
from scratch import optimizers
from scratch.article import build_model
from scratch.callbacks import LambdaCallback
from scratch.layers import Dropout, Flatten
from scratch.models import Sequential


class ScratchPeer(ModelPeer):
    """The article's model in scratch, trained as the task's variant asks.

    Args:
        task: the network, its samples and its initial weights.
        backend: ``'numba'`` or ``'numpy'``.
        images: ``'bytes'`` to train on the images as bytes, as ``python -m scratch`` does, if the task has them;
            ``'float32'`` to train on float32 numbers, as the other peers do.
    """

    def __init__(self, task: Task, backend: str, images: str = "bytes") -> None:
        super().__init__(task)
        self.x = task.x if task.pixels is None or images == "float32" else task.pixels
        self.model = build_model(task.hidden, task.inputs, task.classes, backend)
        if task.x.ndim > 2:
            self.model = Sequential([Flatten(input_shape=task.x.shape[1:]), *self.model.layers], backend=backend)
        if task.variant.dropout:
            self.model = Sequential(task.with_dropout(self.model.layers, Dropout), backend=backend)
        self.model.compile(task.create_optimizer(optimizers), task.loss, metrics=["accuracy"])
        if task.variant.reads_logs:
            self.callbacks = [LambdaCallback(on_train_batch_end=self.read_logs)]

    def call(self, x: Array) -> Array:
        return self.model(x)

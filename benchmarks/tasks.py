"""Define training tasks: a network, its samples and its initial weights, the same for every peer.

``article_task`` is the blog article's network on MNIST, and ``vary`` returns one of its variants; ``dense_task`` is a
network of any size on random input without zeros.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.variants import PLAIN, Variant
from scratch.article import build_model, prepare_floats
from scratch.pixels import Pixels
from scratch.utils import set_random_seed, to_categorical

Array = np.ndarray
LEARNING_RATE = 0.01
CLASSES = 10
CHECKED_STEPS = 20  # training steps whose result is compared before a peer is timed

# A rough estimate of how long Keras takes for a step on two cores, from which ``dense_task`` chooses a number of steps.
FLOPS_PER_SECOND = 1e11
BYTES_PER_SECOND = 1e10
SHORTEST_STEP_SECONDS = 2e-3
EPOCH_SECONDS = 0.2
MAX_SAMPLE_VALUES = 1 << 24  # samples × inputs: 64 MB of float32


@dataclass(frozen=True)
class Task:
    """A network to train on a set of samples.

    Attributes:
        name: a short description for reports.
        x: samples, shape (N, inputs) or (N, height, width); N is a multiple of ``batch_size``. float32, unless the
            variant has float64 inputs.
        labels: int64 class indices, shape (N,).
        weights: initial weights: W and b of each layer in turn, float32.
        batch_size: samples in a training step.
        checked_steps: training steps whose result is compared before a peer is timed.
        pixels: the samples as bytes, if they are images.
        variant: options of the training, for peers that support variants; the others train with plain SGD.
    """

    name: str
    x: Array
    labels: Array
    weights: list[Array]
    batch_size: int
    checked_steps: int = CHECKED_STEPS
    pixels: Pixels | None = None
    variant: Variant = PLAIN

    def __post_init__(self) -> None:
        if len(self.x) % self.batch_size:
            raise ValueError(
                f"The number of samples must be a multiple of batch_size={self.batch_size}; got {len(self.x)} samples."
            )

    @cached_property
    def t(self) -> Array:
        """One-hot targets in float64, shape (N, classes)."""
        return to_categorical(self.labels, CLASSES)

    @cached_property
    def targets(self) -> Array:
        """The targets of ``fit``: labels (N,) for a sparse loss, or one-hot rows (N, classes) of the samples' dtype."""
        return self.labels if self.variant.sparse else self.t.astype(self.x.dtype)

    def create_optimizer(self, optimizers: Any) -> Any:
        """Return a new optimizer of the variant, from the module ``optimizers`` of scratch or Keras."""
        options = {"learning_rate": LEARNING_RATE} | self.variant.optimizer
        return getattr(optimizers, self.variant.optimizer_class)(**options)

    def with_dropout(self, layers: Sequence[Any], create: Any) -> list[Any]:
        """Return the layers of a model, with ``create(rate, seed=…)``, a Dropout, before each Dense but the first."""
        found: list[Any] = []
        for layer in layers:
            if found and type(layer).__name__ == "Dense":
                found.append(create(self.variant.dropout, seed=len(found)))
            found.append(layer)
        return found

    @property
    def loss(self) -> str:
        """Name of the loss in scratch and Keras."""
        return "sparse_categorical_crossentropy" if self.variant.sparse else "categorical_crossentropy"

    @property
    def inputs(self) -> int:
        """Inputs of the first Dense layer."""
        return len(self.weights[0])

    @property
    def hidden(self) -> list[int]:
        """Units of each hidden layer."""
        return [len(b) for b in self.weights[1:-1:2]]

    @property
    def classes(self) -> int:
        """Units of the output layer."""
        return len(self.weights[-1])

    @property
    def checked_samples(self) -> int:
        """Number of samples that the checked steps train on."""
        return min(self.checked_steps * self.batch_size, len(self.x))


def article_task(images: Array, labels: Array, batch_size: int = 100) -> Task:
    """Return the article's network, 784-256-100-10, on the given digits, without the last incomplete batch.

    Args:
        images: uint8 images, shape (N, 28, 28).
        labels: uint8 class indices, shape (N,).
        batch_size: samples in a training step.
    """
    count = len(images) // batch_size * batch_size
    x, _ = prepare_floats(images[:count], labels[:count], CLASSES)
    pixels = Pixels(images[:count].reshape(x.shape))
    weights = _initial_weights(x.shape[1], [256, 100])
    return Task("the article's network", x, labels[:count].astype(np.int64), weights, batch_size, pixels=pixels)


def vary(task: Task, variant: Variant) -> Task:
    """Return the article's task as the variant trains it; ``task`` must hold digits as bytes.

    Arrays are shared with ``task`` where the variant has the same inputs.
    """
    assert task.pixels is not None
    x = task.x
    if variant.inputs == "float64":
        x = task.pixels.bytes / 255
    elif variant.inputs == "images":
        x = x.reshape(-1, 28, 28)
    elif variant.inputs == "random":
        x = np.random.default_rng(0).standard_normal(x.shape, dtype=np.float32)
    count = len(x) // variant.batch_size * variant.batch_size
    return replace(
        task,
        name=f"{task.name}, {variant.name}",
        x=x[:count],
        labels=task.labels[:count],
        batch_size=variant.batch_size,
        pixels=None,
        variant=variant,
    )


def first_samples(task: Task, count: int) -> Task:
    """Return the task with its first ``count`` samples only, and none of an incomplete batch."""
    count = min(count, len(task.x)) // task.batch_size * task.batch_size
    pixels = None if task.pixels is None else task.pixels[:count]
    return replace(task, x=task.x[:count], labels=task.labels[:count], pixels=pixels)


def dense_task(batch_size: int, width: int, depth: int, steps: int | None = None, checked_steps: int = 4) -> Task:
    """Return a network of ``depth`` hidden layers of ``width`` units on normally distributed samples of that width.

    Args:
        batch_size: samples in a training step.
        width: units of each hidden layer, and the number of inputs.
        depth: number of hidden layers.
        steps: training steps in an epoch; by default as many as Keras needs about 0.2 s for, at most 100.
        checked_steps: training steps whose result is compared before a peer is timed.
    """
    steps = _steps_in_epoch(batch_size, width, depth) if steps is None else steps
    rng = np.random.default_rng([batch_size, width, depth])
    x = rng.standard_normal((steps * batch_size, width), dtype=np.float32)
    labels = rng.integers(CLASSES, size=len(x))
    name = f"batch {batch_size}, width {width}, depth {depth}"
    return Task(name, x, labels, _initial_weights(width, [width] * depth), batch_size, checked_steps)


def _steps_in_epoch(batch_size: int, width: int, depth: int) -> int:
    weights = depth * width**2 + width * CLASSES
    # A weight takes part in 6 operations for each sample, and 12 bytes of it and its gradient are moved in each step.
    seconds = max(6 * batch_size * weights / FLOPS_PER_SECOND, 12 * weights / BYTES_PER_SECOND, SHORTEST_STEP_SECONDS)
    return int(np.clip(EPOCH_SECONDS / seconds, 1, min(100, MAX_SAMPLE_VALUES / (batch_size * width))))


def _initial_weights(inputs: int, hidden: list[int]) -> list[Array]:
    set_random_seed(0)
    return build_model(hidden, inputs, CLASSES, "numpy").get_weights()

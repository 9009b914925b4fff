"""What is computed: a network, its samples and its first weights, the same for everybody who is timed.

``article`` is the blog article's program; ``dense`` has random input without a single zero, and any size.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scratch.article import build_model, prepare_floats
from scratch.pixels import Pixels
from scratch.utils import set_random_seed, to_categorical

Array = np.ndarray
LEARNING_RATE = 0.01
CLASSES = 10
PROOF_STEPS = 20  # steps that a peer takes to show that it computes the same
# A rough machine: operations and bytes in a second, and the seconds that Keras needs for any step.
OPERATIONS, BYTES, STEP = 1e11, 1e10, 2e-3
LARGEST = 1 << 24  # numbers in the samples


@dataclass(frozen=True)
class Task:
    """One network to train with plain SGD on one set of samples.

    Attributes:
        name: for people.
        x: float32 samples (N, inputs); N is a multiple of ``batch``.
        labels: their classes (N,).
        weights: W and b of each layer, in turn, that every training starts from.
        batch: samples in a step.
        proof_steps: steps that are compared before anything is timed.
        pixels: the samples as bytes, if they were images.
    """

    name: str
    x: Array
    labels: Array
    weights: list[Array]
    batch: int
    proof_steps: int = PROOF_STEPS
    pixels: Pixels | None = None

    def __post_init__(self) -> None:
        if len(self.x) % self.batch:
            raise ValueError(f"{len(self.x)} samples are no whole number of batches of {self.batch}.")

    @cached_property
    def t(self) -> Array:
        """One-hot targets, as the article's program makes them."""
        return to_categorical(self.labels, CLASSES)

    @property
    def hidden(self) -> list[int]:
        """Units of the hidden layers."""
        return [len(b) for b in self.weights[1:-1:2]]

    @property
    def proof_samples(self) -> int:
        """Samples that the compared steps see."""
        return min(self.proof_steps * self.batch, len(self.x))


def article(images: Array, labels: Array, batch: int = 100) -> Task:
    """The article's network, 784-256-100-10, on those digits; what doesn't fill a batch is left out."""
    whole = len(images) // batch * batch
    x, _ = prepare_floats(images[:whole], labels[:whole], CLASSES)
    pixels = Pixels(images[:whole].reshape(x.shape))
    weights = _weights(x.shape[1], [256, 100])
    return Task("the article's network", x, labels[:whole].astype(np.int64), weights, batch, pixels=pixels)


def dense(batch: int, width: int, depth: int, steps: int | None = None, proof_steps: int = 4) -> Task:
    """A network of ``depth`` hidden layers of ``width`` units, and as many inputs, on normally distributed numbers.

    Args:
        batch: samples in a step.
        width: units of each hidden layer.
        depth: number of hidden layers.
        steps: in an epoch; if not given, as many as Keras takes roughly 0.2 s for, 100 at most, in reasonable memory.
        proof_steps: steps that are compared; one where a step is long.
    """
    weights = depth * width**2 + width * CLASSES
    seconds = max(6 * batch * weights / OPERATIONS, 12 * weights / BYTES, STEP)
    steps = int(np.clip(0.2 / seconds, 1, min(100, LARGEST / (batch * width)))) if steps is None else steps
    rng = np.random.default_rng([batch, width, depth])
    x = rng.standard_normal((steps * batch, width), dtype=np.float32)
    labels = rng.integers(CLASSES, size=len(x))
    name = f"batch {batch}, width {width}, depth {depth}"
    return Task(name, x, labels, _weights(width, [width] * depth), batch, proof_steps)


def _weights(inputs: int, hidden: list[int]) -> list[Array]:
    set_random_seed(0)
    return build_model(hidden, inputs, CLASSES, "numpy").get_weights()

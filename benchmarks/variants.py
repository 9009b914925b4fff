"""Describe the variants of the article's training that the question ``variants`` measures, each in one place.

Every peer that supports variants builds its model from the same ``Variant``. The upper limits are those of the compiled
core: a variant must not cost much more than plain float32 training.
"""

from typing import NamedTuple

from benchmarks.goals import Goal


class Variant(NamedTuple):
    """One way to train the article's network.

    Attributes:
        name: short name for tables and pictures.
        at_most: upper limit of an epoch in scratch, divided by an epoch of ``PLAIN``; None without a limit.
        optimizer: options of the optimizer; scratch and Keras give them the same names.
        optimizer_class: its class, which scratch and Keras give the same name.
        inputs: ``'float32'`` digits (N, 784), ``'float64'`` digits (N, 784), float32 ``'images'`` (N, 28, 28), which
            need a Flatten layer, or ``'random'`` normally distributed float32 numbers (N, 784) without zeros.
        sparse: train on integer labels, with sparse categorical cross-entropy, instead of one-hot rows.
        batch_size: samples in a training step.
        reads_logs: a callback reads the loss after every batch.
        dropout: rate of a Dropout layer after each hidden layer; 0 for none.
        jax_at_least: lower limit of an epoch in Keras on JAX, divided by an epoch of scratch.
    """

    name: str
    at_most: Goal | None = None
    optimizer: dict[str, float] = {}  # noqa: RUF012  never modified
    optimizer_class: str = "SGD"
    inputs: str = "float32"
    sparse: bool = False
    batch_size: int = 100
    reads_logs: bool = False
    dropout: float = 0.0
    jax_at_least: Goal = Goal(2, 3)


PLAIN = Variant("plain float32", jax_at_least=Goal(3, 4))  # the reference of all others
VERBATIM = Variant("article verbatim (float64)", Goal(1.15, 1.05), inputs="float64")
ELEMENTWISE, NORM, MASKS = Goal(1.25, 1.1), Goal(1.5, 1.25), Goal(1.5, 1.25)
# The limits of the clipping are low enough to change the gradients of the first steps, which the check of outputs sees.
VARIANTS = (
    PLAIN,
    VERBATIM,
    Variant("momentum 0.9", ELEMENTWISE, {"momentum": 0.9}),
    Variant("Nesterov momentum 0.9", ELEMENTWISE, {"momentum": 0.9, "nesterov": True}),
    Variant("Adam", ELEMENTWISE, {"learning_rate": 0.001}, "Adam"),
    Variant("RMSprop", ELEMENTWISE, {"learning_rate": 0.001}, "RMSprop"),
    Variant("Dropout 0.2", MASKS, dropout=0.2),
    Variant("weight_decay", ELEMENTWISE, {"weight_decay": 0.1}),
    Variant("clipvalue", ELEMENTWISE, {"clipvalue": 0.001}),
    Variant("clipnorm", NORM, {"clipnorm": 0.1}),
    Variant("global_clipnorm", NORM, {"global_clipnorm": 0.1}),
    Variant("callback on each batch", Goal(1.2, 1.1), reads_logs=True),
    Variant("batch 32", Goal(1.35, 1.2), batch_size=32),
    Variant("integer labels", Goal(1.05), sparse=True),
    Variant("Flatten of (N, 28, 28)", Goal(1.05), inputs="images"),
    Variant("dense random input", inputs="random"),
)

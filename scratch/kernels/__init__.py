"""Compiled kernels for NumPy arrays, and the threads that run them: everything that is here for speed only.

A learner can skip this package: ``scratch.ops.numpy_ops`` defines every operation in a few lines of NumPy.  An engineer
may read the modules in this order; each module imports only from those above it in the list.

========================  =============================================================================
module                    contents
========================  =============================================================================
``jit``                   decorators that compile a kernel or a part of one, the disk cache, the compile time
``atomics``               ``load``, ``fetch_add`` and ``compare_exchange`` on shared counters
``threads``               the thread pool
``arguments``             the check of arrays where Python calls compiled code
``simd``                  a vector type, with which a SIMD kernel is a loop nest in Python
``arrays``                aligned allocation, copies, sums
``elementwise``           activations, and one row of softmax with cross-entropy
``sparsity``              packing of rows for the matrix product, without the terms that are zero
``packing``               packing of columns for the matrix product
``workspace``             the buffer in which a thread computes
``gemm``                  the matrix product
``plan``                  the memory layout and the passes of a fused training step
``updates``               the update rules of the optimizers
``passes``                the passes of a fused training step, compiled
``fused_step``            training steps for a whole network, many of them in one call
========================  =============================================================================

Attributes:
    FUSED_ACTIVATIONS: the activations that the fused step implements, ``softmax`` after the last layer only; the index
        is the code in the layer table.

Importing this module does not load Numba.
"""

from typing import NamedTuple

FUSED_ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "softmax")


class Rule(NamedTuple):
    """What the update of an SGD optimizer depends on, as numbers; a limit of 0 means no clipping, as in Keras."""

    learning_rate: float
    momentum: float
    nesterov: bool
    decays: bool
    weight_decay: float
    clipvalue: float
    clipnorm: float
    global_clipnorm: float


def clips_by_norm(rule: Rule) -> bool:
    """Return whether the whole gradient must be known before the first parameter is updated."""
    return rule.clipnorm > 0 or rule.global_clipnorm > 0

"""Compiled kernels for NumPy arrays, and the threads that run them: everything that is here for speed only.

A learner can skip this package: ``scratch.ops.numpy_ops`` defines every operation in a few lines of NumPy.  An engineer
may read the modules in this order; each module imports only from those above it in the list.

========================  =============================================================================
module                    contents
========================  =============================================================================
``compiler``              Numba's compiler without the work that kernels do not need
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
``parameters``            the parameters of all layers in one array
``micro_kernel``          the innermost loops of the matrix product
``gemm``                  the matrix product
``masks``                 Dropout: the masks of a job, and their use
``job``                   the description of training or inference steps for the compiled core
``plan``                  the memory layout and the passes of a fused training step
``updates``               the update rules of the optimizers
``passes``                the passes of a fused training step, compiled
``workers``               the threads that execute the passes of many steps
``single_steps``          one training step in each call, between which the threads stay
``fused_step``            training steps and inference for a whole network, many batches in one call
========================  =============================================================================

Attributes:
    FUSED_ACTIVATIONS: the activations that the fused step implements, ``softmax`` after the last layer only; the index
        is the code in the layer table.
    UPDATE_RULES: the rules by which the fused step updates parameters; the index is the code in a ``Rule``.
    STATE_ARRAYS: how many state arrays each of them keeps for each parameter.

Importing this module does not load Numba.
"""

from typing import NamedTuple

RMSPROP_RULES = ("rmsprop", "rmsprop_momentum", "rmsprop_centered", "rmsprop_centered_momentum")
UPDATE_RULES = ("sgd", "momentum", "nesterov", "adam", "amsgrad", *RMSPROP_RULES, "adagrad")
STATE_ARRAYS = (0, 1, 1, 2, 3, 1, 2, 2, 3, 1)
FUSED_ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "softmax")


class Rule(NamedTuple):
    """What the update of an optimizer depends on, as numbers, apart from the learning rate: see ``updates``.

    Attributes:
        kind: index in ``UPDATE_RULES``.
        momentum: m of SGD, β₁ of Adam, μ of RMSprop.
        rho: ρ of RMSprop, β₂ of Adam.
        epsilon: ε.
        decays: whether weights decay.
        weight_decay: λ.
        clipvalue: limit of the entries of a gradient; 0 means no clipping, as in Keras.
        clipnorm: limit of the norm of a gradient, likewise.
        global_clipnorm: limit of the norm of all gradients, likewise.
    """

    kind: int
    momentum: float
    rho: float
    epsilon: float
    decays: bool
    weight_decay: float
    clipvalue: float
    clipnorm: float
    global_clipnorm: float


def clips_by_norm(rule: Rule) -> bool:
    """Return whether the whole gradient must be known before the first parameter is updated."""
    return rule.clipnorm > 0 or rule.global_clipnorm > 0

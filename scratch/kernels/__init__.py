"""Compiled kernels for NumPy arrays, and the threads that run them: everything that is here for speed only.

A learner can skip this package: ``scratch.ops.numpy_ops`` defines every operation in a few lines of NumPy.  An engineer
may read the modules in this order; each module imports only from those above it in the list.

========================  =============================================================================
module                    contents
========================  =============================================================================
``jit``                   decorators that compile a function, the disk cache, the measured compile time
``atomics``               ``load``, ``fetch_add`` and ``compare_exchange`` on shared counters
``threads``               the thread pool
``arguments``             the check of arrays where Python calls compiled code
``arrays``                aligned allocation, copies, transposes, sums
``elementwise``           activations, and one row of softmax with cross-entropy
``simd``                  the micro-kernel of the matrix product, written in LLVM's language
``sparsity``              lists of the terms of a matrix product that are not zero
``gemm``                  the matrix product
``plan``                  the memory layout and the passes of a fused training step
``passes``                the passes of a fused training step, compiled
``fused_step``            training steps for a whole network, many of them in one call
========================  =============================================================================

Attributes:
    FUSED_ACTIVATIONS: the activations that the fused step implements, ``softmax`` after the last layer only; the index
        is the code in the layer table.  Importing this tuple does not load Numba.
"""

FUSED_ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "softmax")

"""The dictionary of mistakes that a network can have; ``MISTAKES`` holds them in the order of computation."""

from parity_tests.diagnosis.mistakes import forward, softmax, loss, loss_gradient, slopes, backward, declared, update  # noqa: F401, I001 (in this order)
from parity_tests.diagnosis.mistakes.catalogue import MISTAKES, Mistake

__all__ = ["MISTAKES", "Mistake"]

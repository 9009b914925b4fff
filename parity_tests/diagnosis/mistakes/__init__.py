"""The dictionary of mistakes that a network can have; ``MISTAKES`` holds them in the order of computation."""

from parity_tests.diagnosis.mistakes import forward, loss, backward, declared, update  # noqa: F401, I001 (they fill MISTAKES in this order)
from parity_tests.diagnosis.mistakes.catalogue import MISTAKES, Mistake

__all__ = ["MISTAKES", "Mistake"]

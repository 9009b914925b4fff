"""A limit of the CPU time for attempts of the search."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Attempt = TypeVar("Attempt")


class Budget:
    """The CPU time that is left for pairs of mistakes; with a limit of 0 no pair is tried.

    Attributes:
        exhausted: whether a pair was not tried for lack of time.
    """

    def __init__(self, seconds: float):
        self.end = time.process_time() + seconds
        self.exhausted = seconds <= 0

    def limited(self, attempts: Iterable[Attempt]) -> Iterator[Attempt]:
        """Yield attempts until the time is used up."""
        if self.exhausted:  # the first attempt takes time already
            return
        for attempt in attempts:
            self.exhausted |= time.process_time() > self.end
            if self.exhausted:
                return
            yield attempt

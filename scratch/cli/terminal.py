"""Run a command: errors become one sentence and an exit status."""

import logging
import sys
import warnings
from collections.abc import Callable


def guarded(program: str, work: Callable[[], int]) -> int:
    """Do the work; what goes wrong becomes one sentence and an exit status."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        with warnings.catch_warnings():
            # A sentence is enough; the line of our code that it came from helps nobody here.
            warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)
            return work()
    except (ValueError, OSError, ImportError) as error:
        print(f"python -m {program}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130

"""Run a command with one-sentence errors and an exit status; format its result."""

import logging
import sys
import warnings
from collections.abc import Callable, Mapping


def run_command(program: str, command: Callable[[], int]) -> int:
    """Run a command and return its exit status; print an expected error as one sentence.

    Args:
        program: the name after ``python -m`` that begins an error message.
        command: does the work and returns an exit status.

    Returns:
        The status of ``command``; 2 after a ``ValueError``, ``OSError`` or ``ImportError``, and 130 after Ctrl-C.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Print the message only: the source line that raised the warning does not help a command's user.
            warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)
            return command()
    except (ValueError, OSError, ImportError) as error:
        print(f"python -m {program}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


def format_result(values: Mapping[str, float]) -> str:
    """Return the test loss and the test accuracy as text, without a full stop."""
    return f"Test loss {values['loss']:.4f}, test accuracy {values['accuracy']:.4f}"


def format_count(count: int, noun: str) -> str:
    """Return a count and its noun: '1 epoch', '2 epochs'."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"

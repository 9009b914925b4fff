"""Run a command with one-sentence errors and an exit status; format its result."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping

from scratch.utils import print_now, printable

INVALID, INTERRUPTED, BROKEN_PIPE = 2, 130, 141  # exit statuses; the last two are 128 + SIGINT and 128 + SIGPIPE


def run_command(program: str, command: Callable[[], int]) -> int:
    """Run a command and return its exit status; print an expected error as one sentence.

    Standard streams that are closed are replaced by the null device.  Characters that the encoding of standard output
    lacks are printed as escapes.

    Args:
        program: the name after ``python -m`` that begins an error message.
        command: does the work and returns an exit status.

    Returns:
        The status of ``command``; 2 after a ``ValueError``, ``OSError``, ``ImportError`` or ``MemoryError``, 130 after
        Ctrl-C, and 141, without a message, if the program that reads the output has ended.
    """
    _prepare_streams()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Print the message only: the source line that raised the warning does not help a command's user.
            warnings.showwarning = lambda message, *_: print(printable(str(message)), file=sys.stderr)
            status = command()
            print_now("", end="")  # flushes what is buffered, while an error can still be reported
            return status
    except BrokenPipeError:
        return BROKEN_PIPE
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich exits with status 1
            return BROKEN_PIPE
        raise
    except MemoryError as error:
        reason = f" ({error})" if str(error) else ""
        print_error(
            program, f"there is not enough memory{reason}; close other programs, or use a smaller model or data."
        )
        return INVALID
    except (ValueError, OSError, ImportError) as error:
        is_discarded = _discard_unwritable_output()
        print_error(program, f"standard output cannot be written ({error})." if is_discarded else str(error))
        return INVALID
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED
    finally:
        _discard_unwritable_output()


def print_error(program: str, message: str) -> None:
    """Print an error of ``python -m program`` on standard error, if that can be written."""
    with contextlib.suppress(OSError):
        print(f"python -m {program}: {printable(message)}", file=sys.stderr, flush=True)


def _prepare_streams() -> None:
    """Connect closed standard streams to the null device; print characters that cannot be encoded as escapes.

    Without an open stream, the next file that the process opens would get its descriptor, and what C++ libraries print.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open until the process ends
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def _discard_unwritable_output() -> bool:
    """Return whether standard output cannot be written; connect it to the null device then.

    Without that, Python's own flush at exit would fail again and print a traceback.
    """
    try:
        print_now("", end="")
    except OSError:
        with contextlib.suppress(AttributeError, OSError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return True
    return False


def format_result(values: Mapping[str, float]) -> str:
    """Return the test loss and the test accuracy as text, without a full stop."""
    return f"Test loss {values['loss']:.4f}, test accuracy {values['accuracy']:.4f}"


def format_count(count: int, noun: str) -> str:
    """Return a count and its noun: '1 epoch', '2 epochs'."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"

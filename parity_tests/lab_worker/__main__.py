"""Answer the messages on the standard input until it is closed."""

import os
import struct
import sys
from typing import Any, BinaryIO

from parity_tests.cli import load_keras
from scratch.lab.messages import pack, unpack


def main() -> None:
    """Answer requests; whatever a learner's file prints goes to the standard error."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while (message := read(requests)) is not None:
        header, arrays = unpack(message)
        try:
            result, found = answer(header, arrays)
            reply = pack({"result": result}, found)
        except (Exception, SystemExit) as error:  # whatever happens is one sentence of the answer
            expected = isinstance(error, ValueError | OSError | ImportError)
            reply = pack({"error": str(error) if expected else f"{type(error).__name__}: {error}"})
        answers.write(struct.pack("<I", len(reply)) + reply)
        answers.flush()


def answer(header: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the result and the arrays that answer a request; Keras is imported when it is first needed."""
    if header["method"] == "hunt":
        from parity_tests.lab_worker.hunting import hunt

        return hunt(header, arrays)
    load_keras()
    from parity_tests.lab_worker.comparing import compare_with_keras
    from parity_tests.lab_worker.diagnosing import diagnose

    return {"compare": compare_with_keras, "diagnose": diagnose}[header["method"]](header, arrays)


def read(stream: BinaryIO) -> bytes | None:
    """Return the next message, or None at the end of the stream."""
    length = stream.read(4)
    return stream.read(struct.unpack("<I", length)[0]) if len(length) == 4 else None


if __name__ == "__main__":
    main()

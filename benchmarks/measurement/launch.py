"""Run a program and write its time and peak memory to a file: ``python launch.py RESULT.json PROGRAM ARGUMENT…``.

This is a separate program with few imports because on Linux the peak memory of a process includes that of the process
that started it, until the new program is loaded: a small program started from a large process would seem large.
"""

import json
import os
import sys
import time


def main(result: str, program: str, *arguments: str) -> None:
    """Run the program and write ``seconds``, ``peak`` (bytes) and ``status`` as JSON."""
    start = time.perf_counter()
    process = os.posix_spawn(program, [program, *arguments], os.environ)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in kilobytes, except on macOS
    cost = {"seconds": seconds, "peak": usage.ru_maxrss * unit, "status": os.waitstatus_to_exitcode(status)}
    with open(result, "w") as file:
        json.dump(cost, file)


if __name__ == "__main__":
    main(*sys.argv[1:])

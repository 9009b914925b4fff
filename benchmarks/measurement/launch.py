"""Run a program and write down what it cost: ``python launch.py RESULT.json PROGRAM ARGUMENT…``.

It is a program of its own because a process hands its peak memory on to what it starts (on Linux, until the new program
is loaded): started from a large process, a small one would seem large.  So it imports next to nothing.
"""

import json
import os
import sys
import time


def main(result: str, program: str, *arguments: str) -> None:
    start = time.perf_counter()
    process = os.posix_spawn(program, [program, *arguments], os.environ)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss counts kilobytes, except on macOS
    cost = {"seconds": seconds, "peak": usage.ru_maxrss * unit, "status": os.waitstatus_to_exitcode(status)}
    with open(result, "w") as file:
        json.dump(cost, file)


if __name__ == "__main__":
    main(*sys.argv[1:])

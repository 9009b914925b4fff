"""Measure the seconds that each kernel takes to compile: ``python -m benchmarks.measurement.compilation RESULT.json``.

The program runs ``python -m scratch`` for one epoch and writes a dictionary of seconds by kernel. Kernels that are
loaded from the disk cache are not compiled: for the first run ever, ``NUMBA_CACHE_DIR`` must be an empty folder.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core import event

from benchmarks.measurement import programs
from scratch.cli import main as scratch

OTHER = "other"  # compiled outside any kernel of scratch


class KernelTimes(event.Listener):
    """Listen to Numba's compilations, and add up the seconds of each kernel of scratch.

    A kernel that is compiled while another one is being compiled, which calls it, does not count for that one. Numba's
    own functions count for the kernel that calls them.

    Args:
        clock: returns seconds.

    Attributes:
        seconds: by kernel, for example ``'gemm.product_tile'``; the sum over all combinations of argument types.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self.clock, self.now = clock, clock()
        self.stack: list[str] = []  # the kernels that are being compiled, each called by the one before

    def on_start(self, event: Any) -> None:
        self._add_elapsed()
        name = kernel_name(event.data["dispatcher"].py_func)
        self.stack.append(name or (self.stack[-1] if self.stack else OTHER))

    def on_end(self, event: Any) -> None:
        self._add_elapsed()
        self.stack.pop()

    def _add_elapsed(self) -> None:
        """Add the seconds since the last event to the innermost kernel, if there is one."""
        before, self.now = self.now, self.clock()
        if self.stack:
            kernel = self.stack[-1]
            self.seconds[kernel] = self.seconds.get(kernel, 0.0) + self.now - before


def kernel_name(function: Callable[..., Any]) -> str | None:
    """Return module and name of a kernel of scratch; None for other functions."""
    package, _, module = function.__module__.rpartition(".")
    return f"{module}.{function.__qualname__}" if package.partition(".")[0] == "scratch" else None


def measure_compilation() -> dict[str, float]:
    """Return the seconds by kernel of the first run ever, longest first, measured in a process of its own."""
    with programs.empty_kernel_cache() as kernels:
        file = Path(kernels, "result.json")
        programs.run_python("-m", "benchmarks.measurement.compilation", str(file), NUMBA_CACHE_DIR=kernels)
        seconds = json.loads(file.read_text())
    return dict(sorted(seconds.items(), key=lambda pair: -pair[1]))


def main(result: str) -> None:
    """Train for one epoch, and write the seconds by kernel."""
    times = KernelTimes()
    event.register("numba:compile", times)
    status = scratch(["--quiet", "--epochs", "1"])
    Path(result).write_text(json.dumps(times.seconds))
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1])

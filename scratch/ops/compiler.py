"""How a kernel becomes machine code: one decorator, a cache that mends itself, and a line that says what the wait is."""

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core import event
from numba.core.caching import FunctionCache

F = TypeVar("F", bound=Callable[..., Any])
SOURCES = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()

_said: set[str] = set()


def compiled(function: F) -> F:
    """Compile a function for each new combination of argument types, when it is first called.

    A product and the sum it goes into may be rounded once (``contract``), and -0 may come out as 0 (``nsz``); NaN and
    infinity stay what they are.  The machine code is kept on disk.
    """
    return _compiled(function, {"contract", "nsz"})


def compiled_as_written(function: F) -> F:
    """The same with every operation rounded by itself, as NumPy does it."""
    return _compiled(function, set())


def _compiled(function: F, fastmath: set[str]) -> F:
    kernel: Any = njit(function, fastmath=fastmath or False, error_model="numpy", nogil=True)
    if kernel is not function:  # NUMBA_DISABLE_JIT=1 leaves it as it is
        try:
            kernel._cache = _Cache(function)
        except RuntimeError as error:  # Numba finds no folder to write to
            _say_once(f"Compiled kernels can't be kept ({error}), so each start compiles them again.")
    return kernel  # type: ignore[no-any-return]


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's own, which misses edits in other files, and stops at an entry that it can't read or write."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return *super()._index_key(sig, codegen), SOURCES

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # whatever unpickling a damaged file raises
            _say_once(f"A damaged entry in {self.cache_path} ({type(error).__name__}): compiling again.")
            self._write(self.flush)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        self._write(lambda: super(_Cache, self).save_overload(sig, data))

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:  # a full disk, a folder that is gone, an index that can't be read
            _say_once(f"Compiled kernels can't be kept in {self.cache_path} ({error}).")


class CompileTime(event.Listener):  # type: ignore[misc]
    """Seconds that this process has spent on compiling, and one line when that starts.

    Attributes:
        seconds: the sum; what comes from the cache costs nothing.
    """

    def __init__(self) -> None:
        self.seconds, self._depth, self._began = 0.0, 0, 0.0
        event.register("numba:compile", self)

    def on_start(self, event: Any) -> None:
        """A kernel is about to be compiled, perhaps in the middle of another."""
        _say_once("Compiling the kernels for this processor; that takes some seconds, once.")
        if self._depth == 0:
            self._began = time.perf_counter()
        self._depth += 1

    def on_end(self, event: Any) -> None:
        """It is done."""
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._began


compile_time = CompileTime()


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        logging.getLogger(__name__).warning(text)

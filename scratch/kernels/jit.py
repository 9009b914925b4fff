"""How a kernel becomes machine code: a decorator, a cache that mends itself, a line that says what the wait is."""

import hashlib
import logging
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import config, njit
from numba.core import event
from numba.core.caching import FunctionCache, IndexDataCacheFile

if config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT=1 forbids it to compile; unset that")

F = TypeVar("F", bound=Callable[..., Any])
FILES = [file for folder in ("kernels", "ops") for file in sorted(Path(__file__).parents[1].glob(f"{folder}/*.py"))]
SOURCES = hashlib.sha256(b"".join(file.read_bytes() for file in FILES)).hexdigest()

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


def inlined(function: F) -> F:
    """For a function that one kernel calls: it becomes part of that, and is not compiled a second time."""
    kernel: F = njit(function, inline="always")
    return kernel


def _compiled(function: F, fastmath: set[str]) -> F:
    kernel: Any = njit(function, fastmath=fastmath or False, error_model="numpy", nogil=True)
    try:
        kernel._cache = _Cache(function)
    except Exception as error:  # Numba finds no folder to write to
        reason = "no folder can be written to" if isinstance(error, RuntimeError) else error
        _say_once("keep", f"Compiled kernels can't be kept ({reason}): set NUMBA_CACHE_DIR to a folder of yours.")
    return kernel


class _Cache(FunctionCache):
    """Numba's own, which misses edits in other files, and stops at an entry that it can't read or write."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _Files(self.cache_path, self._impl.filename_base, SOURCES)
        wanted = config.CACHE_DIR
        if wanted and not Path(self.cache_path).is_relative_to(wanted):
            _say_once("keep", f"NUMBA_CACHE_DIR={wanted} can't be written to; kernels are kept in {self.cache_path}.")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # whatever reading a damaged file raises
            _say_once("load", f"Kernels in {self.cache_path} can't be read ({_line(error)}): compiling them again.")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:  # a full disk, a folder that is gone
            _say_once("keep", f"Compiled kernels can't be kept in {self.cache_path} ({_line(error)}).")


class _Files(IndexDataCacheFile):
    """One file for each combination of argument types, which says itself what it is, and whether it is whole.

    Numba's have an index beside them.  Two processes that compile at once may each take the same name for different
    kernels there, and the code of the one is then run with the arguments of the other.  And they have no checksum, so
    damaged machine code is run too.
    """

    def load(self, key: Any) -> Any:
        """What was kept for these types; None if there is nothing, or if it is of other sources or another Numba."""
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        digest, content = data[:32], data[32:]
        if hashlib.sha256(content).digest() != digest:
            raise ValueError("a file is damaged")
        if content[:32] != self._stamp(key):
            return None
        return pickle.loads(content[32:])

    def save(self, key: Any, data: Any) -> None:
        """Keep it, in the place of what is stale or damaged."""
        content = self._stamp(key) + self._dump(data)
        with self._open_for_write(str(self._path(key))) as file:
            file.write(hashlib.sha256(content).digest() + content)

    def _path(self, key: Any) -> Path:
        types = hashlib.sha256(repr(key[:2]).encode()).hexdigest()  # and the processor; the rest changes with an edit
        return Path(self._index_path).with_suffix(f".{types[:16]}.nbc")

    def _stamp(self, key: Any) -> bytes:
        return hashlib.sha256(repr((key, self._version, self._source_stamp)).encode()).digest()


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


class CompileTime(event.Listener):
    """Seconds that this process has spent on compiling, and one line when that starts.

    Attributes:
        seconds: the sum; what comes from the cache costs nothing.
    """

    def __init__(self) -> None:
        self.seconds, self._depth, self._began = 0.0, 0, 0.0
        event.register("numba:compile", self)

    def on_start(self, event: Any) -> None:
        """A kernel is about to be compiled, perhaps in the middle of another."""
        _say_once("compile", "Compiling the kernels for this processor; that takes some seconds, once.")
        if self._depth == 0:
            self._began = time.perf_counter()
        self._depth += 1

    def on_end(self, event: Any) -> None:
        """It is done."""
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._began


compile_time = CompileTime()


def _say_once(about: str, text: str) -> None:
    if about not in _said:
        _said.add(about)
        logging.getLogger(__name__).warning(text)

"""Compilation: decorators for kernels, a disk cache that recovers from damage, and a message before a long wait.

Numba compiles a decorated function when it is first called with a new combination of argument types, and keeps the
machine code in memory and on disk.  Compiling all kernels that one training run needs takes 4 to 6 seconds, loading
them from the disk less than 0.1 seconds.  Numba's own disk cache has three gaps that are closed here:

- A kernel contains the machine code of all that it calls, so an edit in any file must invalidate every kernel.  Each
  entry is stamped with a digest of all source files that machine code depends on.
- An entry has no checksum, so damaged machine code would be executed.
- The index beside the entries is not locked.  Two processes that compile at the same time may store different kernels
  under the same file name, and the code of one process would run with the argument types of the other.
"""

import gc
import hashlib
import logging
import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numba import config, njit
from numba.core import event
from numba.core.caching import FunctionCache, IndexDataCacheFile

from scratch.kernels.compiler import KernelCompiler, PartCompiler, PlainCompiler, UnrollingCompiler

if config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT=1 forbids it to compile; unset that variable")

F = TypeVar("F", bound=Callable[..., Any])
# Compiled code passes np.bool_(False) and np.int64(0) to another kernel: run-time values.  The literals False and 0 are
# Numba types of their own, for which that kernel would be compiled again.
Bool = bool | np.bool_
Int = int | np.int64
_warned: set[str] = set()  # topics
FMA = {"contract", "nsz"}  # of LLVM's fast-math flags: see ``compiled``
# Without a wrapper for C, which nothing calls, a function compiles faster.
OPTIONS = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}
PLAIN = {"_nrt": False}  # without Numba's run-time library, which allocates arrays and counts references
DIGEST_BYTES = hashlib.sha256().digest_size


def source_digest(package: Path) -> str:
    """Return a digest of the source files that machine code depends on.

    Args:
        package: folder of the package ``scratch``.  Besides the two folders of compiled functions, kernels contain
            ``pixels.WHITE`` and ``utils.CACHE_LINE``.
    """
    files = [*sorted(package.glob("kernels/*.py")), *sorted(package.glob("ops/*.py"))]
    files += [package / "pixels.py", package / "utils.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


SOURCE_DIGEST = source_digest(Path(__file__).parents[1])


def compiled(function: F) -> F:
    """Compile a kernel, which Python calls, for each new combination of argument types, and cache it on disk.

    Two of LLVM's fast-math flags are set: a product and the sum that it is added to may be rounded once (``contract``,
    a fused multiply-add), and the sign of zero may be lost (``nsz``).  NaN and infinity are propagated as IEEE 754
    says, and sums are never reordered.
    """
    return _cached(njit(function, fastmath=FMA, pipeline_class=KernelCompiler, **OPTIONS))


def kernel(function: F) -> F:
    """Compile like ``compiled`` a function that allocates no memory, so that no references need to be counted."""
    return _cached(njit(function, fastmath=FMA, pipeline_class=PlainCompiler, **OPTIONS, **PLAIN))


def _cached(dispatcher: Any) -> Any:
    try:
        dispatcher._cache = _Cache(dispatcher.py_func, allocates=dispatcher.targetoptions.get("_nrt", True))
    except Exception as error:  # Numba raises RuntimeError if it finds no folder that it may write to
        reason = "no folder is writable" if isinstance(error, RuntimeError) else error
        _warn_once("store", f"Compiled kernels cannot be stored ({reason}): set NUMBA_CACHE_DIR to a writable folder.")
    return dispatcher


def subroutine(function: F) -> F:
    """Compile a function that only compiled code calls, as a part of each kernel that calls it."""
    return _part(function, FMA)


def unrolled(function: F) -> F:
    """Compile like ``subroutine``, and unroll loops over small constant ranges; others stay loops."""
    return _part(function, FMA, UnrollingCompiler)


def subroutine_without_fma(function: F) -> F:
    """Compile like ``subroutine``, but round every operation separately, as NumPy does."""
    return _part(function, False)


def inlined(function: F) -> F:
    """Compile like ``subroutine``, and copy the code to each place that calls it: for a few lines, or registers."""
    return _part(function, FMA, forceinline=True)


def _part(function: F, fastmath: Any, compiler: type = PartCompiler, *, forceinline: bool = False) -> F:
    options = OPTIONS | PLAIN | {"no_cpython_wrapper": True, "forceinline": forceinline}
    dispatcher: F = njit(function, fastmath=fastmath, pipeline_class=compiler, **options)
    return dispatcher


class _Cache(FunctionCache):
    """Numba's disk cache for one function; an entry that cannot be read or written is a warning, not an error.

    Args:
        function: the kernel.
        allocates: whether its machine code needs Numba's run-time library.
    """

    def __init__(self, function: Callable[..., Any], *, allocates: bool) -> None:
        super().__init__(function)
        self.allocates = allocates
        self._cache_file = _CacheFiles(self.cache_path, self._impl.filename_base, SOURCE_DIGEST)
        expected = config.CACHE_DIR
        if expected and not Path(self.cache_path).is_relative_to(expected):
            message = f"NUMBA_CACHE_DIR={expected} is not writable; compiled kernels are stored in {self.cache_path}."
            _warn_once("store", message)

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        # The argument types, the processor and the numbers in a closure, but not the function's code, which the digest
        # of the sources covers: an edit must not leave old files behind.
        cells = [cell.cell_contents for cell in self._py_func.__closure__ or ()]
        return sig, codegen.magic_tuple(), tuple(cell for cell in cells if isinstance(cell, int))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            if self.allocates:
                return super().load_overload(sig, target_context)
            # Without Numba's ``target_context.refresh()``, which imports 200 modules that only a compilation needs,
            # scipy.linalg among them: 46 MB and 0.2 seconds.
            return self._load_overload(sig, target_context)
        except Exception as error:  # unpickling a damaged file may raise anything
            reason = _first_line(error)
            _warn_once("load", f"Kernels in {self.cache_path} cannot be read ({reason}); they are compiled again.")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:  # for example a full disk, or a folder that was removed
            reason = _first_line(error)
            _warn_once("store", f"Compiled kernels cannot be stored in {self.cache_path} ({reason}).")


class _CacheFiles(IndexDataCacheFile):
    """One file for each combination of argument types, in place of Numba's index and numbered files.

    Contents of a file: SHA-256 of the rest (32 bytes), stamp (32 bytes), pickled machine code.
    """

    def load(self, key: Any) -> Any:
        """Return the entry for a key; None if there is none, or if other sources or another Numba wrote it.

        Raises:
            ValueError: if the checksum is wrong.
        """
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        checksum, content = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != checksum:
            raise ValueError("wrong checksum")
        if content[:DIGEST_BYTES] != self._stamp(key):
            return None
        return pickle.loads(content[DIGEST_BYTES:])

    def save(self, key: Any, data: Any) -> None:
        """Store an entry, and replace a stale or damaged one."""
        content = self._stamp(key) + self._dump(data)
        with self._open_for_write(str(self._path(key))) as file:
            file.write(hashlib.sha256(content).digest() + content)

    def _path(self, key: Any) -> Path:
        name = hashlib.sha256(repr(key).encode()).hexdigest()
        return Path(self._index_path).with_suffix(f".{name[:16]}.nbc")

    def _stamp(self, key: Any) -> bytes:
        return hashlib.sha256(repr((key, self._version, self._source_stamp)).encode()).digest()


class CompileTime(event.Listener):
    """Measure the seconds that this process spends on compiling, and log a message once, before the first.

    In a terminal, a line on standard error counts the functions while they are compiled.  Meanwhile Python collects no
    garbage.

    Attributes:
        seconds: the total so far; loading from the disk cache is not counted.
    """

    def __init__(self) -> None:
        self.seconds, self._depth, self._start, self._functions = 0.0, 0, 0.0, 0
        self._collects_garbage = True
        event.register("numba:compile", self)

    def on_start(self, event: Any) -> None:
        """Start the clock, unless this kernel is compiled as a part of another one."""
        self._depth += 1  # first, as Numba calls on_end whatever happens here
        if self._depth == 1:
            self._start, self._collects_garbage = time.perf_counter(), gc.isenabled()
            gc.disable()  # the compiler creates millions of objects, and little garbage: 6 % less time
        cache: Any = getattr(event.data["dispatcher"], "_cache", None)
        is_stored = isinstance(cache, _Cache)
        reason = f"{cache.cache_path} has no machine code for them yet" if is_stored else "they are not stored on disk"
        _warn_once("compile", f"Compiling the numerical kernels for this processor (4 to 6 seconds): {reason}.")
        self._functions += 1
        _overwrite_line(f"{self._functions} functions")

    def on_end(self, event: Any) -> None:
        """Stop the clock, unless this kernel was compiled as a part of another one."""
        self._depth -= 1
        if self._depth == 0:
            if self._collects_garbage:
                gc.enable()
            self.seconds += time.perf_counter() - self._start
            _overwrite_line("")


def _overwrite_line(text: str) -> None:
    """Replace the last line on standard error, if that is a terminal."""
    isatty = getattr(sys.stderr, "isatty", None)
    if isatty is not None and not sys.stderr.closed and isatty() and os.environ.get("TERM") != "dumb":
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _warn_once(topic: str, message: str) -> None:
    if topic not in _warned:
        _warned.add(topic)
        logging.getLogger(__name__).warning(message)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


compile_time = CompileTime()

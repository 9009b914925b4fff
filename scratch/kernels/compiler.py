"""Numba's compiler without the work that kernels do not need: the first run ever compiles in half the time.

Numba optimizes every function and links it with all that it calls, so a function five levels below a kernel is copied
and optimized five times.  Here a function that only kernels call is kept as LLVM's intermediate code; each kernel is
linked with all of its parts, optimized, and translated to machine code once.  Besides, functions that allocate no
memory skip two thirds of Numba's passes over Python code.

Measured for the kernel of the fused step, with its 75 parts (Intel Xeon, AVX-512): 4.8 s, of which LLVM takes 2.
"""

from collections import deque
from typing import Any

from numba.core import typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager

# Numba's passes that such functions need.  Others are for closures, ``with``, ``raise`` with computed values, inlined
# overloads, constant branches and array expressions.
PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.IRLegalization,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)
_sizes: dict[Any, int] = {}  # bytes of LLVM types


class _KernelLibrary(JITCodeLibrary):
    """The code of a kernel, which is linked and optimized once, with all functions that it calls.

    Numba does both for every function: one five levels below a kernel would be copied and optimized five times.
    """

    def finalize(self) -> None:
        """Link all parts, optimize them together, and create the machine code."""
        parts: dict[Any, None] = dict.fromkeys(self._linking_libraries)
        queue = deque(parts)
        while queue:
            new = [part for part in queue.popleft()._linking_libraries if part not in parts]
            parts |= dict.fromkeys(new)
            queue += new
        self._linking_libraries: list[Any] = list(parts)
        super().finalize()

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout


class _PartLibrary(_KernelLibrary):
    """The intermediate code of a part of kernels; it is not optimized and gets no machine code of its own."""

    def finalize(self) -> None:
        """Do nothing: a kernel links the functions that this one calls."""
        self._finalized = True

    @property
    def codegen(self) -> Any:
        """Return this object, whose ``set_env`` Numba calls."""
        return self

    def set_env(self, name: str, env: Any) -> None:
        """Do nothing: only a function with machine code has an environment, Numba's table of Python objects."""

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: there is no machine code."""
        return 0


class KernelCompiler(Compiler):
    """Numba's compiler, for kernels."""

    library_class: type[JITCodeLibrary] = _KernelLibrary

    def __init__(self, typing_context: Any, target_context: Any, library: Any, *others: Any) -> None:
        library = self.library_class(target_context.codegen(), "kernel")
        library.enable_object_caching()
        # Numba asks for the size of each local variable, and LLVM takes 0.4 ms to tell it.
        sizeof = target_context.get_abi_sizeof
        cached = target_context.subtarget(get_abi_sizeof=lambda ty: _sizes.get(ty) or _sizes.setdefault(ty, sizeof(ty)))
        super().__init__(typing_context, cached, library, *others)


class PlainCompiler(KernelCompiler):
    """Numba's compiler for kernels that allocate no memory, with a third of its passes."""

    def define_pipelines(self) -> list[PassManager]:
        """Return the passes to run."""
        passes = PassManager("kernel")
        for each in PASSES:
            passes.add_pass(each, each.__name__)
        passes.finalize()
        return [passes]


class PartCompiler(PlainCompiler):
    """Numba's compiler, up to LLVM's intermediate code."""

    library_class = _PartLibrary

"""Numba's compiler without the work that kernels do not need: the first run ever compiles in half the time.

Numba optimizes every function and links it with all that it calls, so a function five levels below a kernel is copied
and optimized five times.  Here a function that only kernels call is kept as LLVM's intermediate code; each kernel is
linked with all of its parts, optimized, and translated to machine code once.  Besides, functions that allocate no
memory skip two thirds of Numba's passes over Python code, and the types of operations are found once for all functions.

In such functions LLVM unrolls loops only where vectors are to stay in registers (``jit.unrolled``).  Left to itself, it
unrolls every loop: on Zen 4, generating machine code then takes 1.2 s instead of 0.6, and an epoch 1 to 2 % longer.

Measured for all kernels of a training (AMD EPYC, Zen 4): 4.5 s, of which LLVM takes a third; without remembering types,
0.5 s more.
"""

from collections import deque
from functools import cache
from typing import Any

import llvmlite.binding as llvm
from numba.core import typed_passes, types, typing, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager

# Numba's passes that such functions need.  Others are for closures, ``with``, ``raise`` with computed values, inlined
# overloads, constant branches and array expressions; or find where a reference to an array ends.
PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)
_sizes: dict[Any, int] = {}  # bytes of LLVM types
_signatures: dict[Any, Any] = {}  # of operations with arguments of some types


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


class _PlainLibrary(_KernelLibrary):
    """The code of a kernel that allocates no memory: it has no reference counts, so LLVM optimizes it in one round."""

    unrolls = False

    def _optimize_final_module(self) -> None:
        builder = self._pass_builder()
        builder.getModulePassManager().run(self._final_module, builder)

    def _pass_builder(self) -> Any:
        """Return what builds LLVM's passes for this processor."""
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        options.loop_unrolling = self.unrolls
        options.loop_interleaving = False  # several vectors in each round: no faster, and more code
        return llvm.create_pass_builder(self._codegen._tm, options)


class _PartLibrary(_PlainLibrary):
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


class _UnrolledLibrary(_PartLibrary):
    """The intermediate code of a part of kernels, in which loops over small constant ranges are unrolled."""

    unrolls = True

    def _optimize_functions(self, ll_module: Any) -> None:
        super()._optimize_functions(ll_module)
        builder = self._pass_builder()
        manager = builder.getFunctionPassManager()
        for function in ll_module.functions:
            manager.run(function, builder)


class _TypingContext(typing.Context):
    """Numba's typing context, which remembers the types of operations: most are asked for a dozen times."""

    def __init__(self, original: Any) -> None:
        self.__dict__ = original.__dict__  # the same registries

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        """Return the signature of an operation with arguments of these types."""
        if kws or not isinstance(func, types.Function):
            return super().resolve_function_type(func, args, kws)
        key = func, tuple(args)
        if key not in _signatures:
            _signatures[key] = super().resolve_function_type(func, args, kws)
        return _signatures[key]


_typing_context = cache(_TypingContext)  # one object, which is a key of Numba's memory for intrinsics


class KernelCompiler(Compiler):
    """Numba's compiler, for kernels."""

    library_class: type[JITCodeLibrary] = _KernelLibrary

    def __init__(self, typing_context: Any, target_context: Any, library: Any, *others: Any) -> None:
        library = self.library_class(target_context.codegen(), "kernel")
        library.enable_object_caching()
        # Numba asks for the size of each local variable, and LLVM takes 0.4 ms to tell it.
        sizeof = target_context.get_abi_sizeof
        cached = target_context.subtarget(get_abi_sizeof=lambda ty: _sizes.get(ty) or _sizes.setdefault(ty, sizeof(ty)))
        super().__init__(_typing_context(typing_context), cached, library, *others)


class PlainCompiler(KernelCompiler):
    """Numba's compiler for kernels that allocate no memory, with a third of its passes."""

    library_class = _PlainLibrary

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


class UnrollingCompiler(PartCompiler):
    """The same compiler, for functions with loops to be unrolled."""

    library_class = _UnrolledLibrary

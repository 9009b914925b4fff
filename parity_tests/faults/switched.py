"""A copy of the compiled core that contains every fault planted in it; a switch selects one of them at run time.

Compiling the core takes several seconds, so it is compiled once for all its faults.  In the copy, the statement that a
fault replaces becomes::

    if fault(3):
        # the statement with the mistake
    else:
        # the original statement

``fault(number)`` compares a number with the switch, a variable outside of the machine code.  The copy is a package of
its own beside this module's byte code, from which later runs load the machine code.
"""

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from textwrap import dedent, indent
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from scratch.kernels import (
    elementwise,
    fused_step,
    gemm,
    jit,
    masks,
    micro_kernel,
    passes,
    single_steps,
    sparsity,
    updates,
    workers,
)

# The modules that compute, each after those that it imports.
COPIED = (elementwise, sparsity, micro_kernel, gemm, masks, updates, passes, workers, single_steps, fused_step)
PACKAGE = "switched_kernels"
SYMBOL = "scratch_planted_fault"
switch = np.zeros(1, np.int64)  # number of the planted fault; 0: none
llvmlite.binding.add_symbol(SYMBOL, switch.ctypes.data)


class Replacement(NamedTuple):
    """Complete lines of a module's source, without their common indentation, and what a fault replaces them with."""

    module: ModuleType
    original: str
    faulty: str


@intrinsic
def fault(typing_context: Any, number: Any) -> Any:
    """Return whether the fault with this number is planted."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        variables = builder.module.globals
        variable = variables.get(SYMBOL) or ir.GlobalVariable(builder.module, ir.IntType(64), SYMBOL)
        return builder.icmp_signed("==", builder.load(variable), arguments[0])

    return types.boolean(types.int64), generate


def source_with_faults(module: ModuleType, replacements: Sequence[Replacement]) -> str:
    """Return the source of a module with the faults that replace its lines; they are numbered from 1.

    Raises:
        ValueError: if the lines that a fault replaces are not in the module exactly once.
    """
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    for number, (target, original, faulty) in enumerate(replacements, 1):
        if target is not module:
            continue
        lines = dedent(original).strip("\n")
        pattern = r"\n".join(rf"(?P<i{n}>[ ]*){re.escape(line.strip())}" for n, line in enumerate(lines.split("\n")))
        found = list(re.finditer(rf"^{pattern}$", source, re.MULTILINE))
        if len(found) != 1:
            raise ValueError(f"{module.__name__} must contain these lines once, not {len(found)} times: {original}")
        margin = found[0]["i0"]
        switched = (
            f"{margin}if fault({number}):\n{indent(dedent(faulty).strip(chr(10)), margin + '    ')}\n"
            f"{margin}else:\n{indent(dedent(found[0][0]), margin + '    ')}"
        )
        source = source[: found[0].start()] + switched + source[found[0].end() :]
    for copied in COPIED:
        name = copied.__name__.rpartition(".")[2]
        source = source.replace(f"from scratch.kernels.{name} import", f"from {PACKAGE}.{name} import")
    return source + f"\n\nfrom {__name__} import fault  # noqa: E402\n"


@cache
def switched_fused_step(replacements: Sequence[Replacement]) -> ModuleType:
    """Return the module ``fused_step`` of the copy with these faults."""
    folder = Path(__file__).with_name("__pycache__") / PACKAGE
    folder.mkdir(parents=True, exist_ok=True)
    sources = {module.__name__.rpartition(".")[2]: source_with_faults(module, replacements) for module in COPIED}
    for name, source in {"__init__": "", **sources}.items():
        file = folder / f"{name}.py"
        if not file.exists() or file.read_text(encoding="utf-8") != source:
            file.write_text(source, encoding="utf-8")
    digest = hashlib.sha256("".join([jit.SOURCE_DIGEST, *sources.values()]).encode()).hexdigest()
    path = [str(folder.parent), *sys.path]
    with mock.patch.object(jit, "SOURCE_DIGEST", digest), mock.patch.object(sys, "path", path):
        return import_module(f"{PACKAGE}.fused_step")


@contextmanager
def planted(replacements: Sequence[Replacement], number: int) -> Iterator[None]:
    """Let ``fit`` use the copy within the ``with`` block, with the fault of that number, or none if it is 0."""
    copy = switched_fused_step(replacements)
    switch[0] = number
    try:
        with mock.patch.object(fused_step, "FusedStep", copy.FusedStep):
            yield
    finally:
        switch[0] = 0

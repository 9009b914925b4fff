"""Test the seconds of compilation by kernel: nested kernels, Numba's own functions, and the tables."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.measurement import compilation
from benchmarks.measurement.compilation import KernelTimes, kernel_name
from benchmarks.measurement.results import Limit, Results
from benchmarks.questions import start
from benchmarks.questions.session import Session
from benchmarks.reports.sections import sections
from scratch import ops


def event(module: str, name: str) -> Any:
    """Return Numba's event for a function."""
    function = SimpleNamespace(__module__=module, __qualname__=name)
    return SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=function)})


def test_a_kernel_has_the_seconds_that_no_inner_kernel_has() -> None:
    """The inner kernel takes 2 seconds, Numba's own function 4, and the rest of the outer kernel 1 + 1 + 1."""
    moments = iter([0.0, 10.0, 11.0, 13.0, 14.0, 18.0, 19.0, 30.0, 35.0])
    times = KernelTimes(clock=lambda: next(moments))
    outer, inner = event("scratch.kernels.gemm", "outer"), event("scratch.kernels.simd", "inner")
    numba = event("numba.np.arrayobj", "impl")
    for call, argument in (
        (times.on_start, outer),
        (times.on_start, inner),
        (times.on_end, inner),
        (times.on_start, numba),
        (times.on_end, numba),
        (times.on_end, outer),
        (times.on_start, numba),
        (times.on_end, numba),
    ):
        call(argument)
    assert times.seconds == {"gemm.outer": 7.0, "simd.inner": 2.0, "other": 5.0}


def test_kernels_are_named_by_their_module() -> None:
    assert kernel_name(ops.get("numba").softmax_forward) == "numba_ops.softmax_forward"
    assert kernel_name(json.dumps) is None


def test_kernels_of_a_small_program_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measurement runs in a process of its own, with an empty cache, and sorts the kernels."""

    def run(*arguments: str, **variables: str) -> None:
        assert arguments[:2] == ("-m", "benchmarks.measurement.compilation")
        assert arguments[2].startswith(variables["NUMBA_CACHE_DIR"])
        with open(arguments[2], "w") as file:
            json.dump({"a.b": 1.0, "c.d": 2.0}, file)

    monkeypatch.setattr(compilation.programs, "run_python", run)
    assert list(compilation.measure_compilation().items()) == [("c.d", 2.0), ("a.b", 1.0)]


def test_tables_of_the_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([{"gemm.tile": 3.0, "passes.run": 1.0}, {"gemm.tile": 5.0, "passes.run": 1.0}, {"gemm.tile": 3.0}])
    monkeypatch.setattr(start, "measure_compilation", lambda: next(found))
    session = Session(article=None, results=Results(environment={}))  # type: ignore[arg-type]
    session.results.raw["start"] = {}
    session.progress.start("start", 3)
    start._measure_compilations(session, 3)
    (limit,) = session.results.limits
    assert isinstance(limit, Limit)
    assert limit.values == [4.0, 6.0, 3.0]
    assert limit.is_reached
    limits, kernels = sections(session.results)
    assert limits.lines[0].cells[1:4] == ["4.00 s", "5 s (3 s)", "yes"]
    assert [line.cells for line in kernels.lines] == [["gemm.tile", "3.00 s", "75%"], ["passes.run", "1.00 s", "25%"]]

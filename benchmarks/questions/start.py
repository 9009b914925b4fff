"""How long does it take to start: the import, the first training step, and the compilation of each kernel?"""

from statistics import median

from benchmarks.formatting import format_quantity
from benchmarks.goals import Goal
from benchmarks.measurement import programs
from benchmarks.measurement.compilation import measure_compilation
from benchmarks.measurement.ratios import interleave
from benchmarks.measurement.results import Limit
from benchmarks.measurement.worker import Worker
from benchmarks.peers.registry import KERAS, SCRATCH, missing_packages
from benchmarks.questions.session import MIN_SECONDS, Session

COMPILATION = Goal(5, 3)  # seconds


def measure_start(session: Session) -> None:
    """Measure imports, first steps and compilation; fill ``raw["start"]``."""
    session.results.raw["start"] = {}
    modules = ["scratch"] if missing_packages(KERAS) else ["scratch", "keras"]
    rounds, compilations = (1, 1) if session.quick else (5, 3)
    session.progress.start("start", rounds * len(modules) + 2 + compilations)
    _measure_imports(session, modules, rounds)
    _measure_first_steps(session)
    _measure_compilations(session, compilations)


def _measure_imports(session: Session, modules: list[str], rounds: int) -> None:
    found = session.results.raw["start"]["import"] = interleave(
        {name: lambda name=name: programs.run_python("-c", f"import {name}").seconds for name in modules},
        rounds,
        on_measurement=lambda name, seconds: session.progress.advance(f"import {name} {format_quantity(seconds, 's')}"),
    )
    imports = [f"{name} {format_quantity(median(times), 's')}" for name, times in found.items()]
    session.results.remark(f"Import: {', '.join(imports)}.")


def _measure_first_steps(session: Session) -> None:
    """Measure the first training step without and with compiled kernels on disk, and the steps after it."""
    found = session.results.raw["start"]
    with programs.empty_kernel_cache() as kernels:
        for start in ("cold", "cached"):
            with Worker(SCRATCH, {"NUMBA_CACHE_DIR": kernels}) as worker:
                worker.open(session.article)
                found[start], found["compiled"] = worker.measure("step"), worker.measure("step", MIN_SECONDS)
            session.progress.advance(f"first training step, {start} {format_quantity(found[start], 's')}")
    cold, cached, compiled = (format_quantity(found[start], "s") for start in ("cold", "cached", "compiled"))
    session.results.remark(
        f"First training step: {cold} without compiled kernels on disk (cold), {cached} with the kernels of an earlier "
        f"run on disk (cached); every further step: {compiled}."
    )


def _measure_compilations(session: Session, rounds: int) -> None:
    """Measure the compilation of each kernel in the first run ever; the report lists them by their median."""
    found = session.results.raw["start"]["compilation"] = []
    for _ in range(rounds):
        found.append(measure_compilation())
        total = sum(found[-1].values())
        session.progress.advance(f"compilation of {len(found[-1])} kernels {format_quantity(total, 's')}")
    totals = [sum(seconds.values()) for seconds in found]
    name = "compilation of all kernels, first run ever"
    session.results.limits.append(Limit(name, COMPILATION, totals, note="python -m scratch --epochs 1"))

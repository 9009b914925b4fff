"""How long does it take to start: the import, and the first training step, cold and with cached kernels?"""

from statistics import median

from benchmarks.formatting import format_quantity
from benchmarks.measurement import programs
from benchmarks.measurement.ratios import interleave
from benchmarks.measurement.worker import Worker
from benchmarks.peers.registry import KERAS, SCRATCH, missing_packages
from benchmarks.questions.session import MIN_SECONDS, Session


def measure_start(session: Session) -> None:
    """Measure imports and first steps; the results are remarks, without targets."""
    found = session.results.raw["start"] = {}
    modules = ["scratch"] if missing_packages(KERAS) else ["scratch", "keras"]
    rounds = 1 if session.quick else 5
    session.progress.start("start", rounds * len(modules) + 2)
    found["import"] = interleave(
        {name: lambda name=name: programs.run_python("-c", f"import {name}").seconds for name in modules},
        rounds,
        on_measurement=lambda name, seconds: session.progress.advance(f"import {name} {format_quantity(seconds, 's')}"),
    )
    with programs.empty_kernel_cache() as kernels:
        for start in ("cold", "cached"):
            with Worker(SCRATCH, {"NUMBA_CACHE_DIR": kernels}) as worker:
                worker.open(session.article)
                found[start], found["compiled"] = worker.measure("step"), worker.measure("step", MIN_SECONDS)
            session.progress.advance(f"first training step, {start} {format_quantity(found[start], 's')}")
    imports = [f"{name} {format_quantity(median(times), 's')}" for name, times in found["import"].items()]
    cold, cached, compiled = (format_quantity(found[start], "s") for start in ("cold", "cached", "compiled"))
    session.results.remark(f"Import: {', '.join(imports)}.")
    session.results.remark(
        f"First training step: {cold} without compiled kernels on disk (cold), {cached} with the kernels of an earlier "
        f"run on disk (cached); every further step: {compiled}."
    )

"""How long does the whole program take, from start to end, and how much memory?

Compared are ``python -m scratch`` and ``python -m keras_impl`` on TensorFlow, with the same options. Memory is limited
for ``python -m scratch``, which holds the digits as bytes, for the same program on float32 digits, and within ``fit``,
which must not copy the training data into another dtype.
"""

from collections.abc import Callable

from benchmarks.formatting import format_quantity
from benchmarks.goals import Goal
from benchmarks.measurement import programs
from benchmarks.measurement.ratios import Times, interleave
from benchmarks.measurement.results import Limit
from benchmarks.peers.registry import KERAS, PEERS, SCRATCH, missing_packages
from benchmarks.questions.session import Session
from benchmarks.variants import PLAIN, VERBATIM

TITLES = {
    "keras": "keras_impl",
    "cached": "scratch, cached kernels",
    "floats": "scratch, float32 digits",
    "cold": "scratch, first run ever",
}
PEAK = Goal(250e6)


def measure_program(session: Session) -> None:
    """Measure seconds and peak memory of the programs."""
    epochs, rounds = (2, 1) if session.quick else (10, 3)
    note = f"{epochs} epochs" + (" instead of 10 (--quick)" if session.quick else "")
    if sentence := missing_packages(KERAS):
        session.results.remark(sentence)
    seconds, peaks = _run_in_turns(session, epochs, rounds, has_keras=sentence is None)
    session.results.raw["program"] = {"epochs": epochs, "seconds": seconds, "peak": peaks}
    for name, target, measurements, start, unit in (
        ("whole program, cached kernels", Goal(5), seconds, "cached", "s"),
        ("whole program, first run ever", Goal(2), seconds, "cold", "s"),
        ("peak memory of the whole program", Goal(4), peaks, "cached", "B"),
    ):
        name = f"{name}, {PEERS[KERAS].title}"
        session.add_row(name, target, measurements, "keras", start, unit=unit, note=note)
    _limit_peaks(session, peaks, note)
    _limit_allocations(session)


def _limit_peaks(session: Session, peaks: Times, note: str) -> None:
    """Add the limits of the peak memory of scratch's program, on bytes and on float32 digits."""
    size = format_quantity(session.article.x.nbytes, "B")
    for start, digits, remark in (
        ("cached", "bytes", ""),
        ("floats", "float32", f", the training digits are {size} of it"),
    ):
        name = f"peak memory of the whole program, digits as {digits}"
        session.results.limits.append(Limit(name, PEAK, peaks.get(start, []), unit="B", note=note + remark))


def _limit_allocations(session: Session) -> None:
    """Add the limits of what ``fit`` allocates: less than a copy of the training data in any other dtype."""
    smallest_copy = Goal(float(session.article.x.size))  # a byte for each number
    found = session.results.raw["program"]["allocated"] = {}
    with session.workers([SCRATCH]) as workers:
        for worker in workers.values():
            worker.open(session.article)
            session.progress.start("memory", 3)
            for digits, variant in (("bytes", None), ("float32", PLAIN), ("float64", VERBATIM)):
                if variant is not None:
                    worker.select(variant)
                found[digits] = worker.allocated()
                session.progress.advance(f"an epoch of fit, {digits} {format_quantity(found[digits], 'B')}")
                name = f"memory that an epoch of fit allocates, digits as {digits}"
                note = "the limit is the smallest copy of the training digits: a byte for each number"
                session.results.limits.append(Limit(name, smallest_copy, [found[digits]], unit="B", note=note))


def _run_in_turns(session: Session, epochs: int, rounds: int, has_keras: bool) -> tuple[Times, Times]:
    """Check that the programs end with the same result; return their seconds and their peak memory in bytes."""
    options = ("--epochs", str(epochs))
    session.progress.announce("Comparing the results of the programs.")
    with programs.empty_kernel_cache() as kernels:
        starts: dict[str, Callable[[], programs.Run]] = {
            **({"keras": lambda: programs.run_keras(*options)} if has_keras else {}),
            "cached": lambda: programs.run_scratch(*options, kernels=kernels),
            "floats": lambda: programs.run_scratch_floats(*options, kernels=kernels),
            "cold": lambda: programs.run_scratch_cold(*options),
        }
        peaks: Times = {kind: [] for kind in starts}
        expected = starts["cached"]()  # this also fills the kernel cache
        for start in [name for name in ("floats", "keras") if name in starts]:
            programs.check_same_result(expected, starts[start]())
            session.progress.announce(f"Checked the result of: {TITLES[start]}.")

        def seconds_of(kind: str) -> float:
            run = starts[kind]()
            peaks[kind].append(float(run.peak))
            return run.seconds

        session.progress.start("program", rounds * len(starts))
        seconds = interleave(
            {kind: lambda kind=kind: seconds_of(kind) for kind in starts},
            rounds,
            on_measurement=lambda kind, value: session.progress.advance(
                f"{TITLES[kind]} {format_quantity(value, 's')}"
            ),
        )
    return seconds, peaks

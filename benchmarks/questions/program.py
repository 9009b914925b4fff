"""How long does the whole program take, from start to end, and how much memory?

Compared are ``python -m scratch`` and ``python -m keras_impl`` on TensorFlow, with the same options.
"""

from collections.abc import Callable

from benchmarks.formatting import format_quantity
from benchmarks.measurement import programs
from benchmarks.measurement.goals import Goal
from benchmarks.measurement.ratios import Times, interleave
from benchmarks.peers.registry import KERAS, PEERS, missing_packages
from benchmarks.questions.session import Session

TITLES = {"keras": "keras_impl", "cached": "scratch, cached kernels", "cold": "scratch, first run ever"}


def measure_program(session: Session) -> None:
    """Measure seconds and peak memory of the programs."""
    epochs, rounds = (2, 1) if session.quick else (10, 3)
    note = f"{epochs} epochs" + (" instead of 10 (--quick)" if session.quick else "")
    if sentence := missing_packages(KERAS):
        session.results.remark(sentence)
        seconds, peaks = {}, {}
    else:
        seconds, peaks = _run_in_turns(session, epochs, rounds)
    session.results.raw["program"] = {"epochs": epochs, "seconds": seconds, "peak": peaks}
    for name, target, measurements, start, unit in (
        ("whole program, cached kernels", Goal(5), seconds, "cached", "s"),
        ("whole program, first run ever", Goal(2), seconds, "cold", "s"),
        ("peak memory of the whole program", Goal(4), peaks, "cached", "B"),
    ):
        name = f"{name}, {PEERS[KERAS].title}"
        session.add_row(name, target, measurements, "keras", start, unit=unit, note=note)


def _run_in_turns(session: Session, epochs: int, rounds: int) -> tuple[Times, Times]:
    """Check that the programs end with the same result; return their seconds and their peak memory in bytes."""
    options = ("--epochs", str(epochs))
    peaks: Times = {kind: [] for kind in TITLES}
    session.progress.announce("Comparing the results of the two programs.")
    with programs.empty_kernel_cache() as kernels:
        starts: dict[str, Callable[[], programs.Run]] = {
            "keras": lambda: programs.run_keras(*options),
            "cached": lambda: programs.run_scratch(*options, kernels=kernels),
            "cold": lambda: programs.run_scratch_cold(*options),
        }
        programs.check_same_result(starts["cached"](), starts["keras"]())  # this also fills the kernel cache

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

"""List the questions."""

from collections.abc import Callable

from benchmarks.questions.epoch import measure_epoch
from benchmarks.questions.grid import measure_grid
from benchmarks.questions.inference import measure_inference
from benchmarks.questions.program import measure_program
from benchmarks.questions.session import Session
from benchmarks.questions.start import measure_start
from benchmarks.questions.threads import measure_threads
from benchmarks.questions.variants import measure_variants

QUESTIONS: dict[str, Callable[[Session], None]] = {
    "epoch": measure_epoch,
    "variants": measure_variants,
    "inference": measure_inference,
    "program": measure_program,
    "grid": measure_grid,
    "start": measure_start,
    "threads": measure_threads,
}
QUICK = ("epoch", "inference", "program", "grid")  # the questions of --quick

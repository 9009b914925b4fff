"""How does an epoch scale with the number of threads?"""

from benchmarks.measurement.environment import cores
from benchmarks.peers.registry import KERAS, SCRATCH
from benchmarks.questions.session import Session

# Each library reads its number of threads from one of these variables, when it is loaded.
VARIABLES = ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


def thread_counts(cores: int) -> list[int]:
    """Return the powers of two up to the number of cores."""
    return [2**i for i in range(cores.bit_length())]


def thread_variables(count: int) -> dict[str, str]:
    """Return the environment variables that limit every library to ``count`` threads."""
    return dict.fromkeys(VARIABLES, str(count))


def measure_threads(session: Session) -> None:
    """Measure an epoch of the article's network on 1, 2, 4, … threads."""
    found = session.results.raw["threads"] = {}
    for count in thread_counts(cores()):
        with session.workers([SCRATCH, "in-place", KERAS], thread_variables(count)) as workers:
            verified = session.verified(workers, session.article)
            label = f"epoch, {count} threads" if count > 1 else "epoch, 1 thread"
            found[count] = session.measure(verified, "epoch", 2 if session.quick else 7, label=label)

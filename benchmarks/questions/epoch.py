"""How long does an epoch of ``fit`` take, for every peer?"""

from benchmarks.goals import Goal
from benchmarks.peers.registry import KERAS, KERAS_JAX, PEERS, PRODUCTS
from benchmarks.questions.session import Session

TARGETS = {KERAS: Goal(6, 8), KERAS_JAX: Goal(3, 4), "jax-scan": Goal(1.8, 2.2), PRODUCTS: Goal(1.5, 1.8)}


def measure_epoch(session: Session) -> None:
    """Measure an epoch of the article's network."""
    with session.workers(PEERS) as workers:
        times = session.measure(session.verified(workers, session.article), "epoch", 3 if session.quick else 11)
    session.results.raw["epoch"] = times
    for kind, target in TARGETS.items():
        session.add_row(f"epoch of fit, {PEERS[kind].title}", target, times, kind)

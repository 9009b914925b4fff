"""How long does an epoch of ``fit`` take, for every peer?"""

from benchmarks.peers.registry import KERAS, PEERS
from benchmarks.questions.session import Session

TARGETS = {KERAS: 5.0, "keras-jax": 2.5, "jax-scan": 1.5, "products": 1.25}


def measure_epoch(session: Session) -> None:
    """Measure an epoch of the article's network."""
    with session.workers(PEERS) as workers:
        times = session.measure(session.verified(workers, session.article), "epoch", 3 if session.quick else 11)
    session.results.raw["epoch"] = times
    for kind, target in TARGETS.items():
        session.add_row(f"epoch of fit, {PEERS[kind].title}", target, times, kind)

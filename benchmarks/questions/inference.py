"""How long does a prediction take, for one image and for many, by ``predict`` and by ``model(x)``?"""

from benchmarks.goals import Goal
from benchmarks.peers.registry import KERAS, PEERS, SCRATCH
from benchmarks.questions.session import MIN_SECONDS, Session

MANY = 10_000


def measure_inference(session: Session) -> None:
    """Measure predictions of the article's network."""
    found = session.results.raw["inference"] = {}
    with session.workers([SCRATCH, "numpy", KERAS]) as workers:
        verified = session.verified(workers, session.article)
        for workload, label in (
            ("predict 1", "predict, 1 image"),
            ("call 1", "model(x), 1 image"),
            ("predict 100", "predict, 100 images"),
            (f"predict {MANY}", f"predict, {MANY:,} images"),
        ):
            found[workload] = session.measure(verified, workload, 5 if session.quick else 15, MIN_SECONDS, label)
    count = min(MANY, len(session.article.x))
    rows = [
        ("predict of one image", Goal(500), found["predict 1"]),
        ("model(x) of one image", Goal(30), found["call 1"]),
        (f"predict of {count:,} images", Goal(4), found[f"predict {MANY}"]),
    ]
    for name, target, times in rows:
        session.add_row(f"{name}, {PEERS[KERAS].title}", target, times, KERAS)

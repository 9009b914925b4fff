"""What does each variant of the article's training cost: other inputs, options of the optimizer, a callback, …?

Every variant is trained by scratch, by Keras on TensorFlow and by Keras on JAX, all in one run. In each round, one peer
trains all variants directly after each other, so that a slow phase of the machine affects a variant and the plain
training alike.
"""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from benchmarks.formatting import format_quantity
from benchmarks.measurement.ratios import interleave
from benchmarks.measurement.same import DifferentError, check_outputs, reference_outputs
from benchmarks.measurement.worker import Worker, WorkerError
from benchmarks.peers.registry import KERAS, KERAS_JAX, PEERS, SCRATCH
from benchmarks.questions.session import Session, Workers
from benchmarks.tasks import CHECKED_STEPS, first_samples, vary
from benchmarks.variants import VARIANTS, Variant

T = TypeVar("T")
KINDS = (SCRATCH, KERAS, KERAS_JAX)
Programs = dict[str, list[Variant]]  # of each peer, the variants that it trains like the reference


def measure_variants(session: Session) -> None:
    """Measure an epoch of every variant; fill ``raw["variants"]`` with seconds by variant and peer."""
    found = session.results.raw["variants"] = {variant.name: {} for variant in VARIANTS}
    with session.workers(KINDS) as workers:
        programs = _verified(session, workers)
        rounds = 2 if session.quick else 9
        session.progress.start("variants", (rounds + 1) * sum(map(len, programs.values())))
        for i in range(rounds + 1):
            for kind in _rotated(list(programs), i):
                seconds = _measure_in_turns(session, workers[kind], _rotated(programs[kind], i))
                if i > 0:  # the first round is a warm-up
                    for name, measured in seconds.items():
                        found[name].setdefault(kind, []).append(measured)


def _verified(session: Session, workers: Workers) -> Programs:
    """Return the variants of each worker whose outputs agree with the reference; add a remark for each other one."""
    programs: Programs = {}
    for kind, worker in workers.items():
        try:
            worker.open(session.article)
            programs[kind] = []
        except WorkerError as error:
            session.results.remark(str(error))
    few = first_samples(session.article, CHECKED_STEPS * max(variant.batch_size for variant in VARIANTS))
    for variant in VARIANTS:
        task = vary(few, variant)
        expected = reference_outputs(SCRATCH, task)
        for kind, verified in programs.items():
            try:
                workers[kind].select(variant)
                check_outputs(kind, task, workers[kind].outputs(), expected)
                verified.append(variant)
            except (WorkerError, DifferentError) as error:
                session.results.remark(str(error))
        session.progress.announce(f"Checked the outputs of: {variant.name}.")
    return programs


def _measure_in_turns(session: Session, worker: Worker, variants: Sequence[Variant]) -> dict[str, float]:
    """Measure one epoch of each variant, and return the seconds by the variant's name."""

    def epoch(variant: Variant) -> float:
        worker.select(variant)
        return worker.measure("epoch")

    def report(name: str, seconds: float) -> None:
        session.progress.advance(f"{name}, {PEERS[worker.kind].title} {format_quantity(seconds, 's')}")

    sides = {variant.name: partial(epoch, variant) for variant in variants}
    return {name: seconds for name, (seconds,) in interleave(sides, 1, on_measurement=report).items()}


def _rotated(items: Sequence[T], count: int) -> Sequence[T]:
    first = count % max(1, len(items))
    return [*items[first:], *items[:first]]

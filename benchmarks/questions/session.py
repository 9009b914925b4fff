"""What the questions share: starting, checking and measuring workers, and adding rows to the results."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from benchmarks.formatting import format_quantity
from benchmarks.goals import Goal
from benchmarks.measurement.progress import Progress
from benchmarks.measurement.ratios import Times, interleave, paired_ratio
from benchmarks.measurement.results import Results, Row
from benchmarks.measurement.same import DifferentError, check_outputs, reference_outputs
from benchmarks.measurement.worker import Worker, WorkerError
from benchmarks.peers.base import Outputs
from benchmarks.peers.registry import PEERS, SCRATCH, missing_packages
from benchmarks.tasks import Task

MIN_SECONDS = 0.05  # short workloads are repeated for at least this long
Workers = dict[str, Worker]


@dataclass
class Session:
    """One run of ``python -m benchmarks``.

    Attributes:
        article: the article's network on its digits.
        quick: take fewer rounds, and measure fewer networks.
        results: filled by the questions.
        progress: reports each finished measurement.
    """

    article: Task
    quick: bool = False
    results: Results = field(default_factory=Results)
    progress: Progress = field(default_factory=Progress)

    @contextmanager
    def workers(self, kinds: Iterable[str], environment: dict[str, str] | None = None) -> Iterator[Workers]:
        """Start a worker for each peer that is installed; add a remark for each that is not.

        Args:
            kinds: names of peers.
            environment: environment variables for the workers, in addition to those of this process.
        """
        with ExitStack() as stack:
            workers: Workers = {}
            for kind in kinds:
                if sentence := missing_packages(kind):
                    self.results.remark(sentence)
                else:
                    workers[kind] = stack.enter_context(Worker(kind, environment))
            titles = "; ".join(PEERS[kind].title for kind in workers)
            self.progress.announce(f"Starting peers and checking their outputs: {titles}.")
            yield workers

    def verified(self, workers: Workers, task: Task) -> Workers:
        """Open the task in every worker and return the workers whose outputs agree with the reference.

        A worker that fails or whose outputs differ is left out, with a remark.
        """
        verified: Workers = {}
        expected: dict[str, Outputs] = {}
        for kind, worker in workers.items():
            reference = PEERS[kind].reference
            if reference not in expected:
                expected[reference] = reference_outputs(kind, task)
            try:
                worker.open(task)
                check_outputs(kind, task, worker.outputs(), expected[reference])
                verified[kind] = worker
            except (WorkerError, DifferentError) as error:
                self.results.remark(str(error))
        return verified

    def measure(
        self, workers: Workers, workload: str, rounds: int, min_seconds: float = 0.0, label: str | None = None
    ) -> Times:
        """Measure every worker once as a warm-up, so that everything is compiled, and then in turns.

        Args:
            workers: the workers, all with the same task.
            workload: see ``Runner.measure``.
            rounds: number of rounds.
            min_seconds: see ``Runner.measure``.
            label: the name of this series in the progress; by default the workload.

        Returns:
            The seconds of each peer, in the order of the rounds.
        """
        sides = {kind: lambda worker=worker: worker.measure(workload, min_seconds) for kind, worker in workers.items()}
        self.progress.start(label or workload, (rounds + 1) * len(sides))

        def report(kind: str, seconds: float) -> None:
            self.progress.advance(f"{PEERS[kind].title} {format_quantity(seconds, 's')}")

        interleave(sides, 1, on_measurement=report)
        return interleave(sides, rounds, on_measurement=report)

    def add_row(self, name: str, target: Goal, times: Times, peer: str, scratch: str = SCRATCH, **options: str) -> None:
        """Add a row to the table of results, without a ratio if one of the two sides was not measured.

        Args:
            name: what is measured.
            target: lower limit of the ratio.
            times: measurements of all sides.
            peer: the side that is divided by ``scratch``.
            scratch: the side of scratch.
            options: ``unit`` and ``note`` of the row.
        """
        is_measured = bool(times.get(peer) and times.get(scratch))
        ratio = paired_ratio(times[peer], times[scratch]) if is_measured else None
        self.results.rows.append(Row(name, target, ratio, **options))

"""The questions that ``python -m benchmarks`` answers, each with a few rows of the table and its raw measurements.

Every question goes the same way: a ``team`` of peers, each in its own process, shows that it computes the same; then
they take turns (``ratios.interleave``), and ours is divided into each of the others, round by round.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from benchmarks.measurement import programs, ratios, same
from benchmarks.measurement.environment import cores
from benchmarks.measurement.ratios import Ratio, ratio
from benchmarks.measurement.tasks import Task, dense
from benchmarks.measurement.worker import Worker, WorkerError
from benchmarks.peers.base import OURS, PEERS, missing
from benchmarks.reports.text import Results, Row, quantity

Team = dict[str, Worker]
Times = dict[str, list[float]]
RIVAL = "keras-tensorflow"
AT_LEAST = 0.05  # seconds that a short measurement is repeated for


@dataclass
class Session:
    """One run.

    Attributes:
        article: the article's network on its digits.
        quick: fewer rounds, fewer points.
        results: filled by the questions.
        bar: starts a bar of progress of that name and length, and returns what moves it on.
    """

    article: Task
    quick: bool = False
    results: Results = field(default_factory=Results)
    bar: Callable[[str, int], Callable[[], object]] = lambda name, total: int

    @contextmanager
    def team(self, kinds: Iterable[str], environment: dict[str, str] | None = None) -> Iterator[Team]:
        """Processes for those peers that are installed; a line for each that is not."""
        with ExitStack() as stack:
            team: Team = {}
            for kind in kinds:
                if line := missing(kind):
                    self.results.remark(line)
                else:
                    team[kind] = stack.enter_context(Worker(kind, environment))
            yield team

    def prove(self, team: Team, task: Task) -> Team:
        """Give them the task; only those that compute the same stay, with a line for each that doesn't."""
        fine: Team = {}
        wanted = {}
        for kind, worker in team.items():
            which = kind if kind == "products" else "numpy"
            wanted[which] = wanted.get(which) or same.expected(kind, task)
            try:
                worker.open(task)
                same.check(kind, task, worker.evidence(), wanted[which])
                fine[kind] = worker
            except (WorkerError, same.DifferentError) as error:
                self.results.remark(str(error))
        return fine

    def times(self, team: Team, question: str, rounds: int, at_least: float = 0.0, name: str = "") -> Times:
        """Measure everybody once for nothing, so that all is compiled and warm, and then round by round."""
        advance = self.bar(name or question, (rounds + 1) * len(team))
        sides = {kind: lambda worker=worker: worker.measure(question, at_least) for kind, worker in team.items()}
        ratios.interleave(sides, 1, after=advance)
        return ratios.interleave(sides, rounds, after=advance)

    def row(self, what: str, wanted: float, times: Times, theirs: str, **more: str) -> None:
        """Add a row to the table, also if one of the sides is not there."""
        there = theirs in times and OURS in times
        self.results.rows.append(Row(what, wanted, ratio(times[theirs], times[OURS]) if there else None, **more))


def epoch(session: Session) -> None:
    """An epoch of ``fit``, for everybody."""
    with session.team(PEERS) as team:
        times = session.times(session.prove(team, session.article), "epoch", 3 if session.quick else 11)
    session.results.raw["epoch"] = times
    for kind, wanted in (("keras-tensorflow", 5), ("keras-jax", 2.5), ("jax-scan", 1.5), ("products", 1 / 0.8)):
        session.row(f"an epoch of fit, against {PEERS[kind].title}", wanted, times, kind)


def inference(session: Session) -> None:
    """Predictions for one image and for many, by both of Keras's ways."""
    found = session.results.raw["inference"] = {}
    with session.team([OURS, "numpy", RIVAL]) as team:
        team = session.prove(team, session.article)
        for question in ("predict 1", "call 1", "predict 100", "predict 10000"):
            found[question] = session.times(team, question, 5 if session.quick else 15, AT_LEAST)
    rows = [("predict of one image", "predict 1", 500), ("model(x) of one image", "call 1", 30)]
    count = min(10_000, len(session.article.x))
    for what, question, wanted in [*rows, (f"predict of {count:,} images", "predict 10000", 4)]:
        session.row(f"{what}, against {PEERS[RIVAL].title}", wanted, found[question], RIVAL)


def program(session: Session) -> None:
    """``python -m scratch`` beside ``python -m keras_impl``: seconds and memory, from start to end."""
    epochs, rounds = (2, 1) if session.quick else (10, 3)
    options = ("--epochs", str(epochs))
    note = f"{epochs} epochs" + (", not ten: --quick" if session.quick else "")
    names = {"cached": "the whole program, kernels cached", "cold": "the whole program, first time ever"}
    wanted = {"cached": 5, "cold": 2}
    if line := missing(RIVAL):
        session.results.remark(line)
        session.results.rows += [Row(names[kind], wanted[kind], None) for kind in names]
        return
    runs: dict[str, list[programs.Run]] = {"keras": [], "cached": [], "cold": []}
    with programs.no_kernels() as kernels:
        starts = {
            "keras": lambda: programs.keras(*options),
            "cached": lambda: programs.scratch(*options, kernels=kernels),
            "cold": lambda: programs.scratch_cold(*options),
        }
        programs.check_same(starts["cached"](), starts["keras"]())  # and now there are kernels

        def side(kind: str) -> float:
            runs[kind].append(starts[kind]())
            return runs[kind][-1].seconds

        advance = session.bar("whole programs", rounds * len(starts))
        times = ratios.interleave({kind: lambda kind=kind: side(kind) for kind in starts}, rounds, after=advance)
    peaks = {kind: [float(run.peak) for run in runs[kind]] for kind in runs}
    session.results.raw["program"] = {"epochs": epochs, "seconds": times, "peak": peaks}
    add = session.results.rows.append
    for kind, what in names.items():
        add(Row(what, wanted[kind], ratio(times["keras"], times[kind]), note=note))
    add(Row("peak memory of the whole program", 4, ratio(peaks["keras"], peaks["cached"]), "B", note))


BATCHES, WIDTHS, DEPTHS = (1, 16, 128, 1024, 4096), (16, 64, 256, 1024, 2048), (1, 3, 6)
MIDDLE = 128, 256, 3  # the curves of scaling run through this point
QUICK_POINTS = [(1, 16, 1), (1, 256, 3), (128, 256, 3), (4096, 16, 1), (128, 1024, 3)]


def points(quick: bool) -> list[tuple[int, int, int]]:
    """Batch, width and depth of every network of the grid."""
    if quick:
        return QUICK_POINTS
    grid = {(batch, width, depth) for batch in BATCHES for width in WIDTHS for depth in DEPTHS}
    return sorted(grid | {(*MIDDLE[:2], depth) for depth in range(1, 7)})


def grid(session: Session) -> None:
    """Dense random input, from one sample and 16 units to thousands: is there a network that Keras trains faster?"""
    found = session.results.raw["grid"] = []
    kinds = [OURS, RIVAL, "numpy"]
    places = points(session.quick)
    advance = session.bar("grid", len(places))
    with session.team(kinds) as team:
        for point in places:
            on_curve = sum(a == b for a, b in zip(point, MIDDLE, strict=True)) >= 2
            task = dense(*point, proof_steps=4 if point[0] * point[1] < 1 << 20 else 1)
            asked = {kind: worker for kind, worker in team.items() if on_curve or kind != "numpy"}
            times = _point(session.prove(asked, task))
            steps = len(task.x) // task.batch
            found.append({"batch": point[0], "width": point[1], "depth": point[2], "steps": steps, "seconds": times})
            advance()
    _grid_row(session)


def _point(team: Team) -> Times:
    """A few rounds, and more of them where they don't tell clearly who is faster."""
    sides = {kind: lambda worker=worker: worker.measure("epoch") for kind, worker in team.items()}
    ratios.interleave(sides, 1, settle=0)
    times = ratios.interleave(sides, 3)
    if {OURS, RIVAL} <= set(times) and min(a / b for a, b in zip(times[RIVAL], times[OURS], strict=True)) < 1.15:
        more = ratios.interleave(sides, 4)
        times = {kind: seconds + more[kind] for kind, seconds in times.items()}
    return times


def _grid_row(session: Session) -> None:
    """The worst point of the grid is its row."""
    found = session.results.raw["grid"]
    compared: list[tuple[Ratio, dict]] = [
        (ratio(point["seconds"][RIVAL], point["seconds"][OURS]), point)
        for point in found
        if {OURS, RIVAL} <= set(point["seconds"])
    ]
    what = f"dense grid, its worst point, against {PEERS[RIVAL].title}"
    if not compared:
        session.results.rows.append(Row(what, 1, None))
        return
    for value, point in compared:
        point["ratio"] = value.value
    worst, point = min(compared, key=lambda pair: pair[0].value)
    slower = sum(value.value < 1 for value, _ in compared)
    note = f"{slower} of {len(compared)} points slower; worst: batch {point['batch']}, width {point['width']}, "
    session.results.rows.append(Row(what, 1, worst, note=f"{note}depth {point['depth']}"))
    if len(compared) < len(found):
        session.results.remark(f"The grid lacks {len(found) - len(compared)} points that could not be compared.")


def thread_counts(cores: int) -> list[int]:
    """1, 2, 4, … as far as there are cores."""
    return [n for n in (1, 2, 4, 8, 16, 32, 64, 128) if n <= cores]


def with_threads(count: int) -> dict[str, str]:
    """The variables that hold every library to so many threads, if they are set before it starts."""
    names = ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return dict.fromkeys(names, str(count))


def threads(session: Session) -> None:
    """An epoch on 1, 2, 4, … threads."""
    found = session.results.raw["threads"] = {}
    for count in thread_counts(cores()):
        with session.team([OURS, "in-place", RIVAL], with_threads(count)) as team:
            team = session.prove(team, session.article)
            found[count] = session.times(team, "epoch", 2 if session.quick else 7, name=f"epoch, {count} threads")


def start(session: Session) -> None:
    """What comes before the first epoch: the import, and the first step, without kernels and with."""
    found = session.results.raw["start"] = {}
    imports = {name: lambda name=name: programs.run("-c", f"import {name}").seconds for name in ("scratch", "keras")}
    if missing(RIVAL):
        del imports["keras"]
    advance = session.bar("start", (1 if session.quick else 5) * len(imports) + 2)
    found["import"] = ratios.interleave(imports, 1 if session.quick else 5, after=advance)
    with programs.no_kernels() as kernels:
        for name in ("cold", "cached"):
            with Worker(OURS, {"NUMBA_CACHE_DIR": kernels}) as worker:
                worker.open(session.article)
                found[name], found["compiled"] = worker.measure("step"), worker.measure("step", AT_LEAST)
            advance()
    middle = {name: quantity(sorted(times)[len(times) // 2], "s") for name, times in found["import"].items()}
    steps = {name: quantity(found[name], "s") for name in ("cold", "cached", "compiled")}
    session.results.remark(f"Import: {', '.join(f'{name} {value}' for name, value in middle.items())}.")
    session.results.remark(
        f"The first training step: {steps['cold']} without compiled kernels anywhere, {steps['cached']} with those of "
        f"an earlier run on disk; every other step: {steps['compiled']}."
    )


QUESTIONS = {f.__name__: f for f in (epoch, inference, program, grid, start, threads)}
QUICK = ("epoch", "inference", "program", "grid")

"""Is there a network that Keras trains faster? A grid of batch size, width and depth on dense random input.

The input has no zeros, so that scratch's kernels, which skip zeros, have no advantage from the data.
"""

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.formatting import format_quantity
from benchmarks.measurement.goals import Goal
from benchmarks.measurement.ratios import Ratio, Times, interleave, paired_ratio
from benchmarks.measurement.results import Row
from benchmarks.peers.registry import KERAS, PEERS, SCRATCH
from benchmarks.questions.session import Session, Workers
from benchmarks.tasks import dense_task

Point = tuple[int, int, int]  # batch size, width, depth
BATCH_SIZES, WIDTHS, DEPTHS = (1, 16, 128, 1024, 4096), (16, 64, 256, 1024, 2048), (1, 3, 6)
MIDDLE: Point = (128, 256, 3)  # the curves of scaling.png run through this point
QUICK_POINTS: list[Point] = [(1, 16, 1), (1, 256, 3), (128, 256, 3), (4096, 16, 1), (128, 1024, 3)]
TARGET = Goal(1)
UNDECIDED = 1.15  # a point with a ratio below this in one of its rounds is measured in more rounds
LARGE_BATCH_VALUES = 1 << 20  # values in a batch above which a single training step is checked


def grid_points(quick: bool) -> list[Point]:
    """Return batch size, width and depth of every network of the grid."""
    if quick:
        return QUICK_POINTS
    points = {(batch_size, width, depth) for batch_size in BATCH_SIZES for width in WIDTHS for depth in DEPTHS}
    return sorted(points | {(*MIDDLE[:2], depth) for depth in range(1, 7)})


def measure_grid(session: Session) -> None:
    """Measure an epoch of every network of the grid."""
    found = session.results.raw["grid"] = []
    points = grid_points(session.quick)
    with session.workers([SCRATCH, KERAS, "numpy"]) as workers:
        session.progress.start("grid", len(points))
        for point in points:
            found.append(_measure_point(session, workers, point))
            medians = {PEERS[kind].title: median(times) for kind, times in found[-1]["seconds"].items()}
            times = ", ".join(f"{title} {format_quantity(seconds, 's')}" for title, seconds in medians.items())
            session.progress.advance(f"{_network(found[-1])}: {times}")
    _add_row(session, found)


def _measure_point(session: Session, workers: Workers, point: Point) -> dict[str, Any]:
    """Measure one network; NumPy takes part only where scaling.png shows its curve."""
    batch_size, width, depth = point
    is_on_curve = sum(a == b for a, b in zip(point, MIDDLE, strict=True)) >= 2
    task = dense_task(*point, checked_steps=4 if batch_size * width < LARGE_BATCH_VALUES else 1)
    workers = {kind: worker for kind, worker in workers.items() if is_on_curve or kind != "numpy"}
    times = _measure_rounds(session.verified(workers, task))
    steps = len(task.x) // task.batch_size
    return {"batch": batch_size, "width": width, "depth": depth, "steps": steps, "seconds": times}


def _measure_rounds(workers: Workers) -> Times:
    """Measure three rounds, and four more if they do not show clearly which side is faster."""
    sides: dict[str, Callable[[], float]] = {
        kind: lambda worker=worker: worker.measure("epoch") for kind, worker in workers.items()
    }
    interleave(sides, 1, pause=0)
    times = interleave(sides, 3)
    if {SCRATCH, KERAS} <= set(times):
        ratios = [keras / scratch for keras, scratch in zip(times[KERAS], times[SCRATCH], strict=True)]
        if min(ratios) < UNDECIDED:
            more = interleave(sides, 4)
            times = {kind: times[kind] + more[kind] for kind in times}
    return times


def _add_row(session: Session, found: list[dict[str, Any]]) -> None:
    """Add the ratio to every point, and a row for the point with the lowest."""
    compared: list[tuple[Ratio, dict[str, Any]]] = [
        (paired_ratio(point["seconds"][KERAS], point["seconds"][SCRATCH]), point)
        for point in found
        if {SCRATCH, KERAS} <= set(point["seconds"])
    ]
    name = f"slowest network of the grid, {PEERS[KERAS].title}"
    if not compared:
        session.results.rows.append(Row(name, TARGET, None))
        return
    for ratio, point in compared:
        point["ratio"] = ratio.value
    lowest, point = min(compared, key=lambda pair: pair[0].value)
    slower = sum(ratio.value < 1 for ratio, _ in compared)
    note = f"{_network(point)}; {slower} of {len(compared)} networks below 1"
    session.results.rows.append(Row(name, TARGET, lowest, note=note))
    if len(compared) < len(found):
        session.results.remark(f"{len(found) - len(compared)} networks of the grid could not be compared.")


def _network(point: dict[str, Any]) -> str:
    return f"batch {point['batch']}, width {point['width']}, depth {point['depth']}"

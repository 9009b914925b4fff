"""Is there a network that Keras trains faster? A grid of batch size, width and depth on dense random input.

The input has no zeros, so that scratch's kernels, which skip zeros, have no advantage from the data. For each network,
the matrix products of its training steps are measured too, in scratch's kernel and in NumPy's BLAS.
"""

from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

from benchmarks.formatting import format_quantity
from benchmarks.goals import Goal
from benchmarks.measurement.ratios import Ratio, Times, interleave, paired_ratio
from benchmarks.measurement.results import Row
from benchmarks.peers.registry import KERAS, PEERS, PRODUCTS, SCRATCH, SCRATCH_PRODUCTS
from benchmarks.questions.session import Session, Workers
from benchmarks.tasks import dense_task

Point = tuple[int, int, int]  # batch size, width, depth
BATCH_SIZES, WIDTHS, DEPTHS = (1, 16, 128, 1024, 4096), (16, 64, 256, 1024, 2048), (1, 3, 6)
MIDDLE: Point = (128, 256, 3)  # the curves of scaling.png run through this point
QUICK_POINTS: list[Point] = [(1, 16, 1), (1, 256, 3), (128, 256, 3), (4096, 16, 1), (128, 1024, 3)]
UNDECIDED = 1.15  # a point whose ratio is less than this factor above its target in one round needs more rounds
LARGE_BATCH_VALUES = 1 << 20  # values in a batch above which a single training step is checked
LARGE_PRODUCT = 1 << 20  # multiplications of a product from which it takes longer than the call from Python


class Comparison(NamedTuple):
    """Two sides that are compared at every point of the grid.

    Attributes:
        key: under which a point holds the ratio.
        peer: the peer.
        scratch: the side of scratch.
        name: of the row for the lowest ratio.
        target: lower limit of the ratio.
        min_work: batch size × width² from which a point counts for the row.
    """

    key: str
    peer: str
    scratch: str
    name: str
    target: Goal
    min_work: int = 0


COMPARISONS = (
    Comparison("ratio", KERAS, SCRATCH, f"slowest network of the grid, {PEERS[KERAS].title}", Goal(1)),
    Comparison(
        "product_ratio",
        PRODUCTS,
        SCRATCH_PRODUCTS,
        f"slowest matrix products of the grid, {PEERS[PRODUCTS].title}",
        Goal(0.9),
        LARGE_PRODUCT,
    ),
)


def grid_points(quick: bool) -> list[Point]:
    """Return batch size, width and depth of every network of the grid."""
    if quick:
        return QUICK_POINTS
    points = {(batch_size, width, depth) for batch_size in BATCH_SIZES for width in WIDTHS for depth in DEPTHS}
    return sorted(points | {(*MIDDLE[:2], depth) for depth in range(1, 7)})


def measure_grid(session: Session) -> None:
    """Measure an epoch of every network of the grid, and the matrix products of an epoch."""
    found = session.results.raw["grid"] = []
    points = grid_points(session.quick)
    with session.workers([SCRATCH, KERAS, "numpy", PRODUCTS, SCRATCH_PRODUCTS]) as workers:
        session.progress.start("grid", len(points))
        for point in points:
            found.append(_measure_point(session, workers, point))
            medians = {PEERS[kind].title: median(times) for kind, times in found[-1]["seconds"].items()}
            times = ", ".join(f"{title} {format_quantity(seconds, 's')}" for title, seconds in medians.items())
            session.progress.advance(f"{_network(found[-1])}: {times}")
    for comparison in COMPARISONS:
        _add_row(session, found, comparison)


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
    if any(_is_undecided(times, comparison) for comparison in COMPARISONS):
        more = interleave(sides, 4)
        times = {kind: times[kind] + more[kind] for kind in times}
    return times


def _is_undecided(times: Times, comparison: Comparison) -> bool:
    """Return whether the rounds do not show clearly that the ratio is above or far below the target."""
    _, peer, scratch, _, target, _ = comparison
    if not {peer, scratch} <= set(times):
        return False
    ratios = [a / b for a, b in zip(times[peer], times[scratch], strict=True)]
    return min(ratios) < UNDECIDED * target.limit and max(ratios) > target.limit / UNDECIDED


def _add_row(session: Session, found: list[dict[str, Any]], comparison: Comparison) -> None:
    """Add the ratio to every point, and a row for the point with the lowest."""
    key, peer, scratch, name, target, min_work = comparison
    compared: list[tuple[Ratio, dict[str, Any]]] = [
        (paired_ratio(point["seconds"][peer], point["seconds"][scratch]), point)
        for point in found
        if {peer, scratch} <= set(point["seconds"])
    ]
    for ratio, point in compared:
        point[key] = ratio.value
    if len(compared) < len(found):
        count, title = len(found) - len(compared), PEERS[peer].title
        session.results.remark(f"Networks of the grid that could not be compared with {title}: {count}.")
    large = [pair for pair in compared if pair[1]["batch"] * pair[1]["width"] ** 2 >= min_work]
    if not large:
        session.results.rows.append(Row(name, target, None))
        return
    lowest, point = min(large, key=lambda pair: pair[0].value)
    slower = sum(ratio.value < target.limit for ratio, _ in large)
    note = f"{_network(point)}; {slower} of {len(large)} networks below {target.limit:g}"
    if min_work:
        note += f" (those with products of {min_work:,} multiplications and more)"
    session.results.rows.append(Row(name, target, lowest, note=note))


def _network(point: dict[str, Any]) -> str:
    return f"batch {point['batch']}, width {point['width']}, depth {point['depth']}"

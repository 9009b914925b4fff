"""``Curves``: loss and accuracy over the steps of a training, in a bounded number of points."""

from typing import Any, NamedTuple

MAX_POINTS = 2000


class Point(NamedTuple):
    """Means over consecutive steps.

    Attributes:
        end: number of steps taken in all, after these.
        steps: number of these steps.
        loss: mean of the loss of their batches, from before each update.
        accuracy: likewise.
    """

    end: int
    steps: int
    loss: float
    accuracy: float


class Curves:
    """The points of the curves, and the values of each epoch.

    Args:
        generation: greater than that of the curves that these replace.

    Attributes:
        generation: grows when points are merged; a tab with an older one needs all points again.
        points: at most ``MAX_POINTS``.
        epochs: loss, accuracy, val_loss and val_accuracy of each complete epoch.
    """

    def __init__(self, generation: int = 0) -> None:
        self.generation, self.points = generation, list[Point]()
        self.epochs: list[dict[str, float]] = []

    def add(self, steps: int, loss: float, accuracy: float) -> None:
        """Add the means over further steps; merge pairs of points when there are too many."""
        end = self.points[-1].end if self.points else 0
        points = [*self.points, Point(end + steps, steps, loss, accuracy)]
        if len(points) > MAX_POINTS:
            points = [_merged(*points[i : i + 2]) for i in range(0, len(points), 2)]
            self.generation += 1
        self.points = points  # replaced, because another thread may read the list

    def end_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """Add the values of an epoch."""
        self.epochs = [*self.epochs, {"epoch": epoch + 1, **logs}]

    def restore(self, points: list[list[float]], epochs: list[dict[str, float]]) -> None:
        """Replace all points and epochs by those of a backup."""
        self.points = [Point(int(end), int(steps), loss, accuracy) for end, steps, loss, accuracy in points]
        self.epochs = list(epochs)

    def since(self, generation: int, count: int) -> dict[str, Any]:
        """Return the points that a tab lacks: all if it has another generation."""
        points, first = self.points, count if generation == self.generation else 0
        rows = [[point.end, point.loss, point.accuracy] for point in points[first:]]
        return {"generation": self.generation, "from": first, "points": rows}


def _merged(first: Point, second: Point | None = None) -> Point:
    if second is None:
        return first
    steps = first.steps + second.steps
    loss = (first.steps * first.loss + second.steps * second.loss) / steps
    accuracy = (first.steps * first.accuracy + second.steps * second.accuracy) / steps
    return Point(second.end, steps, loss, accuracy)

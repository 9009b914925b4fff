"""``Snapshots``: states of a training that are kept, densely at its beginning, and at most as many as fit in memory."""

from scratch.lab.states import State
from scratch.lab.texts import LabError

MAX_SNAPSHOTS = 60  # of the article's network, with 0.9 MB each
EARLY = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)  # steps of the first epoch


class Snapshots:
    """The states that are kept, in order.

    Attributes:
        next_id: the ``id`` of the next one.
    """

    def __init__(self) -> None:
        self.kept: list[State] = []
        self.next_id = 0

    @property
    def last_place(self) -> tuple[int, int] | None:
        """Epoch and step of the last snapshot."""
        return (self.kept[-1].epoch, self.kept[-1].step) if self.kept else None

    def is_due(self, epoch: int, step: int) -> bool:
        """Return whether a state is to be kept: each epoch's first, and more in the first epoch."""
        last = self.last_place
        if last is None or last[0] < epoch:
            return True
        return epoch == 0 and any(last[1] < early <= step for early in EARLY)

    def keep(self, state: State) -> None:
        """Keep a state; if there are too many, drop the one whose neighbours are nearest, relative to their age."""
        kept = [*self.kept, state]
        if len(kept) > MAX_SNAPSHOTS:
            age = [1 + 10_000 * s.epoch + s.step for s in kept]
            nearest = min(range(1, len(kept) - 1), key=lambda i: age[i + 1] / age[i - 1])
            del kept[nearest]
        self.kept, self.next_id = kept, state.id + 1  # replaced, because another thread may read the list

    def __getitem__(self, number: int) -> State:
        """Return the snapshot with that ``id``, or raise a ``LabError``."""
        found = [state for state in self.kept if state.id == number]
        if not found:
            raise LabError("unknown snapshot", id=number)
        return found[0]

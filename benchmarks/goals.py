"""Goals of the project: a limit that must be reached, and a more ambitious one in brackets."""

from typing import NamedTuple

UNITS = {"×": 1.0, "s": 1.0, "MB": 1e6}


class Goal(NamedTuple):
    """A limit for a ratio, a time or a size.

    Attributes:
        limit: what must be reached.
        ambition: what the project would be proud of; None without one.
    """

    limit: float
    ambition: float | None = None

    def text(self, unit: str) -> str:
        """Return the limit, followed by the ambition in brackets; a size in ``'MB'`` is held in bytes."""
        values = [f"{value / UNITS[unit]:g} {unit}" for value in self if value is not None]
        return values[0] + "".join(f" ({value})" for value in values[1:])

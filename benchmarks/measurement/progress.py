"""Report finished measurements during a run: a live bar in a terminal, one line per measurement in a log."""

import time
from types import TracebackType
from typing import Self

from rich import progress
from rich.console import Console
from rich.table import Column

from scratch.utils import printable


class Progress:
    """Progress of a series of measurements, used as a context manager.

    Args:
        console: where to report; by default nowhere.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(quiet=True)
        last_column = Column(ratio=1, no_wrap=True, overflow="ellipsis")  # only this column is shortened
        self.bars = progress.Progress(
            progress.TextColumn("{task.description:16}"),
            progress.BarColumn(8),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("left  {task.fields[latest]}", table_column=last_column),
            console=self.console,
            expand=True,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bars.stop()

    def announce(self, line: str) -> None:
        """Print a line, above the bars if there are any."""
        self.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def start(self, name: str, total: int) -> None:
        """Begin a series of ``total`` measurements."""
        self.name, self.total, self.done, self.started = name, total, 0, time.monotonic()
        self.bar = self.bars.add_task(name, total=total, latest="")

    def advance(self, latest: str) -> None:
        """Report that a measurement is finished.

        Args:
            latest: what was measured, and the result.
        """
        self.done += 1
        self.bars.update(self.bar, advance=1, latest=latest)
        if not self.console.is_terminal:
            left = (time.monotonic() - self.started) / self.done * (self.total - self.done)
            self.announce(f"{self.name} {self.done}/{self.total}: {latest}, about {left:.0f} s left")

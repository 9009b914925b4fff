"""``python -m benchmarks``: every ratio that the project promises, as one table, with pictures and the raw numbers."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.reports.text import Results, show
from scratch.cli.options import add_data_option
from scratch.cli.terminal import run_command
from scratch.datasets import mnist

FOLDER = Path(__file__).with_name("results")


def main(arguments: list[str] | None = None) -> int:
    """Measure, and return the exit status: 0, or 2 for input that can't be used, or 130 after Ctrl-C."""
    from benchmarks.measurement.questions import QUESTIONS

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure scratch beside Keras and others."
    )
    parser.add_argument("--quick", action="store_true", help="two minutes in place of ten: fewer rounds, fewer points")
    parser.add_argument("--output", metavar="FOLDER", default=str(FOLDER), help="for pictures and results.json")
    parser.add_argument("--only", metavar="NAMES", help=f"some of {','.join(QUESTIONS)}")
    add_data_option(parser)
    options = parser.parse_args(arguments)
    return run_command("benchmarks", lambda: _measure(options, QUESTIONS))


def _measure(options: argparse.Namespace, questions: dict) -> int:
    from benchmarks.measurement.questions import QUICK, Session
    from benchmarks.measurement.tasks import article
    from benchmarks.reports.pictures import draw

    names = options.only.split(",") if options.only else QUICK if options.quick else list(questions)
    if unknown := [name for name in names if name not in questions]:
        raise ValueError(f"--only knows {', '.join(questions)}; got {unknown[0]!r}.")
    folder = Path(options.output)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OSError(f"--output needs a folder that can be written to; {folder} is none.")
    if options.data:
        os.environ["MNIST_PATH"] = options.data  # for the programs too
    digits = mnist.load()
    console = Console()
    if not console.is_terminal:
        console = Console(width=180)  # a log has no edge
    results = Results()
    results.remark(f"Data: {digits.source}." + (" Measured with --quick." if options.quick else ""))
    with progress(console) as bar:
        session = Session(article(*digits.train), options.quick, results, bar)
        for name in names:
            questions[name](session)
            results.save(folder / "results.json")  # what was measured stays, also after Ctrl-C
    pictures = draw(folder, results)
    show(console, results)
    console.print(f"Written: {', '.join(map(str, [folder / 'results.json', *pictures]))}", markup=False, soft_wrap=True)
    return 0


@contextlib.contextmanager
def progress(console: Console):
    """Bars in a terminal, nothing in a log: gives what starts a bar."""
    columns = TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:

        def bar(name: str, total: int) -> Callable[[], object]:
            task = bars.add_task(name, total=total)
            return lambda: bars.advance(task)

        yield bar


if __name__ == "__main__":
    sys.exit(main())

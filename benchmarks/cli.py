"""The command line of ``python -m benchmarks``: measure, and write a table, pictures and the raw numbers."""

import argparse
import os
from datetime import datetime
from pathlib import Path

import pooch
from rich.console import Console

from benchmarks.measurement.programs import ProgramError
from benchmarks.measurement.progress import Progress
from benchmarks.measurement.results import Results
from benchmarks.measurement.same import DifferentError
from benchmarks.measurement.worker import WorkerError
from benchmarks.questions.registry import QUESTIONS, QUICK
from benchmarks.questions.session import Session
from benchmarks.reports.pictures import PICTURES, draw
from benchmarks.reports.table import markdown, show, warnings
from benchmarks.tasks import article_task
from scratch.cli.options import add_data_option, add_version_option
from scratch.cli.terminal import run_command
from scratch.datasets import mnist
from scratch.files import FileError, check_writable, write_bytes

LOG_WIDTH = 200  # columns of the table if the output is not a terminal


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status.

    Returns:
        0; 1 if a question could not be completed; 2 for invalid options or data; 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the time and memory of scratch beside Keras and other peers."
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer questions, rounds and networks: three minutes, not thirty"
    )
    parser.add_argument(
        "--output", metavar="FOLDER", help="for results.json, table.md and pictures (default: a new one in the cache)"
    )
    parser.add_argument("--only", metavar="NAMES", help=f"some of {','.join(QUESTIONS)}")
    add_data_option(parser)
    add_version_option(parser)
    return run_command("benchmarks", lambda: _run(parser.parse_args(arguments)))


def _run(options: argparse.Namespace) -> int:
    names = _question_names(options.only, options.quick)
    folder = _output_folder(options.output)
    if options.data:
        os.environ["MNIST_PATH"] = options.data  # for the programs that are started, too
    digits = mnist.load()
    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    results = Results()
    results.remark(f"Data: {digits.source}." + (" Measured with --quick." if options.quick else ""))
    with Progress(console) as progress:
        progress.announce(f"Results are written to {folder}.")
        for warning in warnings(results):  # now, so that the user can stop and end other programs
            progress.announce(warning)
        _ask(names, Session(article_task(*digits.train), options.quick, results, progress), folder)
    show(console, results)
    results.save(folder / "results.json")
    write_bytes(folder / "table.md", markdown(results).encode())
    names = ["results.json", "table.md", *(picture.name for picture in draw(folder, results))]
    console.print(f"Written to {folder}: {', '.join(names)}.", markup=False, highlight=False, soft_wrap=True)
    return 1 if results.failures else 0


def _question_names(only: str | None, quick: bool) -> list[str]:
    names = only.split(",") if only is not None else QUICK if quick else QUESTIONS
    if unknown := [name for name in names if name not in QUESTIONS]:
        raise ValueError(f"--only must be some of {', '.join(QUESTIONS)}; got {unknown[0]!r}.")
    return list(names)


def _output_folder(option: str | None) -> Path:
    """Create and return the folder for the results: by default a new one in the user's cache, named by the time."""
    time = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder = Path(pooch.os_cache("scratch-keras"), "benchmarks", time) if option is None else Path(option)
    try:
        if option == "":
            raise OSError("the name is empty")
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("results.json", "table.md", *PICTURES):
            check_writable(folder / name)
    except (FileError, OSError) as error:
        raise OSError(f"--output must be a folder that can be written to; got '{folder}' ({error}).") from error
    return folder


def _ask(names: list[str], session: Session, folder: Path) -> None:
    """Answer the questions one by one, and save the results after each, so that Ctrl-C keeps what is measured."""
    for i, name in enumerate(names, start=1):
        session.progress.announce(f"Question {i} of {len(names)}: {name}")
        try:
            QUESTIONS[name](session)
        except (WorkerError, ProgramError, DifferentError) as error:
            session.results.failures.append(f"{name}: {error}")
        try:
            session.results.save(folder / "results.json")
        except FileError as error:  # the results in memory are printed in the end, and perhaps saved
            session.progress.announce(str(error))

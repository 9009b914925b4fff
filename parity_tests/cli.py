"""``python -m parity_tests``: compare scratch with Keras, with progress, tables and an HTML page."""

import argparse
import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from keras_impl import missing
from scratch.cli.options import add_data_option, add_version_option, file_name
from scratch.cli.terminal import run_command
from scratch.datasets import mnist
from scratch.files import check_writable
from scratch.utils import printable

LOG_WIDTH = 150  # columns of the tables where the output is not a terminal
MIN_WIDTH = 80  # columns without which words would be broken; a terminal that is narrower wraps the lines


def main(arguments: list[str] | None = None) -> int:
    """Compare, and return the exit status: 0 if all agrees, 1 if something differs, 2 for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests", description="Compare scratch with Keras.")
    parser.add_argument(
        "--report", metavar="FILE.html", type=file_name, help="also write the report as one self-contained page"
    )
    parser.add_argument("--slow", action="store_true", help="also train on all 70,000 digits (takes minutes)")
    add_data_option(parser)
    add_version_option(parser)
    return run_command("parity_tests", lambda: compare_programs(parser.parse_args(arguments)))


def compare_programs(options: argparse.Namespace) -> int:
    """Run all checks, print the report, and return the exit status."""
    if options.report is not None:
        check_writable(options.report)
    load_keras()
    from parity_tests.report.results import Report, plan

    digits = mnist.load(options.data)
    if options.slow and len(digits.train[0]) != 60_000:
        raise ValueError("--slow needs all 70,000 digits; set MNIST_PATH or --data.")
    report, console = Report(), Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    console.width = max(console.width, MIN_WIDTH)
    run_steps(plan(report, digits, options.slow), console)
    print_report(report, console, digits.source)
    if options.report:
        from parity_tests.report.page import write_page

        write_page(options.report, report)
        console.print(f"Page: {printable(options.report)}", markup=False, highlight=False, soft_wrap=True)
    return 1 if report.first_divergence else 0


def load_keras() -> None:
    """Import Keras without its framework's log lines.

    Raises:
        OSError: if Keras or its framework is not installed; the message says how to install it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with discard_stderr():  # TensorFlow logs to file descriptor 2 before it reads its log level
            import keras  # noqa: F401
    except ModuleNotFoundError as error:
        raise OSError(missing(error)) from None
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its warnings about retracing, which the checks cause


@contextlib.contextmanager
def discard_stderr() -> Iterator[None]:
    """Discard what C++ libraries write to the standard error within the ``with`` block."""
    try:
        original = os.dup(2)
    except OSError:  # the standard error is closed
        yield
        return
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)


def run_steps(steps: list[tuple[str, Any]], console: Console) -> None:
    """Run the steps in order; a terminal shows the name of the current one."""
    status = console.status("") if console.is_terminal else None
    with status or contextlib.nullcontext():
        for i, (name, step) in enumerate(steps, 1):
            if status:
                status.update(f"{i} of {len(steps)}: {name}")
            step()


def print_report(report: Any, console: Console, source: str) -> None:
    """Print the tables and the verdict.

    Args:
        report: a ``parity_tests.report.results.Report``.
        console: where to print.
        source: where the digits came from.
    """
    from parity_tests.report import tables

    for table in (tables.summary_table(report.results), tables.tensor_table(), tables.gradient_table()):
        tables.print_table(console, table)
    for name, p in report.p_values.items():
        console.print(f"Final accuracies from independent initial weights, {name}: p = {p:.3f}")
    console.print(f"{tables.environment()}; {source}.")
    console.print(report.verdict, style="bold red" if report.first_divergence else "bold green", markup=False)

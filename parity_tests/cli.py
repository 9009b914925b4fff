"""``python -m parity_tests``: compare scratch with Keras, with progress, tables and an HTML page."""

import argparse
import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from keras_impl.cli import import_keras
from parity_tests.implementations.skeleton import write_skeleton
from parity_tests.own_network import NETWORK_OPTIONS, add_network_options, check_network, write_json
from scratch.cli.options import add_data_option, add_version_option, file_name
from scratch.cli.terminal import run_command
from scratch.datasets import mnist
from scratch.files import check_writable
from scratch.ops import BACKENDS
from scratch.utils import print_now, printable

SUITE_OPTIONS = ("only", "backend", "slow")
LOG_WIDTH = 150  # columns of the tables where the output is not a terminal
MIN_WIDTH = 80  # columns without which words would be broken; a terminal that is narrower wraps the lines


def main(arguments: list[str] | None = None) -> int:
    """Compare, and return the exit status: 0 if all agrees, 1 if something differs, 2 for input that cannot be used."""
    return run_command("parity_tests", lambda: run(new_parser().parse_args(arguments)))


def new_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m parity_tests", description="Compare scratch, or a network of your own, with Keras."
    )
    for option, metavar, meaning in (
        ("--report", "FILE.html", "also write the report as one self-contained page"),
        ("--json", "FILE.json", "also write the results as JSON"),
    ):
        parser.add_argument(option, metavar=metavar, type=file_name, help=meaning)
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed of weights and batches (default: 0)")
    group = parser.add_argument_group("the suite")
    group.add_argument("--only", metavar="CHECK", nargs="+", action="extend", help="run these checks only")
    group.add_argument("--backend", choices=sorted(BACKENDS), help="run the checks of this backend only")
    group.add_argument("--slow", action="store_true", help="also train on all 70,000 digits (takes minutes)")
    add_network_options(parser)
    add_data_option(parser)
    add_version_option(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit status."""
    if options.new_adapter:
        path = write_skeleton(options.new_adapter)
        print_now(f"Wrote {printable(str(path))}. Try it: python -m parity_tests --implementation {path}:Net")
        return 0
    check_mode(options)
    for path in (options.report, options.json):
        if path is not None:
            check_writable(path)
    os.environ["PARITY_SEED"] = str(options.seed)  # read by reference.cases
    load_keras()
    return check_network(options) if options.implementation else compare_programs(options)


def check_mode(options: argparse.Namespace) -> None:
    """Raise a ``ValueError`` if an option is given that does not concern what is compared: the suite, or a network."""
    names = SUITE_OPTIONS if options.implementation else NETWORK_OPTIONS
    given = [name for name in names if (value := getattr(options, name)) is not None and value is not False]
    if given:
        fix = "belongs to the suite; leave out --implementation" if options.implementation else "needs --implementation"
        raise ValueError(f"--{given[0].replace('_', '-')} {fix}.")
    if options.implementation and options.data and not options.mnist:
        raise ValueError("--data needs --mnist: without it, a network of your own is not trained on digits.")


def compare_programs(options: argparse.Namespace) -> int:
    """Run the checks of the suite, print the report, and return the exit status."""
    from parity_tests.checks.registry import CHECKS
    from parity_tests.report.results import Report, plan, to_json

    if unknown := set(options.only or ()) - set(CHECKS):
        raise ValueError(f"--only takes {', '.join(map(repr, CHECKS))}; got {', '.join(map(repr, sorted(unknown)))}.")
    if options.only and options.slow:
        raise ValueError("--slow adds trainings to the whole suite; leave out --only.")
    digits = None if options.only else mnist.load(options.data)
    if options.slow and digits and len(digits.train[0]) != 60_000:
        raise ValueError("--slow needs all 70,000 digits; set MNIST_PATH or --data.")
    report, console = Report(), Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    console.width = max(console.width, MIN_WIDTH)
    run_steps(plan(report, digits, options.slow, options.only, options.backend, options.data), console)
    print_report(report, console, digits)
    if options.json:
        write_json(options.json, to_json(report))
    if options.report:
        from parity_tests.report.page import write_page

        write_page(options.report, report)
        console.print(f"Page: {printable(options.report)}", markup=False, highlight=False, soft_wrap=True)
    return 1 if report.first_divergence else 0


def load_keras() -> None:
    """Import Keras without its framework's log lines.

    Raises:
        ImportError: if Keras or its framework is not installed; the message says how to install it.
    """
    with discard_stderr():  # TensorFlow logs to file descriptor 2 before it reads its log level
        import_keras()
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


def print_report(report: Any, console: Console, digits: mnist.Dataset | None) -> None:
    """Print the tables and the verdict.

    Args:
        report: a ``parity_tests.report.results.Report``.
        console: where to print.
        digits: the digits of the trainings; None if only some checks were run.
    """
    from parity_tests.report import tables

    tables.print_table(console, tables.summary_table(report.results))
    for table in (tables.tensor_table(), tables.gradient_table()) if digits else ():
        tables.print_table(console, table)
    for name, p in report.p_values.items():
        console.print(f"Final accuracies from independent initial weights, {name}: p = {p:.3f}")
    console.print(f"{tables.environment()}{f'; {digits.source}' if digits else ''}.")
    console.print(report.verdict, style="bold red" if report.first_divergence else "bold green", markup=False)

"""``python -m parity_tests``: the comparison with Keras for a person, with live progress, tables and a page."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from keras_impl import missing
from scratch.cli.options import add_data_option
from scratch.cli.terminal import run_command
from scratch.datasets import mnist

FEW = 4000, 1000  # digits to train and test with, without --slow


def main(arguments: list[str] | None = None) -> int:
    """Compare, and return the exit status: 0 if all agrees, 1 if something differs, 2 for input that can't be used."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests", description="Compare scratch with Keras.")
    parser.add_argument("--report", metavar="FILE.html", help="write one self-contained page as well")
    parser.add_argument("--slow", action="store_true", help="whole trainings on all 70,000 digits: minutes")
    add_data_option(parser)
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return run_command("parity_tests", lambda: _compare(options))


def _compare(options: argparse.Namespace) -> int:
    if options.report and not Path(options.report).resolve().parent.is_dir():
        raise OSError(f"{options.report} can't be written; name a file in a folder that exists.")
    from rich.console import Console

    try:
        from parity_tests.report import page as reporting
    except ModuleNotFoundError as error:
        raise OSError(missing(error)) from None

    digits = mnist.load(options.data)
    if options.slow and len(digits.train[0]) != 60_000:
        raise ValueError("--slow needs all 70,000 digits; set MNIST_PATH or --data.")
    report, console = reporting.Report(), Console()
    if not console.is_terminal:
        console = Console(width=150)  # a log has no edge
    steps = _steps(report, digits, options.slow)
    # A log gets the tables only.
    status = console.status("") if console.is_terminal else None
    with status or contextlib.nullcontext():
        for i, (name, step) in enumerate(steps, 1):
            if status:
                status.update(f"{i} of {len(steps)}: {name}")
            step()
    reporting.print_table(console, "Every check", *reporting.summary_cells(report.outcomes))
    reporting.print_table(console, "The article's network, tensor by tensor", *reporting.tensor_cells())
    reporting.print_table(console, "The triangle of gradients, relative errors", *reporting.triangle_cells())
    for name, p in report.p_values.items():
        console.print(f"Final accuracies from independent weights, {name}: p = {p:.3f}")
    console.print(f"{reporting.environment()}; {digits.source}.")
    console.print(report.verdict, style="bold red" if report.first_divergence else "bold green", markup=False)
    if options.report:
        reporting.write_page(options.report, report)
        console.print(f"Page: {options.report}")
    return 1 if report.first_divergence else 0


def _steps(report: "object", digits: mnist.Dataset, slow: bool) -> list[tuple[str, Callable[[], None]]]:
    """What is to be done, in order: a name for people, and the work, which adds to the report."""
    from parity_tests.checks import full_checks
    from parity_tests.checks.checks import BACKENDS
    from parity_tests.checks.training_checks import FAST, run
    from parity_tests.report.page import Outcome

    few = mnist.Dataset(*((x[:n], y[:n]) for (x, y), n in zip(digits[:2], FEW, strict=True)), "a few digits")
    data, epochs = (digits, full_checks.EPOCHS) if slow else (few, 5)
    steps: list[tuple[str, Callable[[], None]]] = []

    def add(name: str, backend: str, work: Callable[[], list]) -> None:
        steps.append((f"{name}, {backend}", lambda: report.outcomes.append(Outcome(name, backend, work()))))

    for backend in BACKENDS:
        for name in FAST:
            add(name, backend, lambda name=name, backend=backend: run(name, backend))
        if slow:
            add("every step of an epoch", backend, lambda b=backend: full_checks.check_600_steps(b, digits))
        add(f"{epochs} epochs", backend, lambda b=backend: full_checks.check_epochs(b, data, epochs))

    def trajectories() -> None:
        report.histories = full_checks.epochs_side_by_side(BACKENDS[0], data, epochs)[0]

    def accuracies() -> None:
        rows, report.p_values, report.accuracies = full_checks.check_accuracies(digits)
        report.outcomes.append(Outcome("final accuracies", "numba", rows))

    steps.append(("trajectories", trajectories))
    if slow:
        steps.append(("accuracies from independent weights", accuracies))
    return steps


if __name__ == "__main__":
    sys.exit(main())

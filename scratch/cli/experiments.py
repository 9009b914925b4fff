"""``python -m scratch experiments``: the comparisons of the book's chapter 6, each as a table and a picture."""

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scratch.callbacks.progress import interactive
from scratch.checks import check_integer, check_name
from scratch.cli.options import add_data_option, file_name
from scratch.datasets import mnist
from scratch.files import check_writable, make_folder, replacing
from scratch.utils import print_now, printable

DESCRIPTION = """\
Do the experiments of the book's chapter 6 on MNIST; print a table and draw a picture for each.

experiments (default: all):
  optimizers           SGD, Momentum, AdaGrad and Adam
  initial-values       outputs of each layer, and training, from weights of std 0.01, of Xavier and of He
  batch-normalization  with and without, from weights of different sizes
  overfitting          300 digits: no remedy, weight decay, Dropout
  hyperparameters      random search for the learning rate and the weight decay"""


def run(words: list[str]) -> int:
    """Do the experiments with scratch; return the exit status."""
    import scratch

    return run_experiments(
        "scratch", "With Keras beside it: python -m keras_impl experiments", {"scratch": lambda: scratch}, words
    )


def run_experiments(program: str, note: str, apis: Mapping[str, Callable[[], Any]], words: list[str]) -> int:
    """Do each experiment in each package; return the exit status.

    Args:
        program: the package that the command runs.
        note: what the help text ends with.
        apis: by the name to print, functions that import a package to train with, ``scratch`` or ``keras``; called
            once the arguments are checked.
        words: the arguments of the command.

    Raises:
        ValueError: if an experiment is unknown or a picture cannot be written.
    """
    options = _parse(program, note, words)
    from scratch.experiments import EXPERIMENTS  # imports matplotlib
    from scratch.experiments.bench import Bench

    names = [check_name("experiment", name, EXPERIMENTS) for name in options.names] or list(EXPERIMENTS)
    check_integer("--seed", options.seed, minimum=0)
    make_folder(Path(options.folder))
    pictures = {name: Path(options.folder) / f"{name}.png" for name in names}
    for picture in pictures.values():
        check_writable(picture)
    packages = {name: load() for name, load in apis.items()}
    digits = mnist.load(options.data)
    print_now(f"Data: {digits.source}.")
    for name, picture in pictures.items():
        start, experiment = time.perf_counter(), EXPERIMENTS[name]
        results = {}
        for api_name, api in packages.items():
            with _progress(f"{name}, {api_name}") as report:
                bench = Bench(api, digits.train, digits.test, options.seed, options.quick, report)
                results[api_name] = experiment.run(bench)
        seconds = time.perf_counter() - start
        _print_table(f"{experiment.TITLE} ({seconds:.0f} s)", results)
        _save_picture(picture, experiment, results)
        print_now(f"Figure: {printable(str(picture))}\n")
    return 0


def _parse(program: str, note: str, words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m {program} experiments",
        description=DESCRIPTION,
        epilog=note,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="experiments to do")
    add_data_option(parser)
    meaning = "folder of the pictures, NAME.png (default: experiments)"
    parser.add_argument("--folder", metavar="DIR", type=file_name, default="experiments", help=meaning)
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument("--quick", action="store_true", help="train a tenth as long, to try the command")
    return parser.parse_args(words)


@contextlib.contextmanager
def _progress(title: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the name of a training in a terminal, and does nothing elsewhere."""
    if not interactive():
        yield lambda name: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console().status(title) as status:
        yield lambda name: status.update(escape(f"{title}: {name}"))


def _print_table(title: str, results: Mapping[str, Any]) -> None:
    """Print one table; with several packages, a column names the package and a line separates their rows."""
    from rich.console import Console
    from rich.table import Table

    print_now(title)
    table, several = Table(), len(results) > 1
    header = next(iter(results.values())).header
    for i, name in enumerate(("package", *header) if several else header):
        table.add_column(name, justify="left" if i <= several else "right")
    for package, result in results.items():
        for row in result.rows:
            table.add_row(*((package, *row) if several else row))
        table.add_section()
    Console(highlight=False).print(table)


def _save_picture(path: Path, experiment: Any, results: Mapping[str, Any]) -> None:
    """Draw the results of each package below each other."""
    from matplotlib.figure import Figure

    height = experiment.HEIGHT * len(results)
    figure = Figure(figsize=(11, height), dpi=90, layout="constrained")
    figure.suptitle(experiment.TITLE, fontsize=14)
    parts = np.atleast_1d(np.asarray(figure.subfigures(len(results), 1, hspace=0.04)))
    for part, (name, result) in zip(parts, results.items(), strict=True):
        if len(results) > 1:
            part.suptitle(name, x=0.01, ha="left", weight="bold")
        experiment.draw(part, result.data)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")

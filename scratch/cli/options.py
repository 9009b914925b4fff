"""Command-line options that several commands share."""

import argparse

from scratch import __version__
from scratch.datasets.formats import EXPECTED


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--data PATH``, the data set to use."""
    meaning = f"{EXPECTED} (default: MNIST_PATH, else Keras's cache, else a download)"
    parser.add_argument("--data", metavar="PATH", type=file_name, help=meaning)


def add_version_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--version``, which prints the version and exits."""
    parser.add_argument("--version", action="version", version=f"scratch-keras {__version__}")


def file_name(text: str) -> str:
    """Return the name of a file or folder; reject an empty one, such as an unset shell variable."""
    if not text:
        raise argparse.ArgumentTypeError("the name of a file or folder is expected; got an empty text")
    return text


def _layer_sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise argparse.ArgumentTypeError(f"integers such as 256,100 are expected; got {text!r}") from None


def training_parser(
    program: str, description: str, backends: list[str], default_backend: str
) -> argparse.ArgumentParser:
    """Return a parser with the training options that ``python -m scratch`` and ``python -m keras_impl`` share.

    Args:
        program: the package that the command runs.
        description: what the command does; line breaks are kept.
        backends: choices of ``--backend``.
        default_backend: the one in the help text.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_version_option(parser)
    add_data_option(parser)
    for option, metavar, kind, default, meaning in (
        ("--epochs", "N", int, 10, "number of epochs"),
        ("--batch-size", "N", int, 100, "samples per gradient update"),
        ("--learning-rate", "RATE", float, 0.01, "learning rate of SGD"),
        ("--momentum", "M", float, 0.0, "momentum of SGD, 0 to 1"),
        ("--hidden", "UNITS", _layer_sizes, "256,100", "units of the hidden layers, separated by commas"),
        ("--seed", "N", int, 0, "random seed of the initial weights and of the order of the samples"),
    ):
        meaning = f"{meaning} (default: {default})"
        parser.add_argument(option, metavar=metavar, type=kind, default=default, help=meaning)
    meaning = f"backend that runs the computation (default: {default_backend})"
    parser.add_argument("--backend", choices=backends, default=default_backend, help=meaning)
    for option, metavar, meaning in (
        ("--plot", "FILE.png", "draw the learning curves, the confusion matrix, mistakes and weights"),
        ("--history", "FILE.csv", "write loss and accuracy to a CSV file, one line per epoch"),
        ("--save", "FILE.keras", "save the trained model"),
    ):
        parser.add_argument(option, metavar=metavar, type=file_name, help=meaning)
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    return parser

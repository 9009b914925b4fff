"""``python -m parity_tests.showcase FOLDER``: what the suite finds in well-known implementations, as a table."""

import argparse
import sys
from pathlib import Path

from parity_tests.cli import load_keras
from scratch.cli.options import add_data_option
from scratch.cli.terminal import run_command
from scratch.datasets import mnist
from scratch.utils import print_now, printable


def main(arguments: list[str] | None = None) -> int:
    """Print the tables, and return the exit status: 0, or 2 for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.showcase", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="folder of checkouts, each named like its repository")
    parser.add_argument("--list", action="store_true", help="list the implementations, and where they come from")
    parser.add_argument("--only", metavar="TEXT", default="", help="only implementations whose name contains this")
    parser.add_argument("--accuracy", action="store_true", help="train networks with a mistake on MNIST instead")
    add_data_option(parser)
    return run_command("parity_tests.showcase", lambda: run(parser.parse_args(arguments)))


def run(options: argparse.Namespace) -> int:
    """Print what the options ask for, and return the exit status."""
    load_keras()
    from parity_tests.showcase.accuracy import accuracy_table
    from parity_tests.showcase.table import ENTRIES, table

    entries = [entry for entry in ENTRIES if options.only.lower() in entry.name.lower()]
    if options.list:
        lines = iter([f"{entry.name}: {entry.url}, measured with {entry.version}" for entry in entries])
    elif options.accuracy:
        lines = accuracy_table(mnist.load(options.data))
    elif options.folder is None or not options.folder.is_dir():
        raise ValueError(f"FOLDER must be a folder with checkouts (--list names them); got {options.folder}.")
    else:
        lines = table(options.folder, entries)
    for line in lines:
        print_now(printable(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The command line ``python -m scratch``: argument parsing and terminal output."""

import sys

from scratch.cli import evaluate, experiments, lab, predict, train
from scratch.cli.terminal import run_command

COMMANDS = {
    "train": train.run,
    "evaluate": evaluate.run,
    "predict": predict.run,
    "lab": lab.run,
    "experiments": experiments.run,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command that the first argument names, or ``train``.

    Args:
        arguments: the command line after ``python -m scratch``; that of the process if not given.

    Returns:
        The exit status: 0, or 2 for input that cannot be used, or 130 after Ctrl-C, or 141 if the program that reads
        the output has ended.
    """
    words = sys.argv[1:] if arguments is None else arguments
    command = words[0] if words and words[0] in COMMANDS else None
    if command is None:
        return run_command("scratch", lambda: train.run(words))
    return run_command(f"scratch {command}", lambda: COMMANDS[command](words[1:]))

"""The command line: ``python -m scratch``, ``python -m scratch evaluate``, ``python -m scratch predict``."""

import sys

from scratch.cli.evaluate import evaluate
from scratch.cli.options import parser
from scratch.cli.predict import predict
from scratch.cli.terminal import guarded
from scratch.cli.train import train
from scratch.ops import BACKENDS

COMMANDS = {"evaluate": evaluate, "predict": predict}


def main(arguments: list[str] | None = None) -> int:
    """Train, evaluate or predict; return the exit status: 0, or 2 for input that can't be used, or 130 after Ctrl-C."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in COMMANDS:
        return guarded(f"scratch {words[0]}", lambda: COMMANDS[words[0]](words[1:]))
    description = "Train the article's network, written from scratch, on MNIST's handwritten digits."
    command_line = parser("scratch", description, list(BACKENDS), "numba")
    command_line.add_argument("--resume", metavar="FOLDER", help="if killed, go on from the backups kept there")
    command_line.epilog = "Saved models: python -m scratch evaluate --help, python -m scratch predict --help."
    options = command_line.parse_args(words)
    return guarded("scratch", lambda: train(options))

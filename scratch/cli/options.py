"""The command-line options that several commands share."""

import argparse
from typing import Any


def _units(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise argparse.ArgumentTypeError(f"widths such as 256,100 expected; got {text!r}") from None


def parser(program: str, description: str, backends: list[str], backend: str) -> argparse.ArgumentParser:
    """The command line, which scratch and its Keras twin share."""
    made = argparse.ArgumentParser(prog=f"python -m {program}", description=description)

    def add(option: str, default: Any, meaning: str, **how: Any) -> None:
        made.add_argument(option, default=default, help=f"{meaning} (default: {default})", **how)

    made.add_argument("--data", metavar="PATH", help="mnist.npz or a folder with the IDX files (default: found)")
    add("--epochs", 10, "rounds through all training samples", type=int)
    add("--batch-size", 100, "samples in a step", type=int)
    add("--learning-rate", 0.01, "size of a step", type=float)
    add("--momentum", 0.0, "of SGD, 0 to 1", type=float)
    add("--hidden", "256,100", "units of the hidden layers", type=_units)
    add("--seed", 0, "of weights and order: the same seed, the same bits", type=int)
    add("--backend", backend, "what computes", choices=backends)
    made.add_argument("--plot", metavar="FILE.png", help="draw the result")
    made.add_argument("--history", metavar="FILE.csv", help="write a line an epoch")
    made.add_argument("--save", metavar="FILE.keras", help="save the trained model")
    made.add_argument("--quiet", action="store_true", help="print the result only")
    return made

"""``python -m parity_tests --implementation FILE:NAME``: examine a network of the user's own."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from parity_tests.implementations.conventions import Conventions
from parity_tests.implementations.loading import load
from scratch.datasets import mnist
from scratch.files import check_writable, write_bytes
from scratch.utils import print_now, printable


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that concern a network of the user's own."""
    group = parser.add_argument_group("a network of your own (see parity_tests/README.md)")
    group.add_argument("--implementation", metavar="FILE:NAME", help="compare this class, function or object with Keras")
    group.add_argument("--new-adapter", metavar="FILE", help="write a commented adapter to fill in")
    meaning = "inputs, hidden units and classes (default: 20,16,12,5, or 784,50,10 with --mnist)"
    group.add_argument("--sizes", metavar="N,…", type=integers, help=meaning)
    group.add_argument("--activations", metavar="NAME,…", type=names, help="of each layer (default: recognised)")
    group.add_argument("--mnist", action="store_true", help="also train two epochs on real digits")
    group.add_argument("--momentum", metavar="M", type=float, default=0.0, help="momentum of the network's own step")
    group.add_argument("--nesterov", action="store_true", help="its momentum is Nesterov's")
    group.add_argument("--weight-decay", metavar="D", type=float, help="its (decoupled) weight decay")
    group.add_argument("--loss", choices=["mean", "sum"], default="mean", help="its loss is the mean over the batch, or the sum")
    group.add_argument("--samples", choices=["rows", "columns"], default="rows", help="where it has the samples of a batch")
    group.add_argument("--weights", choices=["inputs,units", "units,inputs"], default="inputs,units", help="shape of its W")
    group.add_argument("--dtype", choices=["float32", "float64"], help="dtype that it computes in (default: recognised)")


def integers(text: str) -> tuple[int, ...]:
    """Return integers from 20,16,5."""
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"integers such as 784,50,10 are expected; got {text!r}") from None
    if len(found) < 2 or min(found) < 1:
        raise argparse.ArgumentTypeError(f"at least two positive integers are expected; got {text!r}")
    return found


def names(text: str) -> tuple[str, ...]:
    """Return names from relu,softmax."""
    return tuple(text.split(","))


def check_network(options: argparse.Namespace) -> int:
    """Examine the network, print the report, and return the exit status: 0 if it agrees with Keras, 1 if not."""
    for path in (options.report, options.json):
        if path is not None:
            check_writable(path)
    network = load(options.implementation)
    digits = mnist.load(options.data) if options.mnist else None
    from parity_tests.checking import SIZES, check_implementation

    report = check_implementation(
        network,
        options.sizes or ((784, 50, 10) if options.mnist else SIZES),
        activations=options.activations,
        conventions=Conventions(options.loss, options.samples, options.weights, options.dtype),
        digits=digits,
        seed=options.seed,
        **sgd_settings(options),
    )
    print_now(printable(repr(report), keep="\n"))
    if options.report:
        from parity_tests.report.network_page import write_network_page

        write_network_page(options.report, report)
    if options.json:
        write_bytes(options.json, (json.dumps(report.to_json(), indent=1) + "\n").encode())
    return 0 if report.agrees else 1


def sgd_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the network's own training step."""
    return {"momentum": options.momentum, "nesterov": options.nesterov, "weight_decay": options.weight_decay}

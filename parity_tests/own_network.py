"""``python -m parity_tests --implementation FILE:NAME``: examine a network of the user's own."""

import argparse
import json
from typing import Any

from parity_tests.implementations.conventions import CHOICES, Conventions
from parity_tests.implementations.loading import load
from scratch.datasets import mnist
from scratch.files import write_bytes
from scratch.utils import print_now, printable

CONVENTIONS = {  # by the field of Conventions
    "loss": "its loss is the mean over the batch, or the sum (default: mean)",
    "samples": "where x has the samples of a batch (default: recognised)",
    "weights": "the shape of its W (default: recognised)",
    "targets": "it takes rows of targets, or class numbers (default: rows)",
    "dtype": "the dtype that it computes in (default: recognised)",
}
NETWORK_OPTIONS = ("sizes", "activations", "mnist", "momentum", "nesterov", "weight_decay", *CONVENTIONS)


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that concern a network of the user's own."""
    group = parser.add_argument_group("a network of your own")
    group.add_argument(
        "--implementation", metavar="FILE:NAME", help="compare this class, function or object with Keras"
    )
    group.add_argument("--new-adapter", metavar="FILE", help="write a commented adapter to fill in")
    meaning = "inputs, hidden units and classes (default: 20,16,12,5, or 20,16,5)"
    group.add_argument("--sizes", metavar="N,N", type=integers, help=meaning)
    group.add_argument("--activations", metavar="A,A", type=names, help="of each layer (default: recognised)")
    group.add_argument(
        "--mnist", action="store_true", help="also train two epochs on real digits (784-50-10, or --sizes)"
    )
    group.add_argument("--momentum", metavar="M", type=float, help="momentum of its own training step")
    group.add_argument("--nesterov", action="store_true", help="its momentum is Nesterov's")
    group.add_argument("--weight-decay", metavar="D", type=float, help="its decoupled weight decay")
    for name, meaning in CONVENTIONS.items():
        choices = [choice for choice in CHOICES[name] if choice]
        metavar = "{" + "|".join(choices) + "}"  # argparse separates choices by commas, which some of them contain
        group.add_argument(f"--{name}", choices=choices, metavar=metavar, help=meaning)


def integers(text: str) -> tuple[int, ...]:
    """Return integers from a text such as 20,16,5."""
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"integers such as 784,50,10 are expected; got {text!r}") from None
    if len(found) < 2 or min(found) < 1:
        raise argparse.ArgumentTypeError(f"at least two positive integers are expected; got {text!r}")
    return found


def names(text: str) -> tuple[str, ...]:
    """Return names from a text such as relu,softmax."""
    return tuple(text.split(","))


def check_network(options: argparse.Namespace) -> int:
    """Examine the network, print the report, and return the exit status: 0 if it agrees with Keras, 1 if not."""
    network = load(options.implementation)
    digits = mnist.load(options.data) if options.mnist else None
    from parity_tests.checking import check_implementation
    from parity_tests.report.network_page import write_network_page

    declared = {name: getattr(options, name) for name in CONVENTIONS if getattr(options, name)}
    report = check_implementation(
        network,
        options.sizes,
        activations=options.activations,
        conventions=Conventions(**declared),
        digits=digits,
        seed=options.seed,
        **sgd_settings(options),
    )
    for line in repr(report).splitlines():
        print_now(printable(line))
    if options.report:
        write_network_page(options.report, report)
    if options.json:
        write_json(options.json, report.to_json())
    return 0 if report.agrees else 1


def write_json(path: str, results: dict[str, Any]) -> None:
    """Write the results of ``--json``: indented, with a newline at the end."""
    write_bytes(path, (json.dumps(results, indent=1) + "\n").encode())


def sgd_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the network's own training step that were given."""
    given = {name: getattr(options, name) for name in ("momentum", "nesterov", "weight_decay")}
    return {name: value for name, value in given.items() if value}

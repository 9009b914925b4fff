"""``python -m scratch evaluate``: print the test loss and the test accuracy of a saved model."""

import json

import numpy as np

from scratch.cli.options import add_data_option
from scratch.cli.saved_model import Classifier, saved_model_parser
from scratch.cli.terminal import format_result
from scratch.datasets import mnist


def run(words: list[str]) -> int:
    """Print loss and accuracy on the test images, in all and for each class; return the exit status."""
    description = "Print the test loss (cross-entropy) and the test accuracy of a saved model."
    parser = saved_model_parser("evaluate", description)
    add_data_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args(words)
    classifier = Classifier(options.model)
    digits = mnist.load(options.data)
    images, labels = digits.test
    probabilities = classifier.predict(images)
    classes = probabilities.shape[1]
    if labels.max() >= classes:
        raise ValueError(f"{options.model} has the classes 0 to {classes - 1}; the data has {labels.max()} too.")
    values = classifier.evaluate(images, labels)
    samples = np.bincount(labels, minlength=classes)
    correct = np.bincount(labels[probabilities.argmax(axis=1) == labels], minlength=classes)
    if options.json:
        by_digit = {"samples_by_digit": samples.tolist(), "right_by_digit": correct.tolist()}
        print(json.dumps({"file": options.model, "data": digits.source, **values, "samples": len(labels), **by_digit}))
        return 0
    print(f"Data: {digits.source}.")
    print(f"{format_result(values)} ({correct.sum():,} of {len(labels):,}).")
    for digit in np.flatnonzero(samples):
        print(f"{digit:3d}  {correct[digit] / samples[digit]:.4f}  {correct[digit]:,} of {samples[digit]:,}")
    return 0

"""``python -m scratch evaluate``: how good a saved model is on the test digits."""

import json
from typing import Any

import numpy as np

from scratch.cli import saved_model
from scratch.datasets import mnist


def evaluate(words: list[str]) -> int:
    """Print how good a saved model is on the test digits, together and one by one; return the exit status."""
    made = saved_model.parser("evaluate", "Print the test loss (cross-entropy) and the test accuracy of a saved model.")
    made.add_argument("--data", metavar="PATH", help="mnist.npz or a folder with the IDX files (default: found)")
    made.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = made.parse_args(words)
    model = saved_model.load(options.model)
    digits = mnist.load(options.data)
    images, labels = digits.test
    x = saved_model.inputs(options.model, model, images)
    probabilities = saved_model.probabilities(options.model, model, x)
    classes = probabilities.shape[1]
    if labels.max() >= classes:
        raise ValueError(f"{options.model} knows the classes 0 to {classes - 1}; the data has {labels.max()} too.")
    values: Any = model.evaluate(x, labels, batch_size=1000, verbose=0, return_dict=True)
    samples = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[probabilities.argmax(axis=1) == labels], minlength=classes)
    if options.json:
        by_digit = {"samples_by_digit": samples.tolist(), "right_by_digit": right.tolist()}
        print(json.dumps({"file": options.model, "data": digits.source, **values, "samples": len(labels), **by_digit}))
        return 0
    print(f"Data: {digits.source}.")
    print(
        f"Test loss {values['loss']:.4f}, test accuracy {values['accuracy']:.4f} ({right.sum():,} of {len(labels):,})."
    )
    for digit in np.flatnonzero(samples):
        print(f"{digit:3d}  {right[digit] / samples[digit]:.4f}  {right[digit]:,} of {samples[digit]:,}")
    return 0

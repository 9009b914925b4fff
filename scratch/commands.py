"""``python -m scratch evaluate`` and ``python -m scratch predict``: what a saved model can do."""

import argparse
import json
import os
import sys
from itertools import zip_longest
from typing import Any

import numpy as np

from scratch.datasets import mnist
from scratch.files import FileError
from scratch.layers import Activation
from scratch.models import Sequential, load_model
from scratch.pixels import Pixels
from scratch.utils import Array

BAR = 25  # characters of a probability of 1


def evaluate(words: list[str]) -> int:
    """Print how good a saved model is on the test digits, together and one by one; return the exit status."""
    made = _parser("evaluate", "Print the test loss (cross-entropy) and the test accuracy of a saved model.")
    made.add_argument("--data", metavar="PATH", help="mnist.npz or a folder with the IDX files (default: found)")
    made.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = made.parse_args(words)
    model = _load(options.model)
    digits = mnist.load(options.data)
    images, labels = digits.test
    x = _inputs(options.model, model, images)
    probabilities = _probabilities(options.model, model, x)
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


def predict(words: list[str]) -> int:
    """Print which digit each picture shows, and the probability of each; return the exit status."""
    description = "Say which digit is on a photo or scan, and how probable each of the ten is."
    made = _parser("predict", description)
    made.add_argument("images", metavar="IMAGE", nargs="+", help="PNG or JPEG, one digit each, some paper around it")
    made.add_argument("--show", action="store_true", help="show each picture as the network sees it: 28×28, centred")
    made.add_argument("--json", action="store_true", help="print one JSON list, an object an image, instead")
    options = made.parse_intermixed_args(words)
    model = _load(options.model)
    _inputs(options.model, model, np.zeros((1, 28, 28), np.uint8))  # whatever is wrong with the model is said once
    from scratch.images import read_digit  # Pillow, which nothing else needs

    found: list[dict[str, Any]] = []
    width, headed = max(map(len, options.images)), False
    for file in options.images:
        try:
            picture = read_digit(file)
        except FileError as error:
            print(f"python -m scratch predict: {error}", file=sys.stderr, flush=True)
            found.append({"file": file, "error": str(error)})
            continue
        probabilities = _probabilities(options.model, model, _inputs(options.model, model, picture[np.newaxis]))[0]
        digit = int(probabilities.argmax())
        found.append({"file": file, "digit": digit, "probabilities": probabilities.tolist()})
        if options.json:
            found[-1] |= {"picture": picture.tolist()} if options.show else {}
        elif options.show:
            _show(file, digit, probabilities, picture)
        else:
            if not headed:
                print(f"{'':{width}}  digit  {''.join(f'{c:6d}' for c in range(len(probabilities)))}  (%)")
                headed = True
            print(f"{file:{width}}  {digit:5d}  {''.join(f'{100 * p:6.1f}' for p in probabilities)}", flush=True)
    if options.json:
        print(json.dumps(found))
    return 2 if any("error" in entry for entry in found) else 0


COMMANDS = {"evaluate": evaluate, "predict": predict}


def _parser(word: str, description: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog=f"python -m scratch {word}", description=description)
    made.add_argument("model", metavar="FILE.keras", help="a model that scratch or Keras saved")
    return made


def _load(file: str) -> Sequential:
    """The model, giving probabilities, and compiled with the loss that is reported, whatever it was trained with.

    In NumPy: that is quicker than loading compiled kernels for one pass through the digits.
    """
    model = load_model(file, compile=False, backend="numpy")
    if not model.built or model.layers[-1].activation not in ("softmax", "linear"):
        raise ValueError(f"{file} does not end in a softmax or in logits; it tells no classes apart.")
    if model.layers[-1].activation == "linear":
        model.add(Activation("softmax"))
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _inputs(file: str, model: Sequential, images: Array) -> Pixels:
    """Images (N, height, width) as the numbers from 0 to 1, and in the shape, that the model takes."""
    height, width = images.shape[1:]
    shape = tuple(length for length in (model.input_shape or ())[1:] if length is not None)
    if shape not in ((height * width,), (height, width), (height, width, 1)):
        wanted = f"({height * width},) or ({height}, {width})"
        raise ValueError(f"{file} takes samples of shape {shape}; for images of {height}×{width} it must be {wanted}.")
    return Pixels(images.reshape(len(images), *shape))


def _probabilities(file: str, model: Sequential, x: Pixels) -> Array:
    probabilities = model.predict(x, batch_size=1000, verbose=0)
    if not np.isfinite(probabilities).all():
        raise ValueError(f"{file} gives NaN: its training diverged.")
    return probabilities


def _show(file: str, digit: int, probabilities: Array, picture: Array) -> None:
    """Print the picture, two rows of pixels in a line of characters, beside a bar for each probability."""
    marks = _marks()
    coloured = sys.stdout.isatty() and marks[1] == "▀" and "NO_COLOR" not in os.environ
    lines = []
    for upper, lower in picture.reshape(-1, 2, picture.shape[1]):
        if coloured:  # the 24 greys among a terminal's 256 colours
            greys = zip(232 + upper // 11, 232 + lower // 11, strict=True)
            lines.append("".join(f"\x1b[38;5;{above};48;5;{below}m▀" for above, below in greys) + "\x1b[0m")
        else:
            lines.append("".join(marks[i] for i in (upper >= 128) + 2 * (lower >= 128)))
    bars = [
        "",
        "",
        *(f"{c:5d} {100 * p:6.1f} %  {marks[3] * round(BAR * float(p))}" for c, p in enumerate(probabilities)),
    ]
    lines += [" " * picture.shape[1]] * (len(bars) - len(lines))
    print(
        f"{file}: {digit}", *(f"{line}{bar}".rstrip() for line, bar in zip_longest(lines, bars, fillvalue="")), sep="\n"
    )
    print(flush=True)


def _marks() -> str:
    """Characters for two pixels, one above the other: none, the upper, the lower, both; as the output can have them."""
    marks = " ▀▄█"
    try:
        marks.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return " '.#"
    return marks

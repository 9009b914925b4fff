"""``python -m scratch predict``: classify photos or scans of digits with a saved model."""

import argparse
import json
from itertools import zip_longest
from typing import Any

import numpy as np

from scratch.callbacks.progress import has_colours
from scratch.cli.options import file_name
from scratch.cli.saved_model import Classifier, saved_model_parser
from scratch.cli.terminal import print_error
from scratch.files import FileError
from scratch.utils import Array, encodable, print_now, printable

BAR_LENGTH = 25  # characters of the bar for a probability of 1


def run(words: list[str]) -> int:
    """Print the predicted digit of each picture and the probability of each class; return the exit status."""
    options = _parse(words)
    classifier = Classifier(options.model)
    classifier.inputs(np.zeros((1, 28, 28), np.uint8))  # a model of another input shape is one error, not one per file
    from scratch.images import read_digit  # imports Pillow and SciPy, which training does not need

    results: list[dict[str, Any]] = []
    width, has_header = max(len(printable(file)) for file in options.images), False
    for file in options.images:
        name = printable(file)
        try:
            picture = read_digit(file)
        except FileError as error:
            print_error("scratch predict", str(error))
            results.append({"file": file, "error": str(error)})
            continue
        probabilities = classifier.predict(picture[np.newaxis])[0]
        digit = int(probabilities.argmax())
        results.append({"file": file, "digit": digit, "probabilities": probabilities.tolist()})
        if options.json:
            results[-1] |= {"picture": picture.tolist()} if options.show else {}
        elif options.show:
            _print_picture(f"{name}: {digit}", probabilities, picture)
        else:
            if not has_header:
                print(f"{'':{width}}  digit  {''.join(f'{c:6d}' for c in range(len(probabilities)))}  (%)")
                has_header = True
            print_now(f"{name:{width}}  {digit:5d}  {''.join(f'{100 * p:6.1f}' for p in probabilities)}")
    if options.json:
        print(json.dumps(results))
    return 2 if any("error" in result for result in results) else 0


def _parse(words: list[str]) -> argparse.Namespace:
    description = "Print the predicted digit of each photo or scan, and the probability of each class."
    parser = saved_model_parser("predict", description)
    meaning = "PNG or JPEG of one digit, with a margin of paper around it"
    parser.add_argument("images", metavar="IMAGE", nargs="+", type=file_name, help=meaning)
    parser.add_argument("--show", action="store_true", help="show the 28x28 pixels that the network gets")
    parser.add_argument("--json", action="store_true", help="print a JSON list instead, one object per image")
    return parser.parse_intermixed_args(words)


def _print_picture(title: str, probabilities: Array, picture: Array) -> None:
    """Print a picture, two rows of pixels per line of text, beside a bar for each probability."""
    marks = encodable(" ▀▄█", " '.#")  # two pixels, one above the other: none, the upper, the lower, both
    is_coloured = has_colours() and marks[1] == "▀"
    lines = []
    for upper, lower in picture.reshape(-1, 2, picture.shape[1]):
        if is_coloured:  # 24 of a terminal's 256 colours are shades of grey
            greys = zip(232 + upper // 11, 232 + lower // 11, strict=True)
            lines.append("".join(f"\x1b[38;5;{above};48;5;{below}m▀" for above, below in greys) + "\x1b[0m")
        else:
            lines.append("".join(marks[i] for i in (upper >= 128) + 2 * (lower >= 128)))
    bars = [f"{c:5d} {100 * p:6.1f} %  {marks[3] * round(BAR_LENGTH * float(p))}" for c, p in enumerate(probabilities)]
    bars = ["", "", *bars]  # centres ten bars beside fourteen lines
    lines += [" " * picture.shape[1]] * (len(bars) - len(lines))
    print(title, *(f"{line}{bar}".rstrip() for line, bar in zip_longest(lines, bars, fillvalue="")), sep="\n")
    print_now("")

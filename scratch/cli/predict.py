"""``python -m scratch predict``: which digits some photos show."""

import json
import os
import sys
from itertools import zip_longest
from typing import Any

import numpy as np

from scratch.cli import saved_model
from scratch.files import FileError
from scratch.utils import Array, encodable

BAR = 25  # characters of a probability of 1


def predict(words: list[str]) -> int:
    """Print which digit each picture shows, and the probability of each; return the exit status."""
    description = "Say which digit is on a photo or scan, and how probable each of the ten is."
    made = saved_model.parser("predict", description)
    made.add_argument("images", metavar="IMAGE", nargs="+", help="PNG or JPEG, one digit each, some paper around it")
    made.add_argument("--show", action="store_true", help="show each picture as the network sees it: 28×28, centred")
    made.add_argument("--json", action="store_true", help="print one JSON list, an object an image, instead")
    options = made.parse_intermixed_args(words)
    model = saved_model.load(options.model)
    saved_model.inputs(
        options.model, model, np.zeros((1, 28, 28), np.uint8)
    )  # whatever is wrong with the model is said once
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
        probabilities = saved_model.probabilities(
            options.model, model, saved_model.inputs(options.model, model, picture[np.newaxis])
        )[0]
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


def _show(file: str, digit: int, probabilities: Array, picture: Array) -> None:
    """Print the picture, two rows of pixels in a line of characters, beside a bar for each probability."""
    marks = encodable(" ▀▄█", " '.#")  # two pixels, one above the other: none, the upper, the lower, both
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

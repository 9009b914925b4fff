"""The digit that a tab looks at: one of the data set's, a drawing, or a photo, prepared as ``predict`` prepares it."""

import base64
import binascii
import io
from dataclasses import dataclass

import numpy as np

from scratch.classifiers import image_inputs
from scratch.datasets.mnist import Dataset
from scratch.lab.requests import check_range
from scratch.lab.texts import LabError
from scratch.models import Sequential
from scratch.utils import Array, to_categorical

PREVIEW = 256  # pixels of the longer side of a photo that the page shows
MAX_SIDE = 1024  # pixels of a drawing


@dataclass(frozen=True)
class Digit:
    """A digit, and where it comes from.

    Attributes:
        source: ``train``, ``test``, ``drawing`` or ``photo``.
        index: its number in the data set; None for a drawing or a photo.
        label: its class; None as long as nobody has said which it is.
        before: the picture as it was given, uint8 grey levels (height, width).
        after: what the network gets, uint8 (height, width), ink 255.
    """

    source: str
    index: int | None
    label: int | None
    before: Array
    after: Array


def pick(data: Dataset, set_name: str, index: int) -> Digit:
    """Return a digit of the training or the test images."""
    images, labels = data.train if set_name == "train" else data.test
    check_range("index", index, 0, len(images) - 1)
    return Digit(set_name, index, int(labels[index]), images[index], images[index])


def prepare_drawing(width: int, height: int, pixels: str) -> Digit:
    """Return a drawing, given as grey levels (0 black, 255 white) in base64, row by row."""
    from scratch.images import prepare  # imports Pillow and SciPy

    for name, length in (("width", width), ("height", height)):
        check_range(name, length, 8, MAX_SIDE)
    content = decode("pixels", pixels)
    if len(content) != width * height:
        raise LabError("bad field", field="pixels", expected=f"{width * height} bytes", got=f"{len(content)} bytes")
    before = np.frombuffer(content, np.uint8).reshape(height, width)
    after = prepare(before)
    if after is None:
        raise LabError("nothing drawn")
    return Digit("drawing", None, None, before, after)


def prepare_photo(file: str) -> Digit:
    """Return a photo, given as the base64 text of a PNG or JPEG file; its errors are those of ``predict``."""
    from PIL import Image

    from scratch.images import decode_grey, prepare

    content = decode("file", file)
    try:
        grey = decode_grey(io.BytesIO(content), "The picture")
    except ValueError as error:
        raise LabError("bad picture", error=str(error)) from None
    after = prepare(grey)
    if after is None:
        raise LabError("nothing drawn")
    before = Image.fromarray(grey)
    before.thumbnail((PREVIEW, PREVIEW))
    return Digit("photo", None, None, np.asarray(before), after)


def decode(name: str, text: str) -> bytes:
    """Return the bytes of a base64 text."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise LabError("bad field", field=name, expected="base64", got=text[:20]) from None


def mistakes(network: Sequential, data: Dataset, count: int) -> tuple[list[dict[str, float | int]], Array]:
    """Return the test digits that a network is most confidently wrong about, and their images (n, height, width)."""
    images, labels = data.test
    probabilities = network.predict(image_inputs(network, images), batch_size=1000, verbose=0)
    predicted = probabilities.argmax(axis=1)
    confidence = np.where(predicted != labels, probabilities.max(axis=1), -1)
    order = [int(i) for i in np.argsort(-confidence, kind="stable")[:count] if confidence[i] >= 0]
    rows: list[dict[str, float | int]] = [
        {"index": i, "label": int(labels[i]), "predicted": int(predicted[i]), "probability": float(confidence[i])}
        for i in order
    ]
    return rows, images[order]


def targets(model: Sequential, labels: Array, classes: int) -> Array:
    """Return labels (N,) as the model's loss requires: unchanged, or one-hot rows in float64, as in the article."""
    assert model.loss is not None
    return labels if model.loss.sparse else to_categorical(labels, classes)

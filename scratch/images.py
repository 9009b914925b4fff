"""Prepare a photo or scan of one handwritten digit as a 28×28 image such as MNIST's.

MNIST's digits came from black and white scans, which were "size normalized to fit in a 20x20 pixel box while preserving
their aspect ratio", grey "as a result of the anti-aliasing technique", and centred in 28×28 "by computing the center of
mass of the pixels" (http://yann.lecun.com/exdb/mnist).  ``prepare`` does the same with a photo, in five steps:

1. ``_extract_ink`` separates the ink from the paper and its shadows.
2. ``_remove_dirt`` removes specks, and shapes that touch the edge of the picture.
3. ``_crop`` cuts out the digit.
4. ``_widen_strokes`` gives a thin pen the stroke width that the networks have learned from.
5. ``_centre`` places the digit, scaled to 20 pixels, by its centre of mass.
"""

import os
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from scratch.files import FileError, existing
from scratch.utils import Array

WORKING_SIZE = 512  # pixels of a picture's longer side while it is prepared
PAPER_SIZE = 64  # pixels of the longer side at which the paper is estimated
LABEL_SIZE = 128  # pixels of the longer side at which connected shapes are labelled
PAPER_REACH = 20  # pixels at PAPER_SIZE: half the width of the median filter that estimates the paper
PAPER_STEP = 4  # the median filter uses every fourth row and column
MIN_CONTRAST = 8  # of 255 grey levels: between ink and paper at PAPER_SIZE
MIN_DIGIT = 0.05  # length of a digit, relative to the picture's longer side
BOX, FIELD = 20, 28  # pixels of MNIST's digits and of its images
OVERSAMPLING = 4  # strokes are widened at this multiple of BOX
MIN_STROKE = 1.6  # stroke width in pixels of BOX; a quarter of MNIST's digits have thinner strokes
MAD_TO_SIGMA = 1.4826  # standard deviation of a normal distribution, relative to its median absolute deviation
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)  # pixels that touch diagonally are connected


def read_digit(path: str | os.PathLike[str]) -> Array:
    """Read a PNG or JPEG picture of one digit and prepare it like MNIST's.

    The ink may be darker or lighter than the paper.  The picture may have any size, uneven light, an EXIF orientation,
    1 to 16 bits per channel, a palette or transparency.  A margin of a sixth of the digit's height should surround it.

    Args:
        path: the picture.

    Returns:
        uint8 array (28, 28): ink 255, paper 0.

    Raises:
        FileError: as ``read_grey``, or if the picture shows no digit.
    """
    digit = prepare(read_grey(path))
    if digit is None:
        raise FileError(f"{path} shows no digit: nothing on it contrasts with the paper.")
    return digit


def read_grey(path: str | os.PathLike[str]) -> Array:
    """Read a PNG or JPEG picture as ``prepare`` expects it.

    Args:
        path: the picture.

    Returns:
        What ``decode_grey`` returns.

    Raises:
        FileError: if the file does not exist, or as ``decode_grey``.
    """
    return decode_grey(existing(path), str(path))


def decode_grey(file: Path | IO[bytes], name: str) -> Array:
    """Decode a PNG or JPEG picture as ``prepare`` expects it.

    Args:
        file: an existing file, or a stream of its bytes.
        name: what error messages call the picture.

    Returns:
        uint8 array (height, width), 0 black, 255 white, upright, at most WORKING_SIZE pixels a side; transparent parts
        are paper.

    Raises:
        FileError: if the picture is not a complete PNG or JPEG, exceeds Pillow's size limit, or is animated.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of metadata that does not matter here
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG", "JPEG")) as image:
                if image.format == "PNG" and getattr(image, "is_animated", False):
                    raise FileError(f"{name} is animated; expected one picture of one digit.")
                return _to_grey(image)
    except FileError:
        raise
    except UnidentifiedImageError:
        raise FileError(f"{name} is not a PNG or JPEG picture; convert it, or name another file.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise FileError(f"{name} is too large, over {limit} million pixels; crop it to the digit.") from None
    except Exception as error:  # Pillow raises exceptions of many types for a damaged picture
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
        raise FileError(f"{name} cannot be read: {reason}.") from error


def prepare(grey: Array) -> Array | None:
    """Prepare a picture of one digit.

    Args:
        grey: uint8 array (height, width), 0 black, 255 white.

    Returns:
        uint8 array (28, 28): ink 255, paper 0; None if the picture shows nothing.
    """
    ink = _extract_ink(_resize(grey, WORKING_SIZE, Image.Resampling.BICUBIC))
    digit = None if ink is None else _crop(_remove_dirt(ink))
    return None if digit is None else _centre(_resize(_widen_strokes(digit), BOX, Image.Resampling.BOX))


def _to_grey(image: Image.Image) -> Array:
    """Return an opened picture as upright uint8 grey levels (height, width), at most WORKING_SIZE pixels a side."""
    image.draft("L", (WORKING_SIZE, WORKING_SIZE))  # decode no more pixels of a large JPEG than needed
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):  # 16 bits, of which a scanner may use fewer
        deep = np.asarray(image).astype(np.float32)
        image = Image.fromarray((deep * (255 / max(deep.max(), 1))).astype(np.uint8))
    is_transparent = "A" in image.getbands() or "transparency" in image.info
    mode = "RGBA" if is_transparent else "L"
    if image.mode != mode:
        image = image.convert(mode)
    image.thumbnail((WORKING_SIZE, WORKING_SIZE), Image.Resampling.BOX)
    if not is_transparent:
        return np.array(image)
    grey, alpha = np.moveaxis(np.asarray(image.convert("LA")).astype(np.float32), 2, 0)
    opaque = grey[alpha >= 128]
    background = 0 if opaque.size and opaque.min() >= 128 else 255  # white, unless all ink is light
    return np.asarray(background + (grey - background) * alpha / 255, np.uint8)


def _extract_ink(grey: Array) -> Array | None:
    """Return ink 255 and paper 0 in uint8, whatever the colours and the light; None if there is no ink.

    The paper is the median of a wide window, which follows shadows with their hard edges and ignores strokes.
    """
    small = _resize(grey, PAPER_SIZE, Image.Resampling.BOX).astype(np.float32)
    paper = _estimate_paper(small)
    lighter, darker = _ink_inside(small - paper), _ink_inside(paper - small)
    is_light_ink = lighter > darker or (lighter == darker and ((small - paper) ** 3).sum() > 0)
    contrast = small - paper if is_light_ink else paper - small
    noise = MAD_TO_SIGMA * float(np.median(np.abs(np.diff(small)))) if small.shape[1] > 1 else 0.0
    if contrast.max() < max(MIN_CONTRAST, 8 * noise):
        return None
    paper = _resize_to(paper, grey.shape, Image.Resampling.BILINEAR)
    difference = grey - paper if is_light_ink else paper - grey
    # Relative to the distance from the paper to black (or to white): the same in light and in shadow.
    ink = difference / np.maximum(255 - paper if is_light_ink else paper, 16)
    strong = ink[ink > max(0.05, 4 * MAD_TO_SIGMA * float(np.median(np.abs(ink))))]
    if not strong.size:
        return None
    full = np.percentile(strong, 90)
    # Nearly black and white, as MNIST's scans were; edges keep a little grey.
    return np.asarray(255 * np.clip(2 * ink / full - 0.5, 0, 1), np.uint8)


def _estimate_paper(small: Array) -> Array:
    """Return the median of a wide window around each pixel."""
    padded = np.pad(small, PAPER_REACH, "reflect", reflect_type="odd")  # continues the brightness gradient at the edge
    footprint = np.zeros((2 * PAPER_REACH + 1,) * 2, bool)
    footprint[::PAPER_STEP, ::PAPER_STEP] = True
    inner = slice(PAPER_REACH, -PAPER_REACH)
    return np.asarray(ndimage.median_filter(padded, footprint=footprint)[inner, inner])


def _ink_inside(contrast: Array) -> float:
    """Return how much contrast there is in shapes inside the picture; paper and most shadows touch its edge."""
    if contrast.max() <= 0:
        return 0.0
    labels, _ = ndimage.label(contrast > contrast.max() / 2, EIGHT_NEIGHBOURS)
    inside = (labels > 0) & ~np.isin(labels, _labels_at_edge(labels))
    return float((contrast[inside] ** 3).sum())


def _remove_dirt(ink: Array) -> Array:
    """Return the ink without specks, and without shapes at the edge of the picture if there are any others."""
    labels, _ = ndimage.label(_resize(ink, LABEL_SIZE, Image.Resampling.BOX) > 32, EIGHT_NEIGHBOURS)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    inside = areas.copy()
    inside[_labels_at_edge(labels)] = 0
    if inside.any() and max(np.ptp(np.argwhere(labels == inside.argmax()), axis=0)) >= LABEL_SIZE / 10:
        areas = inside
    keep = ndimage.binary_dilation((areas >= max(areas.max() / 20, 1))[labels], EIGHT_NEIGHBOURS)
    return np.where(_resize_to(keep, ink.shape, Image.Resampling.NEAREST), ink, 0)


def _labels_at_edge(labels: Array) -> Array:
    return np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))


def _crop(ink: Array) -> Array | None:
    """Return the smallest rectangle with all ink; None if that is no larger than a dot."""
    boxes = ndimage.find_objects((ink >= 128).astype(np.int8))
    digit = ink[boxes[0]] if boxes else ink[:1, :1]
    return digit if max(digit.shape) >= WORKING_SIZE * MIN_DIGIT else None


def _widen_strokes(digit: Array) -> Array:
    """Return the digit with strokes of at least MIN_STROKE pixels at the size of BOX: thinner ones nearly vanish."""
    visible = _dilate(digit, max(digit.shape) / (OVERSAMPLING * BOX))  # one pixel after the resizing below
    return _dilate(_resize(visible, OVERSAMPLING * BOX, Image.Resampling.BICUBIC), OVERSAMPLING * MIN_STROKE)


def _dilate(digit: Array, width: float) -> Array:
    """Return the digit with its strokes dilated until they are about ``width`` pixels wide."""
    mask = np.pad(digit >= 128, 1)
    # A line of width w and length l has the area wl and the perimeter 2l.
    perimeter = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    missing = round((width - 2 * mask.sum() / max(perimeter, 1)) / 2)
    if missing <= 0:
        return digit
    return np.asarray(ndimage.grey_dilation(np.pad(digit, missing), size=2 * missing + 1))


def _centre(digit: Array) -> Array:
    """Return FIELD×FIELD pixels with the digit's centre of mass as near to the middle as the digit fits."""
    field = np.zeros((FIELD, FIELD), np.uint8)
    centre = ndimage.center_of_mass(digit)
    rows, columns = (
        slice(start := min(max(round(FIELD / 2 - middle), 0), FIELD - length), start + length)
        for middle, length in zip(centre, digit.shape, strict=True)
    )
    field[rows, columns] = digit
    return field


def _resize(image: Array, side: int, resampling: Image.Resampling) -> Array:
    """Return the image with ``side`` pixels on its longer side and unchanged proportions."""
    height, width = (max(round(length * side / max(image.shape)), 1) for length in image.shape)
    return _resize_to(image, (height, width), resampling)


def _resize_to(image: Array, shape: tuple[int, ...], resampling: Image.Resampling) -> Array:
    """Return the image with another height and width; Pillow averages the pixels that ``ndimage.zoom`` would skip."""
    height, width = shape
    return np.asarray(Image.fromarray(image).resize((width, height), resampling))

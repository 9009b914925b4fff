"""From a photo or scan of one handwritten digit to 28×28 numbers such as MNIST's.

MNIST's digits came from black and white scans, which were "size normalized to fit in a 20x20 pixel box while preserving
their aspect ratio", grey "as a result of the anti-aliasing technique", and centred in 28×28 "by computing the center of
mass of the pixels" (http://yann.lecun.com/exdb/mnist).  A photo is no such scan, so before that: ``read_digit`` turns
the file into shades of grey, ``_ink`` tells ink from paper and shadows, ``_without_dirt`` drops what is not the digit,
and ``_strokes`` gives a thin pen the width of the strokes that the networks have learned from.
"""

import os
import warnings

import numpy as np
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError

from scratch.files import FileError, existing
from scratch.utils import Array

SIDE = 512  # pixels of a picture's longer side while it is worked on
PAPER = 64  # pixels of the longer side that suffice to see how the light falls
WINDOW = 0.6  # of the picture's longer side: around a pixel, where to look for the shade of its paper
PIECES = 128  # pixels of the longer side that suffice to see what is connected
FAINTEST = 8  # of 255 shades: what ink must differ from the paper, averaged over a pixel of PAPER
BOX, FIELD = 20, 28  # MNIST's
LEAST = 0.05  # of the picture's longer side: a digit's
FINE = 4  # times BOX: the size at which strokes are widened
STROKE = 1.6  # pixels of BOX; a quarter of MNIST's digits have thinner strokes


def read_digit(path: str | os.PathLike[str]) -> Array:
    """Read a PNG or JPEG picture of one digit and prepare it as MNIST's are.

    Dark ink on light paper or the reverse, of any size, evenly lit or not, turned by EXIF or not, 1 to 16 bits deep,
    with a palette or transparent; a margin of a sixth of the digit's height should be left around it.

    Returns:
        uint8 array (28, 28): ink 255, paper 0.

    Raises:
        FileError: if there is no such picture, it can't be read whole, is larger than Pillow's limit, animated, or
            empty.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file's small oddities
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(existing(path), formats=("PNG", "JPEG")) as image:
                if image.format == "PNG" and getattr(image, "is_animated", False):
                    raise FileError(f"{path} is animated; one picture of one digit is expected.")
                shades = _shades(image)
    except FileError:
        raise
    except UnidentifiedImageError:
        raise FileError(f"{path} is not a PNG or JPEG picture; convert it, or name another file.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise FileError(f"{path} is too large, over {limit} million pixels; crop it to the digit.") from None
    except Exception as error:  # a damaged picture may raise anything
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
        raise FileError(f"{path} can't be read: {reason}.") from error
    digit = prepare(shades)
    if digit is None:
        raise FileError(f"{path} shows no digit: nothing on it stands out from the paper.")
    return digit


def prepare(shades: Array) -> Array | None:
    """Prepare a picture of one digit.

    Args:
        shades: uint8 array (height, width), 0 black, 255 white.

    Returns:
        uint8 array (28, 28): ink 255, paper 0; None if there is nothing on the picture.
    """
    picture = _resized(Image.fromarray(shades), SIDE)
    ink = _ink(picture)
    digit = None if ink is None else _cropped(_without_dirt(ink))
    return None if digit is None else _centred(_resized(_strokes(digit), BOX, Image.Resampling.BOX))


def _shades(image: Image.Image) -> Array:
    """A picture as shades of grey (height, width) in uint8, upright and at most SIDE pixels a side."""
    image.draft("L", (SIDE, SIDE))  # a large JPEG is decoded to no more pixels than needed
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):  # 16 bits, of which a scanner may use fewer
        deep = np.asarray(image).astype(np.float32)
        image = Image.fromarray((deep * (255 / max(deep.max(), 1))).astype(np.uint8))
    transparent = "A" in image.getbands() or "transparency" in image.info
    if image.mode != (mode := "RGBA" if transparent else "L"):
        image = image.convert(mode)
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    if not transparent:
        return np.array(image)
    shades, alpha = np.moveaxis(np.asarray(image.convert("LA")).astype(np.float32), 2, 0)
    opaque = shades[alpha >= 128]
    behind = 0 if opaque.size and opaque.min() >= 128 else 255  # white, unless all ink is light
    return np.asarray(behind + (shades - behind) * alpha / 255, np.uint8)


def _ink(picture: Image.Image) -> Image.Image | None:
    """White ink on black ground, whatever the colours and the light were; None if there is no ink.

    The paper is the median of a wide window: it follows a shadow, hard edges included, and overlooks strokes.
    """
    small = np.asarray(_resized(picture, PAPER, Image.Resampling.BOX), np.float32)
    reach = int(max(small.shape) * WINDOW / 2)
    beyond = np.pad(small, reach, "reflect", reflect_type="odd")  # the light goes on falling as it does at the edge
    windows = np.lib.stride_tricks.sliding_window_view(beyond, (2 * reach + 1,) * 2)
    paper = np.median(windows[:, :, ::2, ::2], axis=(2, 3))
    lighter, darker = _inner_ink(small - paper), _inner_ink(paper - small)
    light_ink = lighter > darker or (lighter == darker and ((small - paper) ** 3).sum() > 0)
    grain = 1.4826 * float(np.median(np.abs(np.diff(small)))) if small.shape[1] > 1 else 0.0
    if (small - paper if light_ink else paper - small).max() < max(FAINTEST, 8 * grain):
        return None
    smooth = Image.fromarray(paper).resize(picture.size, Image.Resampling.BILINEAR)
    shades, ground = np.asarray(picture, np.float32), np.asarray(smooth)
    # How far from the paper to black, or to white for light ink: the same in light and in shadow.
    ink = (shades - ground) / np.maximum(255 - ground, 16) if light_ink else (ground - shades) / np.maximum(ground, 16)
    strong = ink[ink > max(0.05, 4 * 1.4826 * float(np.median(np.abs(ink))))]
    if not strong.size:
        return None
    full = np.percentile(strong, 90)
    # Nearly black and white, as the scans were; edges keep a little grey.
    return Image.fromarray((255 * np.clip(2 * ink / full - 0.5, 0, 1)).astype(np.uint8))


def _inner_ink(excess: Array) -> float:
    """How much stands out that does not reach the picture's edge, as the paper does, and most shadows."""
    if excess.max() <= 0:
        return 0.0
    pieces = _pieces(excess > excess.max() / 2)
    return float((excess[(pieces > 0) & ~np.isin(pieces, _at_edge(pieces))] ** 3).sum())


def _without_dirt(ink: Image.Image) -> Image.Image:
    """The ink without specks, and without what reaches the picture's edge if there is anything else."""
    pieces = _pieces(np.asarray(_resized(ink, PIECES, Image.Resampling.BOX)) > 32)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    inner = sizes.copy()
    inner[_at_edge(pieces)] = 0
    if inner.any() and max(np.ptp(np.argwhere(pieces == inner.argmax()), axis=0)) >= PIECES / 10:
        sizes = inner
    keep = Image.fromarray((sizes >= max(sizes.max() / 20, 1))[pieces]).convert("L")
    keep = keep.filter(ImageFilter.MaxFilter(3)).resize(ink.size, Image.Resampling.NEAREST)
    return Image.fromarray(np.minimum(np.asarray(ink), np.asarray(keep)))


def _pieces(mask: Array) -> Array:
    """Number what is connected, diagonally too: whole numbers (height, width), 0 outside the mask."""
    pieces = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:  # each pixel takes the highest number around it, until all of a piece have the same
        spread = np.pad(pieces, 1)
        spread = np.maximum(np.maximum(spread[:-2], spread[1:-1]), spread[2:])
        spread = np.maximum(np.maximum(spread[:, :-2], spread[:, 1:-1]), spread[:, 2:])
        spread[~mask] = 0
        if np.array_equal(spread, pieces):
            return pieces
        pieces = spread


def _at_edge(pieces: Array) -> Array:
    """Numbers of the pieces that reach the picture's edge."""
    return np.unique(np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]))


def _cropped(ink: Image.Image) -> Image.Image | None:
    """The smallest rectangle with all ink in it; None if that is no more than a dot."""
    digit = ink.crop(ink.point(lambda value: 255 * (value >= 128)).getbbox() or (0, 0, 1, 1))
    return digit if max(digit.size) >= SIDE * LEAST else None


def _strokes(digit: Image.Image) -> Image.Image:
    """The digit, its strokes at least STROKE wide at the size of BOX: a thin pen would all but vanish there."""
    visible = _widened(digit, max(digit.size) / (FINE * BOX))  # at least a pixel of what follows
    return _widened(_resized(visible, FINE * BOX), FINE * STROKE)


def _widened(digit: Image.Image, width: float) -> Image.Image:
    mask = np.pad(np.asarray(digit) >= 128, 1)
    # A line of width w and length l has the area wl and the circumference 2l.
    circumference = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    missing = round((width - 2 * mask.sum() / max(circumference, 1)) / 2)
    if missing <= 0:
        return digit
    return ImageOps.expand(digit, missing).filter(ImageFilter.MaxFilter(2 * missing + 1))


def _centred(digit: Image.Image) -> Array:
    """The digit in the middle of FIELD by its centre of mass, and whole in any case."""
    shades = np.asarray(digit)
    field = np.zeros((FIELD, FIELD), np.uint8)
    corner = []
    for axis, length in enumerate(shades.shape):
        weights = shades.sum(axis=1 - axis, dtype=np.float64)
        centre = weights @ np.arange(length) / weights.sum()
        corner.append(min(max(round(FIELD / 2 - centre), 0), FIELD - length))
    field[corner[0] :, corner[1] :][: shades.shape[0], : shades.shape[1]] = shades
    return field


def _resized(image: Image.Image, side: int, how: Image.Resampling = Image.Resampling.BICUBIC) -> Image.Image:
    """The picture with ``side`` pixels on its longer side, and its proportions."""
    scale = side / max(image.size)
    return image.resize((max(round(image.width * scale), 1), max(round(image.height * scale), 1)), how)

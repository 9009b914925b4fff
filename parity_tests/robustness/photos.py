"""Synthetic photos of MNIST's digits: ink on paper in uneven light, with the noise of a camera."""

import numpy as np
from PIL import Image


def enlarged(digit: np.ndarray, side: int) -> np.ndarray:
    """Return a digit enlarged smoothly to ``side`` pixels a side."""
    return np.array(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC))


def photograph(digit: np.ndarray, rng: np.random.Generator, light_ink: bool = False) -> Image.Image:
    """Return a photo of a digit with random size, position, angle, ink, paper and light.

    Args:
        digit: uint8 array (28, 28).
        rng: draws the random values.
        light_ink: whether to invert the photo.
    """
    side = int(rng.integers(120, 300))
    margin = int(side * rng.uniform(0, 0.7))
    written = Image.fromarray(255 * (enlarged(digit, side) > 127).astype(np.uint8))
    ink = Image.new("L", (side + 2 * margin, side + 2 * margin))
    shift = rng.integers(-margin, margin + 1, size=2) // 2 + margin
    ink.paste(written.rotate(rng.uniform(-8, 8), Image.Resampling.BICUBIC), (int(shift[0]), int(shift[1])))
    down, right = np.mgrid[0 : 1 : ink.height * 1j, 0 : 1 : ink.width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 - 0.5 * np.clip(0.5 + np.cos(angle) * (right - 0.5) + np.sin(angle) * (down - 0.5), 0, 1)
    paper = rng.uniform(180, 240) * light * (1 - rng.uniform(0.4, 0.9) * np.asarray(ink) / 255)
    shades = np.clip(paper + rng.normal(0, 5, paper.shape), 0, 255)
    return Image.fromarray((255 - shades if light_ink else shades).astype(np.uint8))

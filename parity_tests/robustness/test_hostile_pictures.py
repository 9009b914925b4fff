"""Hostile pictures for ``python -m scratch predict``: each is read or rejected in one sentence, in little memory.

Most of them are small files that claim to unpack to gigabytes.
"""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from parity_tests.unit.kernels import output
from scratch.files import FileError
from scratch.images import read_digit

MEGABYTES = 200  # for all pictures, one after the other


def deflated_zeros(megabytes: int) -> bytes:
    """Return so many zeros, compressed, without taking memory for them."""
    compressor, zeros = zlib.compressobj(), bytes(1_000_000)
    return b"".join(compressor.compress(zeros) for _ in range(megabytes)) + compressor.flush()


BOMB = deflated_zeros(500)


def chunk(name: bytes, content: bytes = b"", length: int | None = None, crc: int | None = None) -> bytes:
    """Return a chunk of a PNG file, with its true length and checksum or with others."""
    checksum = zlib.crc32(name + content) if crc is None else crc
    return struct.pack(">I", len(content) if length is None else length) + name + content + struct.pack(">I", checksum)


def png(
    *extra: bytes, width: int = 28, height: int = 28, depth: int = 8, colour: int = 0, pixels: bytes = b""
) -> bytes:
    """Return a PNG file of a bar, with extra chunks after the header."""
    image = np.zeros((28, 29), np.uint8)
    image[:, 1:] = 255
    image[4:24, 12:16] = 0
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", pixels or zlib.compress(image.tobytes()))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + data + chunk(b"IEND")


def jpeg(**options: object) -> bytes:
    """Return a JPEG file of a bar."""
    image = Image.new("L", (28, 28), 255)
    image.paste(0, (12, 4, 16, 24))
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def patched(content: bytes, marker: bytes, offset: int, new: bytes) -> bytes:
    """Return the content with other bytes at an offset from a marker."""
    start = content.index(marker) + offset
    return content[:start] + new + content[start + len(new) :]


PICTURES: dict[str, Callable[[], bytes]] = {
    "wide.png": lambda: png(width=2**31 - 1, height=1),
    "high.png": lambda: png(width=1, height=2**31 - 1),
    "huge.png": lambda: png(width=60_000, height=60_000, pixels=BOMB),
    "large.png": lambda: png(width=13_000, height=13_000, pixels=BOMB),
    "zero.png": lambda: png(width=0, height=0),
    "negative.png": lambda: png(width=2**32 - 1, height=2**32 - 1),
    "more pixels.png": lambda: png(pixels=BOMB),
    "no pixels.png": lambda: png(pixels=zlib.compress(b"")),
    "depth.png": lambda: png(depth=16, colour=6),
    "unknown depth.png": lambda: png(depth=200),
    "no palette.png": lambda: png(colour=3),
    "long palette.png": lambda: png(chunk(b"PLTE", bytes(3 * 5000)), colour=3),
    "text bomb.png": lambda: png(chunk(b"zTXt", b"a\0\0" + BOMB)),
    "many texts.png": lambda: png(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000)))] * 200),
    "utf8 bomb.png": lambda: png(chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB)),
    "profile bomb.png": lambda: png(chunk(b"iCCP", b"a\0\0" + BOMB)),
    "profile.png": lambda: png(chunk(b"iCCP", b"a\0\0" + zlib.compress(b"no profile"))),
    "exif.png": lambda: png(chunk(b"eXIf", b"II*\0" + b"\xff" * 60)),
    "short header.png": lambda: b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\0\0\0\x1c"),
    "two headers.png": lambda: png(chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0))),
    "long chunk.png": lambda: png(chunk(b"tEXt", b"a\0b", length=2**31)),
    "crc.png": lambda: png(chunk(b"gAMA", b"\0\0\0\1", crc=0)),
    "frames.png": lambda: png(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
    "transparency.png": lambda: png(chunk(b"tRNS", bytes(5000))),
    "huge.jpg": lambda: patched(jpeg(), b"\xff\xc0", 5, b"\xff\xff\xff\xff"),
    "high.jpg": lambda: patched(jpeg(), b"\xff\xc0", 5, b"\xff\xff\x00\x1c"),
    "zero.jpg": lambda: patched(jpeg(), b"\xff\xc0", 5, b"\0\0\0\0"),
    "components.jpg": lambda: patched(jpeg(), b"\xff\xc0", 9, b"\xff"),
    "no tables.jpg": lambda: jpeg().replace(b"\xff\xc4", b"\xff\xe5"),
    "scans.jpg": lambda: jpeg(progressive=True)[:-2] * 50,
    "exif.jpg": lambda: jpeg(exif=b"Exif\0\0II*\0" + b"\xff" * 60),
    "exif loop.jpg": lambda: jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0"),
    "profile.jpg": lambda: jpeg(icc_profile=bytes(60_000)),
    "comment.jpg": lambda: jpeg(comment=bytes(60_000)),
    "only markers.jpg": lambda: b"\xff\xd8" + b"\xff" * 100_000,
    "thumbnails.jpg": lambda: patched(jpeg(), b"JFIF", 12, b"\xff\xff"),
    "bitmap.png": lambda: b"BM" + struct.pack("<IHHIIii", 100, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1) + bytes(60),
    "postscript.jpg": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    "drawing.png": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "tiff.png": lambda: b"II*\0\x08\0\0\0\1\0\0\1\4\0\1\0\0\0\xff\xff\xff\x7f\0\0\0\0",
    "zeros.png": lambda: bytes(1_000_000),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_hostile_picture_is_read_or_rejected(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(PICTURES[name]())
    message = ""
    try:
        assert read_digit(file).shape == (28, 28)
    except FileError as error:
        message = str(error)
    assert not message or (message.startswith(f"{file} ") and message.endswith(".") and "\n" not in message)


MEMORY = """
import resource, sys
from parity_tests.robustness import test_hostile_pictures as tested
from pathlib import Path
before, rejected = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
for name, content in tested.PICTURES.items():
    file = Path(sys.argv[1]) / name
    file.write_bytes(content())
    try:
        tested.read_digit(file)
    except tested.FileError:
        rejected.append(name)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000, len(rejected))
"""


@pytest.mark.slow
def test_hostile_pictures_take_little_memory(tmp_path: Path) -> None:
    megabytes, rejected = map(int, output(MEMORY, str(tmp_path)).split())
    assert megabytes < MEGABYTES
    assert rejected >= 20

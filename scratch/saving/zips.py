"""Zip archives from anyone, read into memory: nothing is unpacked to the disk, and no size is believed unchecked."""

import stat
import struct
import zipfile
import zlib
from pathlib import Path

from scratch.files import FileError, check_unpacked, existing

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # LZMA's header could ask for gigabytes
CHUNK = 1 << 20

# What zipfile stumbles over, as far as its documentation and its source tell.
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RuntimeError,
)


def read_entries(path: Path, kind: str) -> dict[str, bytearray]:
    """Return the content of every entry of a zip archive, by name, each checked against its CRC.

    Args:
        path: the archive.
        kind: what an error calls it, such as ``'.npz'``.

    Raises:
        FileError: if the file is missing, not a zip archive, damaged, encrypted, packed by anything but deflate,
            unpacks to far more than its size, or has an entry that stands twice, is a link, or leads out of it.
    """
    existing(path)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
            _check(path, infos)
            return {info.filename: _content(archive, info) for info in infos}
    except FileError:
        raise
    except UNREADABLE as error:
        raise FileError(f"{path} is not a readable {kind} file ({str(error) or type(error).__name__}).") from None


def _check(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    """Refuse what can be refused before anything is unpacked."""
    seen = set()
    for info in infos:
        if info.filename in seen:
            raise FileError(f"{path} has two entries named {info.filename!r}.")
        seen.add(info.filename)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise FileError(f"{path} has a symbolic link, {info.filename!r}, where a file should be.")
        if ".." in info.filename.split("/") or info.filename.startswith("/") or "\\" in info.filename:
            raise FileError(f"{path} has an entry whose name leads out of the archive: {info.filename!r}.")
        if info.flag_bits & 1 or info.compress_type not in METHODS:
            raise FileError(f"{path}: its entry {info.filename!r} is encrypted, or packed by anything but deflate.")
    check_unpacked(path, sum(info.file_size for info in infos))


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytearray:
    content, filled = bytearray(info.file_size), 0
    with archive.open(info) as stream:
        while chunk := stream.read(CHUNK):  # zipfile stops at the declared size, and checks the CRC there
            content[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
    if filled != info.file_size:
        raise EOFError(f"{info.filename} is shorter than it says")
    return content

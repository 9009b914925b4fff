"""Read zip archives from untrusted sources into memory: nothing is unpacked to the disk, and all sizes are checked."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from scratch.files import FileError, check_unpacked, existing

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the header of LZMA can ask for gigabytes
CHUNK = 1 << 20

# The exceptions that zipfile raises for damaged archives, by its documentation and its source.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RuntimeError,
)


def read_entries(path: Path, kind: str, required: Sequence[str] = ()) -> dict[str, bytearray]:
    """Return the content of all entries of a zip archive, by name, after a check of their CRC.

    Args:
        path: the archive.
        kind: the kind of file for errors, such as ``'.npz'``.
        required: names of entries that there must be.

    Raises:
        FileError: if the file is missing, not a zip archive, damaged, encrypted or compressed by anything but deflate,
            if it would unpack to far more than its size, if two entries have one name, if a required entry is missing,
            or if an entry is a link or has a path outside the archive.
    """
    existing(path)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if info.file_size or not info.filename.endswith("/")]
            _check_entries(path, infos)
            for name in required:
                if name not in archive.namelist():
                    raise FileError(f"{path} has no {name}, which every {kind} file of Keras 3 has.")
            return {info.filename: _read_entry(archive, info) for info in infos}
    except FileError:
        raise
    except DAMAGED as error:
        raise FileError(f"{path} is not a readable {kind} file ({str(error) or type(error).__name__}).") from None


def _check_entries(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    """Raise a ``FileError`` for what the list of entries shows to be wrong, before anything is unpacked."""
    names = set()
    for info in infos:
        if info.filename in names:
            raise FileError(f"{path} has two entries named {info.filename!r}.")
        names.add(info.filename)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise FileError(f"{path} has a symbolic link, {info.filename!r}; expected files only.")
        if ".." in info.filename.split("/") or info.filename.startswith("/") or "\\" in info.filename:
            raise FileError(f"{path} has an entry with a path outside the archive: {info.filename!r}.")
        if info.flag_bits & 1 or info.compress_type not in METHODS:
            raise FileError(f"{path}: the entry {info.filename!r} is encrypted, or not compressed by deflate.")
    check_unpacked(path, sum(info.file_size for info in infos))


def _read_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytearray:
    content, filled = bytearray(info.file_size), 0
    with archive.open(info) as stream:
        while chunk := stream.read(CHUNK):  # zipfile stops at the declared size, and checks the CRC there
            content[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
    if filled != info.file_size:
        raise EOFError(f"{info.filename} is shorter than declared")
    return content

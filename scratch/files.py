"""Files that are never half there: one way to write them, and one error for those that can't be used."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileError(ValueError):
    """A file can't be read or written as it is; the message names the file and the reason."""


@contextmanager
def named(file: Path) -> Iterator[None]:
    """Put the file's name before whatever is wrong with what is in it.

    Raises:
        FileError: in the place of every other ``ValueError``.
    """
    try:
        yield
    except FileError:
        raise
    except ValueError as error:
        raise FileError(f"{file}: {error}") from None


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that is there; of a pipe, too, one could only wait for the content.

    Raises:
        FileError: if it does not exist, or is a folder or anything else that is not a file.
    """
    file = Path(path)
    if not file.is_file():
        raise FileError(f"{file} {'is not a file' if file.exists() else 'does not exist'}.")
    return file


def check_unpacked(path: Path, unpacked: int) -> None:
    """Make sure that a packed file declares no more bytes than one of its size may, before memory is taken for them.

    Raises:
        FileError: if it would unpack to more than 64 MiB and to more than fifty times its size.
    """
    packed = path.stat().st_size
    if unpacked > max(1 << 26, 50 * packed):
        raise FileError(f"{path} has {packed:,} bytes and claims to unpack to {unpacked:,}; it is not to be trusted.")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file whole or not at all.

    Within, a temporary file in the same folder is there to be written.  At the end it is flushed to the disk and takes
    the place of ``path``; if anything goes wrong it is removed, and what was there stays.

    Yields:
        The path of the temporary file, empty so far.

    Raises:
        FileError: if the folder is missing, the disk is full, or the place can't be written to.
    """
    file = Path(path)
    part = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
        os.close(descriptor)
        part = Path(name)
        yield part
        _flush(part)
        os.replace(part, file)
        _flush(file.parent)
    except OSError as error:
        raise FileError(f"{file} can't be written: {error.strerror or error}; the file before it is kept.") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Wait until the file, or what the folder lists, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Files that are never half there: one way to write them, and one error for those that can't be used."""

import contextlib
import glob
import os
import secrets
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
    except MemoryError:
        raise FileError(f"{file}: there is not enough memory for what it holds.") from None


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that is there; of a pipe, too, one could only wait for the content.

    Raises:
        FileError: if it does not exist, or is a folder or anything else that is not a file.
    """
    file = Path(path)
    try:
        if not file.is_file():
            raise FileError(f"{file} {'is not a file' if file.exists() else 'does not exist'}.")
    except OSError as error:
        raise FileError(f"{file} can't be read: {error.strerror or error}.") from None
    return file


def check_unpacked(path: Path, unpacked: int) -> None:
    """Make sure that a packed file declares no more bytes than one of its size may, before memory is taken for them.

    Raises:
        FileError: if it would unpack to more than 16 MiB and to more than fifty times its size.
    """
    packed = path.stat().st_size
    if unpacked > max(1 << 24, 50 * packed):
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
        part = file.parent / f".{file.name}.{secrets.token_hex(4)}.part"
        part.touch(exist_ok=False)  # as readable for others as any new file, which tempfile's are not
        yield part
        _flush(part)
        os.replace(part, file)
        with contextlib.suppress(OSError):  # not every system lets a folder be flushed
            _flush(file.parent)
    except OSError as error:
        raise FileError(f"{file} can't be written: {error.strerror or error}; the file before it is kept.") from error
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make the folder, and those it is in, if they are not there.

    Raises:
        FileError: if that can't be done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder {folder} can't be made: {error.strerror or error}.") from error


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what a killed process left of a ``replacing(path)``; nobody else may be writing the file."""
    file = Path(path)
    for part in file.parent.glob(f".{glob.escape(file.name)}.{'[0-9a-f]' * 8}.part"):
        with contextlib.suppress(OSError):  # gone, or not ours
            part.unlink()


def _flush(path: Path) -> None:
    """Wait until the file, or what the folder lists, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

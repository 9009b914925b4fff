"""Files: atomic writes, checks before reading, and the error for a file that cannot be used."""

import contextlib
import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scratch.utils import printable


class FileError(ValueError):
    """A file cannot be read or written; the message names the file and the reason, with control characters escaped."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


@contextmanager
def named(file: Path) -> Iterator[None]:
    """Put the file's name before the message of an error that its content causes.

    Raises:
        FileError: instead of any other ``ValueError`` or a ``MemoryError``.
    """
    try:
        yield
    except FileError:
        raise
    except ValueError as error:
        raise FileError(f"{file}: {error}") from None
    except MemoryError:
        raise FileError(f"{file}: there is not enough memory for its content.") from None


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of an existing regular file.

    Raises:
        FileError: if the path does not exist or is not a regular file; reading from a pipe, for example, could block.
    """
    file = Path(path)
    try:
        if not file.is_file():
            raise FileError(f"{file} {'is not a file' if file.exists() else 'does not exist'}.")
    except OSError as error:
        raise FileError(f"{file} can't be read: {error.strerror or error}.") from None
    return file


def check_unpacked(path: Path, unpacked: int) -> None:
    """Reject a compressed file that declares an implausible unpacked size, before memory is allocated for it.

    Args:
        path: the compressed file.
        unpacked: the declared size of its unpacked content in bytes.

    Raises:
        FileError: if the unpacked size exceeds both 16 MiB and fifty times the size of the file.
    """
    packed = path.stat().st_size
    limit = max(1 << 24, 50 * packed)
    if unpacked > limit:
        raise FileError(
            f"{path} has {packed:,} bytes and claims to unpack to {unpacked:,}; at most {limit:,} is allowed."
        )


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Replace a file atomically: afterwards it has either the complete new content or the previous content.

    The new content is written to a temporary file in the same folder.  When the block ends, the temporary file is
    flushed to the disk and renamed to ``path``; if an error occurs, it is removed.

    Yields:
        The path of the empty temporary file.

    Raises:
        FileError: if the folder does not exist or is not writable, or the disk is full.
    """
    file = Path(path)
    part = None
    try:
        part = file.parent / f".{file.name}.{secrets.token_hex(4)}.part"
        part.touch(exist_ok=False)  # has the permissions of any new file; tempfile's are readable by the owner only
        yield part
        _flush(part)
        os.replace(part, file)
        with contextlib.suppress(OSError):  # some systems cannot flush a folder
            _flush(file.parent)
    except OSError as error:
        raise FileError(f"{file} can't be written: {error.strerror or error}; the previous file is kept.") from error
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Create the folder and its parents, unless they exist.

    Raises:
        FileError: if the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder {folder} can't be created: {error.strerror or error}.") from error


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that killed processes left beside ``path``; no other process may be writing it."""
    file = Path(path)
    for part in file.parent.glob(f".{glob.escape(file.name)}.{'[0-9a-f]' * 8}.part"):
        with contextlib.suppress(OSError):  # already removed, or no permission
            part.unlink()


def _flush(path: Path) -> None:
    """Write the cached content of a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Files: atomic writes, checks before reading, and the error for a file that cannot be used."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: temporary files are neither locked nor removed later
    fcntl = None  # type: ignore[assignment]

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

    The new content is written to a temporary file in the folder of the file.  When the block ends, the temporary file
    is flushed to the disk and renamed to the file; if an error occurs, it is removed.  As if the file were opened for
    writing, symbolic links are followed, an existing file keeps its permissions and, where the system allows it, its
    owner, and a new file gets those that the umask leaves.

    Yields:
        The path of the empty temporary file.  Its name ends as that of the file does, for writers that choose a format.

    Raises:
        FileError: if the file or its folder is not writable, if the file is not a regular file, or if the disk is full.
    """
    try:
        with _temporary_file(path) as (file, part, target):
            yield part
            os.fsync(file.fileno())
            if fcntl is None:  # Windows does not rename open files
                file.close()
            os.replace(part, target)
            with contextlib.suppress(OSError):  # some systems cannot flush a folder
                _flush(target.parent)
    except OSError as error:
        kept = "; the previous file is kept" if os.path.isfile(path) else ""
        raise FileError(f"{Path(path)} can't be written: {error.strerror or error}{kept}.") from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check that ``replacing`` can write a file, before a computation whose result the file shall hold.

    Raises:
        FileError: if it cannot.
    """
    try:
        with _temporary_file(path):
            pass
    except OSError as error:
        reason = f"{error.strerror or error}; name a file in an existing folder that you can write to"
        raise FileError(f"{Path(path)} can't be written: {reason}.") from error


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace the content of a file atomically; see ``replacing``."""
    with replacing(path) as part:
        part.write_bytes(content)


def make_folder(folder: Path) -> None:
    """Create the folder and its parents, unless they exist.

    Raises:
        FileError: if the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder {folder} can't be created: {error.strerror or error}.") from error


@contextmanager
def _temporary_file(path: str | os.PathLike[str]) -> Iterator[tuple[IO[bytes], Path, Path]]:
    """Create a temporary file that can replace a file; remove it afterwards, unless it was renamed.

    Killed processes leave temporary files, which the next call in the same folder removes.  It must not remove those of
    running processes.  Therefore a process holds a lock on each temporary file until it has renamed or removed it, and
    only the holder of the lock removes a file.  The system releases the locks of a process that ends.  A process that
    has not locked its new file yet may lose it; it notices that and creates another one.

    Yields:
        The temporary file, its path, and the file that it can replace.

    Raises:
        OSError: if the file cannot be written.
    """
    target, status = _target(path)
    extension = Path(path).name.rpartition(".")[2][-16:]  # not the complete name, which may have the maximum length
    mode = 0o666 if status is None else stat.S_IMODE(status.st_mode)
    _remove_leftovers(target.parent)
    while True:
        part = target.parent / f".scratch-{secrets.token_hex(8)}.part.{extension}"
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            try:
                if _lock(file.fileno()):
                    if status is not None:
                        _copy_permissions(target, status, part)
                    yield file, part, target
                    return
            finally:
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)


def _target(path: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """Return the file that a path names, behind symbolic links, and its status, or None if it does not exist yet.

    Raises:
        OSError: if the path names an existing file that is not writable or not regular, such as a device.
    """
    target = Path(os.path.realpath(path))
    try:
        status = os.stat(Path(path))
    except FileNotFoundError:
        return target, None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, f"it is {'a folder' if stat.S_ISDIR(status.st_mode) else 'not a regular file'}")
    if not os.access(target, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return target, status


def _copy_permissions(target: Path, status: os.stat_result, part: Path) -> None:
    """Give a temporary file the owner, the mode and the access control list of the file that it will replace."""
    for owner, group in ((-1, status.st_gid), (status.st_uid, -1)):
        with contextlib.suppress(AttributeError, OSError):  # not permitted, or the file system or Windows has no owners
            os.chown(part, owner, group)
    with contextlib.suppress(OSError):
        shutil.copystat(target, part)  # the time of modification changes again when the content is written


def _lock(descriptor: int) -> bool:
    """Lock a temporary file of this process; return False if another process has locked it first, to remove it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # the file system has no locks, so no process can obtain this one and remove the file
        return True
    return os.fstat(descriptor).st_nlink > 0


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files in a folder that no process has locked."""
    for part in folder.glob(f".scratch-{'[0-9a-f]' * 16}.part.*") if fcntl else ():
        with contextlib.suppress(OSError):  # it is locked, or was renamed or removed, or this user may not remove it
            descriptor = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
            finally:
                os.close(descriptor)


def _flush(path: Path) -> None:
    """Write the cached content of a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

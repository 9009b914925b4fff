"""The output files of the training program: checked before the training, and kept after it."""

import argparse
import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from scratch.files import FileError, check_writable

PLOT_FORMATS = (".png", ".pdf", ".svg", ".jpg")
MEMORY = "/dev/shm"  # Linux's file system in memory, the last place that is tried for a model
BACKUPS = "latest.npz", "previous.npz"  # in the folder of --resume


def check_output_files(options: argparse.Namespace) -> None:
    """Check before the training that every output file can be written after it.

    Raises:
        FileError: if a file cannot be written.
        ValueError: if a file is used twice, or the extension of one is not supported.
    """
    if options.plot and Path(options.plot).suffix.lower() not in PLOT_FORMATS:
        raise ValueError(f"--plot supports {', '.join(PLOT_FORMATS)}; got {options.plot!r}.")
    if options.save and not options.save.endswith(".keras"):
        raise ValueError(f"--save must name a .keras file; got {options.save!r}.")
    for name in filter(None, (options.plot, options.history, options.save)):
        check_writable(name)
    backups = getattr(options, "resume", None)
    names = [("--data", options.data), ("MNIST_PATH", os.environ.get("MNIST_PATH")), ("--resume", backups)]
    names += [("a backup", os.path.join(backups, name)) for name in BACKUPS] if backups else []
    names += [("--plot", options.plot), ("--history", options.history), ("--save", options.save)]
    users: dict[str, str] = {}
    for user, name in names:
        if not name:
            continue
        first = users.setdefault(os.path.realpath(name), user)
        if first != user and user.startswith("--"):
            raise ValueError(f"{first} and {user} name the same file, {name!r}; name another file.")


def save_model(save: Callable[[str], object], file: str) -> None:
    """Save a model; if that fails, save it in a new folder elsewhere, so that the training is not lost.

    Args:
        save: writes the model to the file of this name.
        file: where the model is to be saved.

    Raises:
        FileError: if the model could not be saved in ``file``; the message names the copy.
    """
    try:
        save(file)
    except (OSError, ValueError) as error:
        copy = _save_elsewhere(save, Path(file).name)
        if copy is None:
            raise
        raise FileError(f"{error} The model was saved as {copy} instead.") from error


def _save_elsewhere(save: Callable[[str], object], name: str) -> str | None:
    """Save a model in a new folder, and return the file; None if no place is writable."""
    for find in (Path.home, tempfile.gettempdir, lambda: MEMORY):
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # RuntimeError: the user has no home
            folder = tempfile.mkdtemp(prefix="scratch-", dir=find())
            try:
                save(os.path.join(folder, name))
            except (OSError, ValueError):
                os.rmdir(folder)
                raise
            return os.path.join(folder, name)
    return None

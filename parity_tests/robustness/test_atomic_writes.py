"""``scratch.files.replacing``: permissions, links, file names, temporary files, and writers at the same time."""

import contextlib
import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from parity_tests.robustness.saved_model import state, trained_model
from scratch import files
from scratch.callbacks import CSVLogger
from scratch.files import FileError, check_writable, replacing, write_bytes
from scratch.models import load_model

LEFTOVER = ".scratch-0123456789abcdef.part.npz"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", ["model.keras", "w.weights.h5", "w.npz"])
def test_saving_keeps_the_mode_and_follows_the_umask(name: str, tmp_path: Path) -> None:
    model, file = trained_model(), tmp_path / name
    save = model.save if name.endswith(".keras") else model.save_weights
    with umask(0o027):
        save(file)
    assert mode(file) == 0o640
    for permissions in (0o600, 0o666, 0o444 if os.geteuid() == 0 else 0o644):
        file.chmod(permissions)
        with umask(0o022):
            save(file)
        assert mode(file) == permissions


def test_the_temporary_file_is_never_more_readable_than_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(0o600)
    with umask(0), replacing(tmp_path / "secret") as part:
        assert mode(part) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the owner of a file")
def test_the_owner_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", 1234, 2345)
    (tmp_path / "file").chmod(0o664)
    write_bytes(tmp_path / "file", b"new")
    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 2345, 0o664)


def test_extended_attributes_are_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    try:
        os.setxattr(tmp_path / "file", "user.origin", b"experiment 7")
    except OSError:
        pytest.skip("the file system has no extended attributes")
    write_bytes(tmp_path / "file", b"new")
    assert os.getxattr(tmp_path / "file", "user.origin") == b"experiment 7"


def test_symbolic_links_are_followed(tmp_path: Path) -> None:
    """To an existing file in another folder, to a file that does not exist yet, and along a chain of links."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store/old.keras").write_bytes(b"old")
    for target in ("store/old.keras", "store/new.keras"):
        link, chain = tmp_path / "link.keras", tmp_path / "chain.keras"
        link.symlink_to(target)
        chain.symlink_to("link.keras")
        model = trained_model()
        model.save(chain)
        assert os.readlink(link) == target
        assert os.readlink(chain) == "link.keras"
        assert state(load_model(tmp_path / target)) == state(model)
        chain.unlink()
        link.unlink()
    assert sorted(os.listdir(tmp_path / "store")) == ["new.keras", "old.keras"]
    (tmp_path / "loop.keras").symlink_to("loop.keras")
    with pytest.raises(FileError, match=r"loop\.keras can't be written: Too many levels of symbolic links\.$"):
        write_bytes(tmp_path / "loop.keras", b"")


@pytest.mark.parametrize(
    "stem",
    [
        "n" * 235,
        "n" * 249,
        "é" * 124,
        "two\nlines\r\t\x1b[31m",
        os.fsdecode(b"not UTF-8: \xff\xfe"),
        " ",
        "[a-z]*?",
        "%s{0}~$HOME",
        "-",
        "",
    ],
    ids=repr,
)
def test_every_legal_name(stem: str, tmp_path: Path) -> None:
    model, file = trained_model(), tmp_path / f"{stem}.keras"
    for _ in range(2):
        model.save(file)
    assert state(load_model(file)) == state(model)
    model.save_weights(tmp_path / f"{stem[:-4]}.npz")
    log = CSVLogger(tmp_path / f"{stem}.csv")
    log.on_train_begin()
    for epoch in range(2):
        log.on_epoch_end(epoch, {"loss": 1.0})
    assert (tmp_path / f"{stem}.csv").read_bytes() == b"epoch,loss,val_loss\r\n0,1.0,NA\r\n1,1.0,NA\r\n"
    assert len(os.listdir(tmp_path)) == 3


def test_names_without_an_extension_or_with_a_long_one(tmp_path: Path) -> None:
    for name in ("x" * 255, "x." + "y" * 253, "x.", "...x"):
        write_bytes(tmp_path / name, b"new")
        assert (tmp_path / name).read_bytes() == b"new"
    with pytest.raises(FileError, match="can't be written: File name too long"):
        write_bytes(tmp_path / ("x" * 256), b"new")


@pytest.mark.parametrize("name", ["folder", "pipe", "device"])
def test_only_regular_files_are_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    kind = "a folder" if name == "folder" else "not a regular file"
    before = os.listdir(tmp_path)
    for check in (check_writable, lambda path: write_bytes(path, b"")):
        with pytest.raises(FileError, match=rf"{name} can't be written: it is {kind}"):
            check(tmp_path / name)
    with pytest.raises(FileError, match="it is"):
        CSVLogger(tmp_path / name).on_train_begin()
    assert os.listdir(tmp_path) == before
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_file_without_write_permission_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "final.keras").write_bytes(b"final")
    monkeypatch.setattr(os, "access", lambda path, how: how != os.W_OK)  # the tests may run as root, who may write all
    with pytest.raises(FileError, match=r"final\.keras can't be written: Permission denied; the previous file is kept"):
        trained_model().save(tmp_path / "final.keras")
    assert (tmp_path / "final.keras").read_bytes() == b"final"


def test_leftovers_are_removed_and_locked_temporary_files_kept(tmp_path: Path) -> None:
    """The lock may belong to this process or to another one: each open file has its own."""
    leftover, user_file, link = tmp_path / LEFTOVER, tmp_path / ".scratch-notes.part.txt", tmp_path / "kept"
    leftover.write_bytes(b"half")
    user_file.touch()
    link.touch()
    (tmp_path / LEFTOVER.replace("0", "f")).symlink_to("kept")  # is not followed
    with leftover.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        write_bytes(tmp_path / "file", b"new")
        assert leftover.exists()
    check_writable(tmp_path / "file")
    assert not leftover.exists()
    assert user_file.exists()
    assert link.exists()


def test_a_temporary_file_that_is_taken_for_a_leftover_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process finds the new file before it is locked: it holds the lock, or has removed the file already."""
    lock, moments = files._lock, iter(["locked", "removed", "untouched"])

    def lock_after_other_process(descriptor: int) -> bool:
        (part,) = tmp_path.glob(".scratch-*")
        moment = next(moments)
        if moment == "removed":
            files._remove_leftovers(tmp_path)
            assert not part.exists()
        if moment != "locked":
            return lock(descriptor)
        with part.open() as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            return lock(descriptor)

    monkeypatch.setattr(files, "_lock", lock_after_other_process)
    write_bytes(tmp_path / "file", b"new")
    assert next(moments, None) is None
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("why", ["no locks on this file system", "Windows"])
def test_without_locks_files_are_written_and_leftovers_stay(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    (tmp_path / LEFTOVER).touch()
    if why == "Windows":
        monkeypatch.setattr(files, "fcntl", None)
    else:
        monkeypatch.setattr(fcntl, "flock", flock)
    write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == [LEFTOVER, "file"]


def test_writers_of_one_file_at_the_same_time(tmp_path: Path) -> None:
    """Every write succeeds, and every reader finds one complete content."""
    file, contents = tmp_path / "file", [bytes([i]) * 100_000 for i in range(8)]
    errors: list[FileError] = []

    def write(content: bytes) -> None:
        for _ in range(25):
            try:
                write_bytes(file, content)
            except FileError as error:
                errors.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert not file.exists() or file.read_bytes() in contents
    assert not errors
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_while_writing_keeps_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with contextlib.suppress(KeyboardInterrupt), replacing(tmp_path / "file") as part:
        part.write_bytes(b"half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"

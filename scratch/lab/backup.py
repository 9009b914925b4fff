"""``Backup``: the state of the lab's training on the disk, so that a killed lab resumes with the same bits."""

from scratch.callbacks import BackupAndRestore


class Backup(BackupAndRestore):
    """``BackupAndRestore`` that takes at most 2 % of the time, and can save at other moments too.

    Args:
        folder: the folder of ``--resume``.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder, save_freq="auto", delete_checkpoint=False)

    def save(self) -> None:
        """Write a backup now, between two steps.

        Raises:
            FileError: if it cannot be written; the previous one is kept.
        """
        self._save()

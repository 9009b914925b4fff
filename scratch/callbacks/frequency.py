"""The ``save_freq`` argument of the callbacks that save: after each epoch, or after a number of batches."""

from scratch.checks import check_integer


class Frequency:
    """Decides when to save: after every epoch, or every ``save_freq`` batches, counted across epochs.

    Args:
        save_freq: ``'epoch'`` or a number of batches.

    Attributes:
        every: the number of batches, or None for ``'epoch'``.
        batches: batches since the last save.

    Raises:
        ValueError: if ``save_freq`` is neither.
    """

    def __init__(self, save_freq: str | int) -> None:
        if save_freq != "epoch" and isinstance(save_freq, str):
            raise ValueError(f"Unrecognized save_freq: {save_freq}. Expected save_freq are 'epoch' or integer values.")
        self.every = None if save_freq == "epoch" else check_integer("save_freq", save_freq)
        self.batches = 0

    def after_batch(self) -> bool:
        """Count a batch and return whether to save after it."""
        self.batches += 1
        if self.batches != self.every:
            return False
        self.batches = 0
        return True

    def after_epoch(self) -> bool:
        """Return whether to save after an epoch."""
        return self.every is None

"""How often a callback saves."""

from scratch.utils import check_integer


class Frequency:
    """After every epoch, or after every so many batches, counted across epochs.

    Args:
        save_freq: ``'epoch'``, or a number of batches.

    Raises:
        ValueError: if it is neither.
    """

    def __init__(self, save_freq: str | int) -> None:
        if save_freq != "epoch" and isinstance(save_freq, str):
            raise ValueError(f"save_freq must be 'epoch' or a number of batches; got {save_freq!r}.")
        self.every = None if save_freq == "epoch" else check_integer("save_freq", save_freq)
        self.batches = 0  # since the last save

    def after_batch(self) -> bool:
        """Count a batch; return whether to save after it."""
        self.batches += 1
        if self.batches != self.every:
            return False
        self.batches = 0
        return True

    def after_epoch(self) -> bool:
        """Whether to save after an epoch."""
        return self.every is None

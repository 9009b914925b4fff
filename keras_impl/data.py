"""Scratch's batches for Keras: the same samples in the same order."""

import keras
import numpy as np

from scratch.training import batches


class Batches(keras.utils.PyDataset):
    """A data set for ``fit`` that draws each epoch's order as scratch does.

    Args:
        x: samples (N, …).
        y: their targets.
        batch_size: samples in a step.
        rng: the generator that draws the orders; in the state of ``model.rng`` it draws what that model's ``fit`` would.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.x, self.y, self.batch_size, self.rng = x, y, batch_size, rng
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch."""
        self.rows = list(batches(len(self.x), self.batch_size, self.rng))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.x[self.rows[index]], self.y[self.rows[index]]

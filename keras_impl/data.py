"""Scratch's batches for Keras: the same samples in the same order."""

import keras
import numpy as np

from scratch.batches import batches


class Batches(keras.utils.PyDataset):
    """A data set for ``fit`` whose order each epoch draws as scratch's ``fit`` does.

    Keras looks into a data set before the first epoch and ends an epoch that never was, so its own hooks can't tell
    when one begins; the callback ``draw_orders`` does.

    Args:
        x: samples (N, …).
        y: their targets.
        batch_size: samples in a step.
        rng: draws the orders; in the state of a scratch model's ``rng`` it draws what that model's ``fit`` would.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.x, self.y, self.batch_size, self.rng = x, y, batch_size, rng
        self.rows = list(batches(len(x), batch_size))

    def draw_orders(self) -> keras.callbacks.Callback:
        """A callback for ``fit`` that draws a new order when an epoch begins."""

        def draw(epoch: int, logs: dict[str, float] | None) -> None:
            self.rows = list(batches(len(self.x), self.batch_size, self.rng))

        return keras.callbacks.LambdaCallback(on_epoch_begin=draw)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.x[self.rows[index]], self.y[self.rows[index]]

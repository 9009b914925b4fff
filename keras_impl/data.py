"""A Keras data set with scratch's batches: the same samples in the same order."""

import keras
import numpy as np

from scratch.batches import batches


class Batches(keras.utils.PyDataset):
    """A data set for Keras's ``fit`` that is shuffled as in scratch's ``fit``.

    The order is drawn by the callback ``draw_orders``.  Keras's own hook ``on_epoch_end`` cannot do it: Keras reads
    from a data set before the first epoch begins, and ends one epoch more than it trains.

    Args:
        x: samples (N, …).
        y: their targets (N, …).
        batch_size: samples per training step; the last step of an epoch may have fewer.
        rng: draws the order of each epoch.  In the state of a scratch model's ``rng`` it draws the orders of that
        model.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.x, self.y, self.batch_size, self.rng = x, y, batch_size, rng
        self.rows = list(batches(len(x), batch_size))

    def draw_orders(self) -> keras.callbacks.Callback:
        """Return a callback for ``fit`` that draws a new order when an epoch begins."""

        def draw(epoch: int, logs: dict[str, float] | None) -> None:
            self.rows = list(batches(len(self.x), self.batch_size, self.rng))

        return keras.callbacks.LambdaCallback(on_epoch_begin=draw)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.x[self.rows[index]], self.y[self.rows[index]]

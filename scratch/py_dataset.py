"""``PyDataset``: Keras's base class of data sets that compute their batches; any object with its methods will do."""

from typing import Any


class PyDataset:
    """Base class of a data set of batches, as ``keras.utils.PyDataset``; ``fit`` accepts it in place of arrays.

    A subclass defines ``__len__``, the number of batches, and ``__getitem__(i)``, which returns batch i, ``(x, y)`` or
    ``(x, y, sample_weight)``.  The arguments, which control Keras's worker processes, have no effect.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers, self.use_multiprocessing, self.max_queue_size = workers, use_multiprocessing, max_queue_size

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__, the number of batches.")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(i), which returns batch i as (x, y).")

    def on_epoch_begin(self) -> None:
        """Called before every epoch."""

    def on_epoch_end(self) -> None:
        """Called after every epoch."""


Sequence = PyDataset  # the name that Keras has kept from older versions

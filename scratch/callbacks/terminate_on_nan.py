"""``TerminateOnNaN``: end ``fit`` when the loss is not finite."""

import math

from scratch.callbacks.callback import Callback, Logs, may_skip_batches
from scratch.utils import print_now


class TerminateOnNaN(Callback):
    """Ends ``fit`` after the first batch whose loss is NaN or infinite.

    Source: ``keras/src/callbacks/terminate_on_nan.py``.

    Args:
        raise_error: whether to raise a ``RuntimeError``, which keeps backups, instead of ending ``fit``.

    Raises:
        RuntimeError: during ``fit``, with ``raise_error=True``.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    @may_skip_batches  # several steps in one call end before a batch whose loss is not finite
    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """End the training if the mean loss of the epoch is not finite."""
        loss = (logs or {}).get("loss", 0.0)
        if math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. Terminating training immediately."
            )
        print_now(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True

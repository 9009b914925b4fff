"""One process of a distributed training of the article's network; it records the weights after every step.

Usage: ``KERAS_BACKEND=jax python -m parity_tests.robustness.distribution_worker FOLDER DEVICES PROCESSES PROCESS_ID
COORDINATOR``.  It reads ``FOLDER/digits.npz`` (x, labels) and writes ``FOLDER/PROCESS_ID.npz``.
"""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from parity_tests.reference.cases import ARTICLE

EPOCHS, SEED = 4, 5


class Recorder(keras.callbacks.Callback):
    """Records the initial weights, the weights after each step, and the loss and the accuracy of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, list[Any]] = {"loss": [], "accuracy": [], "weights": []}

    def record_weights(self) -> None:
        self.records["weights"].append(np.concatenate([W.ravel() for W in self.model.get_weights()]))

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.record_weights()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        for name in ("loss", "accuracy"):
            self.records[name].append(np.float32(logs[name]))
        self.model.jax_state_sync()  # updates the model's variables
        self.record_weights()
        self.model.reset_metrics()


def main(folder: str, devices: str, process_count: str, process_id: str, coordinator: str) -> int:
    """Train, and return the exit status."""
    from keras_impl import distributed, processes  # not at the top: the tests import this module without JAX, too

    options = Namespace(
        devices=int(devices), processes=int(process_count), process_id=int(process_id), coordinator=coordinator, seed=0
    )

    def train() -> int:
        with np.load(Path(folder) / "digits.npz") as digits:
            data = digits["x"], np.eye(10, dtype="float32")[digits["labels"]]
        model, recorder, few = ARTICLE.keras_model(), Recorder(), (data[0][:7], data[1][:7])
        rng = np.random.default_rng(SEED)
        history = distributed.fit(model, data, few, ARTICLE.batch, rng, [recorder], epochs=EPOCHS, verbose=0)
        records, validation = recorder.records, {name: history.history[name] for name in ("val_loss", "val_accuracy")}
        if options.process_id > 0:
            records["weights"] = records["weights"][-1:]  # those of all steps are 90 MB
        final_weights = np.concatenate([W.ravel() for W in model.get_weights()])
        np.savez(Path(folder) / f"{process_id}.npz", **records, **validation, final_weights=final_weights)
        return 0

    return processes.run(options, train)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

r"""One process of a distributed training of the article's network, which keeps the weights after every step.

    KERAS_BACKEND=jax python -m parity_tests.robustness.distribution_worker \
        FOLDER DEVICES PROCESSES PROCESS_ID COORDINATOR

reads ``FOLDER/digits.npz`` (x, labels) and writes ``FOLDER/K.npz``.
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
    """Keeps the weights in the beginning and after each step, and each step's own loss and accuracy."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, list[Any]] = {"loss": [], "accuracy": [], "weights": []}

    def keep_weights(self) -> None:
        self.kept["weights"].append(np.concatenate([W.ravel() for W in self.model.get_weights()]))

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.keep_weights()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        for name in ("loss", "accuracy"):
            self.kept[name].append(np.float32(logs[name]))
        self.model.jax_state_sync()  # so that the model's variables hold what the step computed
        self.keep_weights()
        self.model.reset_metrics()


def main(folder: str, devices: str, processes: str, process_id: str, coordinator: str) -> int:
    from keras_impl import distributed  # not above: the tests import this file, also where there is no JAX

    options = Namespace(
        devices=int(devices), processes=int(processes), process_id=int(process_id), coordinator=coordinator, seed=0
    )

    def train() -> int:
        with np.load(Path(folder) / "digits.npz") as digits:
            data = digits["x"], np.eye(10, dtype="float32")[digits["labels"]]
        model, recorder, few = ARTICLE.keras_model(), Recorder(), (data[0][:7], data[1][:7])
        rng = np.random.default_rng(SEED)
        history = distributed.fit(model, data, few, ARTICLE.batch, rng, [recorder], epochs=EPOCHS, verbose=0)
        kept, validation = recorder.kept, {name: history.history[name] for name in ("val_loss", "val_accuracy")}
        if options.process_id > 0:
            kept["weights"] = kept["weights"][-1:]  # all of them are 90 MB
        given_back = np.concatenate([W.ravel() for W in model.get_weights()])
        np.savez(Path(folder) / f"{process_id}.npz", **kept, **validation, given_back=given_back)
        return 0

    return distributed.work(options, train)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

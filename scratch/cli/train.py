"""``python -m scratch``: train the article's network on MNIST."""

import argparse
from pathlib import Path

from scratch.article import Samples, build_model, compile_model, prepare_bytes
from scratch.callbacks import BackupAndRestore, Callback, CSVLogger
from scratch.callbacks.callback import Logs
from scratch.cli.options import file_name, training_parser
from scratch.cli.program import run_program
from scratch.files import named
from scratch.models import Sequential
from scratch.ops import BACKENDS
from scratch.saving.archive import to_entries
from scratch.utils import set_random_seed

DESCRIPTION = """\
Train the article's network, written from scratch, on MNIST's handwritten digits.

commands:
  train        train the network and print its test accuracy (the default)
  evaluate     print the test accuracy of a saved model
  predict      classify photos or scans of digits with a saved model
  lab          open a page that shows every number of the network
  experiments  do the experiments of the book's chapter 6: a table and a picture for each

For the options of a command: python -m scratch COMMAND --help"""


class EpochCounter(Callback):
    """Counts the epochs of this run; the history of a resumed run has the earlier ones too."""

    count = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Count one more epoch."""
        self.count += 1


class ScratchProgram:
    """The training program on scratch; see ``cli.program.Program``."""

    prepare = staticmethod(prepare_bytes)

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def make_model(self, inputs: int, classes: int) -> Sequential:
        """Return the compiled model."""
        options = self.options
        set_random_seed(options.seed)
        model = build_model(options.hidden, inputs, classes, options.backend)
        compile_model(model, options.learning_rate, options.momentum, run_eagerly=options.eager)
        return model

    def fit(self, model: Sequential, train: Samples, test: Samples) -> int:
        """Train the model, and return the number of epochs completed in this run."""
        options, counter = self.options, EpochCounter()
        if options.save:
            with named(Path(options.save)):
                to_entries(model)  # raises now what ``save`` would raise after the training
        callbacks: list[Callback] = [counter]
        if options.history:
            callbacks.append(CSVLogger(options.history))
        if options.resume:
            names = ("hidden", "batch_size", "learning_rate", "momentum", "seed", "backend")
            settings = {f"--{name.replace('_', '-')}": getattr(options, name) for name in names}
            callbacks.append(BackupAndRestore(options.resume, "auto", delete_checkpoint=False, settings=settings))
        model.fit(
            *train,
            batch_size=options.batch_size,
            epochs=options.epochs,
            verbose=0 if options.quiet else "auto",
            callbacks=callbacks,
            validation_data=test,
        )
        return counter.count

    def save(self, model: Sequential, file: str) -> None:
        """Write the model to a ``.keras`` file, atomically."""
        model.save(file)


def run(words: list[str]) -> int:
    """Train, and delete the backups once every output file is written; return the exit status."""
    parser = training_parser("scratch", DESCRIPTION, list(BACKENDS), "numba")
    meaning = "keep backups in this folder, and resume from the last one after an interruption"
    parser.add_argument("--resume", metavar="FOLDER", type=file_name, help=meaning)
    meaning = "run layer by layer, so that a print or a breakpoint in layers.py is reached for every batch"
    parser.add_argument("--eager", action="store_true", help=meaning)
    options = parser.parse_args(words)
    status = run_program(ScratchProgram(options))
    if options.resume and status == 0:
        BackupAndRestore(options.resume).delete()
    elif options.resume:
        print("To resume from the last backup, run the same command again.")
    return status

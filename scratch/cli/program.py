"""The training program that ``python -m scratch`` and ``python -m keras_impl`` share, from the data to the result."""

import argparse
import sys
import time
from typing import Any, Protocol

from scratch.article import Samples
from scratch.cli.outputs import check_output_files, save_model
from scratch.cli.terminal import format_count, format_result
from scratch.datasets import mnist
from scratch.utils import Array, printable

SAMPLE_NOTE = (
    "expect a test accuracy of about 0.85 after 10 epochs and 0.93 after 150; "
    "for all of MNIST, connect to a network or pass --data"
)


class Program(Protocol):
    """What differs between scratch and Keras: samples, model and training.

    Attributes:
        options: the parsed command line; see ``options.training_parser``.
    """

    options: argparse.Namespace

    def prepare(self, images: Array, labels: Array, classes: int) -> Samples:
        """Return inputs (N, height·width) and one-hot targets (N, classes)."""

    def make_model(self, inputs: int, classes: int) -> Any:
        """Return the compiled model: a ``Sequential`` of scratch or of Keras, which have the same methods."""

    def fit(self, model: Any, train: Samples, test: Samples) -> int:
        """Train the model, and return the number of epochs completed in this run."""

    def save(self, model: Any, file: str) -> None:
        """Write the model to a ``.keras`` file, atomically."""


def run_program(program: Program) -> int:
    """Load the data, train, save, evaluate and plot; return the exit status."""
    options = program.options
    check_output_files(options)
    digits = mnist.load(options.data)
    if not options.quiet:
        print(f"Data: {digits.source}{f'; {SAMPLE_NOTE}' if digits.source == mnist.SAMPLE_SOURCE else ''}.")
    classes = int(max(digits.train[1].max(), digits.test[1].max())) + 1
    train, test = program.prepare(*digits.train, classes), program.prepare(*digits.test, classes)
    images, labels = digits.test
    del digits  # frees the training images, which Keras's program has copied
    model = program.make_model(train[0].shape[1], classes)
    if not options.quiet:
        model.summary()
    start, compiled_before = time.perf_counter(), _seconds_of_compilation()
    try:
        epochs = program.fit(model, train, test)
    except KeyboardInterrupt:
        done = format_count(len(model.history.epoch), "complete epoch")
        print(f"\nInterrupted after {done}. {_result(model, test)}.")
        return 130
    seconds, compiling = time.perf_counter() - start, _seconds_of_compilation() - compiled_before
    try:
        if options.save:
            save_model(lambda file: program.save(model, file), options.save)
            _report_file(options, "Model", options.save)
    finally:  # the result is printed even if the model cannot be saved; nor does saving depend on printing
        print(f"{_result(model, test)}, {_duration(seconds, compiling, epochs, len(model.history.epoch))}.")
    if options.plot:
        from scratch.plots import plot_training

        probabilities = model.predict(test[0], batch_size=1000, verbose=0)
        plot_training(options.plot, model.history, images, labels, probabilities, model.get_weights()[0])
        _report_file(options, "Figure", options.plot)
    return 0


def _result(model: Any, test: Samples) -> str:
    return format_result(model.evaluate(*test, batch_size=1000, verbose=0, return_dict=True))


def _seconds_of_compilation() -> float:
    """Return how long this process has compiled kernels so far."""
    jit = sys.modules.get("scratch.kernels.jit")  # imported by models that use compiled kernels
    return jit.compile_time.seconds if jit else 0.0


def _duration(seconds: float, compiling: float, epochs: int, all_epochs: int) -> str:
    """Return the time of this run; a resumed one has run fewer epochs than its history lists."""
    in_all = f" ({all_epochs} in all)" if all_epochs != epochs else ""
    note = f", including {compiling:.1f} s of compilation" if compiling else ""
    return f"{seconds:.1f} s for {format_count(epochs, 'epoch')}{in_all}{note}"


def _report_file(options: argparse.Namespace, kind: str, name: str) -> None:
    if not options.quiet:
        print(f"{kind}: {printable(name)}")

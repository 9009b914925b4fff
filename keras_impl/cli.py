"""The command ``python -m keras_impl``: train the article's network in Keras.

It has the training options of ``python -m scratch`` except ``--resume`` and ``--eager``, starts from the same weights,
trains on the same batches and prints the same lines, up to rounding.  With ``--devices`` or ``--processes`` it trains
on several devices and hosts.
"""

import argparse
import os
import sys
from typing import Any

from keras_impl import missing
from scratch import article
from scratch.article import Samples
from scratch.checks import check_integer
from scratch.cli.experiments import run_experiments
from scratch.cli.options import training_parser
from scratch.cli.program import run_program
from scratch.cli.terminal import run_command
from scratch.files import replacing
from scratch.utils import set_random_seed

FRAMEWORKS = ["tensorflow", "jax", "torch"]


class KerasProgram:
    """The training program in Keras; see ``scratch.cli.program.Program``."""

    prepare = staticmethod(article.prepare_floats)

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def make_model(self, inputs: int, classes: int) -> Any:
        """Return the compiled Keras model, with the initial weights that scratch draws from the seed."""
        from keras_impl import build_model, copy_weights
        from keras_impl.convert import compile_arguments

        options = self.options
        set_random_seed(options.seed)
        source = article.build_model(options.hidden, inputs, classes, "numpy")
        self.rng = source.rng
        model = build_model(tuple(options.hidden), inputs, classes)
        copy_weights(source, model)
        article.compile_model(source, options.learning_rate, options.momentum)
        model.compile(**compile_arguments(source))
        return model

    def fit(self, model: Any, train: Samples, test: Samples) -> int:
        """Train in the order of samples that scratch draws from the seed; return the number of epochs."""
        import keras

        from keras_impl.data import Batches
        from scratch.callbacks.progress import interactive

        options = self.options
        check_integer("epochs", options.epochs)
        check_integer("batch_size", options.batch_size)
        batch_size = options.batch_size
        verbose = 0 if options.quiet else 1 if interactive() else 2
        log = [keras.callbacks.CSVLogger(options.history)] if options.history else []
        if is_distributed(options):
            from keras_impl import distributed, processes

            if options.processes > 1:
                processes.check_same_settings(options, train, test)
            history = distributed.fit(
                model, train, test, batch_size, self.rng, log, epochs=options.epochs, verbose=verbose
            )
            return len(history.epoch)
        data = Batches(*train, batch_size, self.rng)
        history = model.fit(
            data,
            epochs=options.epochs,
            shuffle=False,
            verbose=verbose,
            callbacks=[data.draw_orders(), *log],
            validation_data=test,
            validation_batch_size=batch_size,
        )
        return len(history.epoch)

    def save(self, model: Any, file: str) -> None:
        """Write the model to a ``.keras`` file, atomically."""
        with replacing(file) as part:
            model.save(part)


def add_distribution_options(command_line: argparse.ArgumentParser) -> None:
    """Add the options of a training on several devices and hosts."""
    group = command_line.add_argument_group("several devices and hosts (they need, and choose, --backend jax)")
    group.add_argument("--devices", type=int, default=1, metavar="N", help="devices of each process (default: 1)")
    group.add_argument("--processes", type=int, default=1, metavar="N", help="number of processes (default: 1)")
    group.add_argument("--process-id", type=int, metavar="K", help="number of this process, from 0; process 0 prints")
    group.add_argument("--coordinator", metavar="HOST:PORT", help="address of process 0, the same for all processes")


def is_distributed(options: argparse.Namespace) -> bool:
    """Return whether the options ask for several devices or processes."""
    return options.devices * options.processes > 1


def check_distribution_options(options: argparse.Namespace) -> None:
    """Check that the options of a distributed training fit together.

    Raises:
        ValueError: if they do not; the message names the option.
    """
    check_integer("devices", options.devices)
    check_integer("processes", options.processes)
    if is_distributed(options) and options.backend != "jax":
        raise ValueError(f"--devices and --processes need --backend jax; got {options.backend!r}.")
    if options.processes == 1:
        for name in ("process_id", "coordinator"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name.replace('_', '-')} needs several processes; add --processes.")
        return
    if options.process_id is None or not 0 <= options.process_id < options.processes:
        raise ValueError(
            f"--process-id must be 0 to {options.processes - 1}, different in each process; got {options.process_id}."
        )
    host, _, port = (options.coordinator or "").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"--coordinator must be the HOST:PORT of process 0; got {options.coordinator!r}.")


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options, with the framework that they, KERAS_BACKEND or the default choose."""
    framework = os.environ.get("KERAS_BACKEND", FRAMEWORKS[0])
    description = "Train the article's network in Keras, with scratch's initial weights and order of samples."
    command_line = training_parser("keras_impl", description, FRAMEWORKS, framework)
    add_distribution_options(command_line)
    command_line.set_defaults(backend=None)
    options = command_line.parse_args(arguments)
    if options.backend is None:
        options.backend = "jax" if is_distributed(options) and "KERAS_BACKEND" not in os.environ else framework
    if options.backend not in FRAMEWORKS:  # argparse does not check a default
        command_line.error(f"KERAS_BACKEND must be one of {', '.join(FRAMEWORKS)}; got {options.backend!r}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Train, or do the book's experiments, and return the exit status: 0, 2 for invalid input, or 130 after Ctrl-C."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["experiments"]:
        return run_command("keras_impl experiments", lambda: _run_experiments(words[1:]))
    return run_command("keras_impl", lambda: _run(parse_options(words)))


def _run_experiments(words: list[str]) -> int:
    """Do the experiments of ``python -m scratch experiments`` in scratch and in Keras; return the exit status."""
    import scratch

    note = "KERAS_BACKEND chooses the framework that Keras runs on: tensorflow (the default), jax or torch."
    return run_experiments("keras_impl", note, {"scratch": lambda: scratch, "Keras": import_keras}, words)


def import_keras() -> Any:
    """Return the package ``keras``.

    Raises:
        ImportError: if Keras or its framework is not installed; the message names the command that installs it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # suppresses TensorFlow's messages about the processor
    try:
        import keras
    except ModuleNotFoundError as error:
        raise ImportError(missing(error)) from None
    return keras


def _run(options: argparse.Namespace) -> int:
    check_distribution_options(options)
    os.environ["KERAS_BACKEND"] = options.backend
    import_keras()
    program = KerasProgram(options)
    if not is_distributed(options):
        return run_program(program)
    from keras_impl import processes

    return processes.run(options, lambda: run_program(program))

"""``python -m keras_impl``: the same program in Keras, from the same weights, on the same batches.

With the same options it prints the lines of ``python -m scratch``, up to rounding.  With ``--devices`` or
``--processes`` it trains on several devices and hosts: see ``distributed``.
"""

import argparse
import os
import sys
from typing import Any

from keras_impl import missing
from scratch import article
from scratch.article import Samples
from scratch.cli.options import training_parser
from scratch.cli.program import run_program
from scratch.cli.terminal import run_command
from scratch.optimizers import SGD
from scratch.utils import set_random_seed

FRAMEWORKS = ["tensorflow", "jax", "torch"]


class KerasProgram:
    """The training program in Keras; see ``scratch.cli.program.Program``."""

    prepare = staticmethod(article.prepare_floats)

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def make_model(self, inputs: int, classes: int) -> Any:
        """Return the compiled Keras model, with the initial weights that scratch draws from the seed."""
        import keras

        from keras_impl import build_model, copy_weights
        from keras_impl.convert import keras_optimizer

        options = self.options
        set_random_seed(options.seed)
        source = article.build_model(options.hidden, inputs, classes, "numpy")
        self.rng = source.rng
        model = build_model(tuple(options.hidden), inputs, classes)
        copy_weights(source, model)
        optimizer = keras_optimizer(SGD(options.learning_rate, options.momentum))
        model.compile(optimizer, keras.losses.CategoricalCrossentropy(), metrics=["accuracy"])
        return model

    def fit(self, model: Any, train: Samples, test: Samples) -> int:
        """Train in the order of samples that scratch draws from the seed; return the number of epochs."""
        import keras

        from keras_impl.data import Batches
        from scratch.callbacks.progress import interactive
        from scratch.utils import check_integer

        options = self.options
        check_integer("epochs", options.epochs)
        check_integer("batch_size", options.batch_size)
        batch_size = options.batch_size
        verbose = 0 if options.quiet else 1 if interactive() else 2
        log = [keras.callbacks.CSVLogger(options.history)] if options.history else []
        if several(options):
            from keras_impl import distributed

            if options.processes > 1:
                distributed.agree(options, train, test)
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


def add_several(command_line: argparse.ArgumentParser) -> None:
    """The options of a training on several devices and hosts."""
    group = command_line.add_argument_group("several devices and hosts, which need --backend jax and choose it")
    group.add_argument("--devices", type=int, default=1, metavar="N", help="of each process (default: 1)")
    group.add_argument("--processes", type=int, default=1, metavar="N", help="in all (default: 1)")
    group.add_argument("--process-id", type=int, metavar="K", help="of this one, from 0; process 0 prints")
    group.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 listens; the same for all")


def several(options: argparse.Namespace) -> bool:
    """Whether that is asked for."""
    return options.devices * options.processes > 1


def check_several(options: argparse.Namespace) -> None:
    """Refuse options that don't fit together.

    Raises:
        ValueError: naming one that doesn't.
    """
    from scratch.utils import check_integer

    check_integer("devices", options.devices)
    check_integer("processes", options.processes)
    if several(options) and options.backend != "jax":
        raise ValueError(f"--devices and --processes need --backend jax; it is {options.backend!r}.")
    if options.processes == 1:
        for name in ("process_id", "coordinator"):
            if getattr(options, name) is not None:
                raise ValueError(
                    f"--{name.replace('_', '-')} is for several processes; give their number: --processes."
                )
        return
    if options.process_id is None or not 0 <= options.process_id < options.processes:
        raise ValueError(
            f"--process-id must be 0 to {options.processes - 1}, another one on each host; got {options.process_id}."
        )
    host, _, port = (options.coordinator or "").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"--coordinator must be HOST:PORT, where process 0 listens; got {options.coordinator!r}.")


def main(arguments: list[str] | None = None) -> int:
    """Train, and return the exit status: 0, or 2 for input that can't be used, or 130 after Ctrl-C."""
    framework = os.environ.get("KERAS_BACKEND", FRAMEWORKS[0])
    description = "Train the article's network, built with Keras, from scratch's weights and in scratch's order."
    command_line = training_parser("keras_impl", description, FRAMEWORKS, framework)
    add_several(command_line)
    command_line.set_defaults(backend=None)
    options = command_line.parse_args(arguments)
    if options.backend is None:
        options.backend = "jax" if several(options) and "KERAS_BACKEND" not in os.environ else framework
    if options.backend not in FRAMEWORKS:  # argparse does not look at a default
        command_line.error(f"KERAS_BACKEND must be one of {', '.join(FRAMEWORKS)}; it is {options.backend!r}")
    os.environ["KERAS_BACKEND"] = options.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's notes about the processor
    try:
        import keras  # noqa: F401
    except ModuleNotFoundError as error:
        print(f"python -m keras_impl: {missing(error)}", file=sys.stderr)
        return 2

    def work() -> int:
        check_several(options)
        if not several(options):
            return run_program(KerasProgram(options))
        from keras_impl import distributed

        return distributed.work(options, lambda: run_program(KerasProgram(options)))

    return run_command("keras_impl", work)

"""``python -m scratch``: the article's program, from the digits to the test accuracy."""

import argparse
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scratch.callbacks import BackupAndRestore, Callback, CSVLogger, History
from scratch.commands import COMMANDS
from scratch.datasets import mnist
from scratch.files import remove_leftovers
from scratch.layers import Activation, Dense
from scratch.models import Sequential
from scratch.ops import BACKENDS
from scratch.optimizers import SGD
from scratch.pixels import Pixels
from scratch.utils import Array, set_random_seed, to_categorical

PICTURES = (".png", ".pdf", ".svg", ".jpg")
Samples = tuple[Array | Pixels, Array]


def build_model(hidden: list[int], inputs: int = 784, classes: int = 10, backend: str = "numba") -> Sequential:
    """The article's network: Dense and ReLU for each hidden layer, then Dense and softmax."""
    model = Sequential(backend=backend)
    for i, units in enumerate(hidden):
        model.add(Dense(units, input_shape=(inputs,) if i == 0 else None))
        model.add(Activation("relu"))
    model.add(Dense(classes, input_shape=None if hidden else (inputs,)))
    model.add(Activation("softmax"))
    return model


def prepare(images: Array, labels: Array, classes: int) -> Samples:
    """Rows of numbers from 0 to 1 for the images, one-hot rows for the labels: the article's, in float32."""
    pixels, targets = prepare_bytes(images, labels, classes)
    return np.asarray(pixels), targets


def prepare_bytes(images: Array, labels: Array, classes: int) -> Samples:
    """The same numbers, of which the images stay bytes until they are computed with."""
    return Pixels(images.reshape(len(images), -1)), to_categorical(labels, classes)


def make(options: argparse.Namespace, inputs: int, classes: int) -> Sequential:
    """The compiled model that the options ask for."""
    set_random_seed(options.seed)
    model = build_model(options.hidden, inputs, classes, options.backend)
    model.compile(SGD(options.learning_rate, options.momentum), "categorical_crossentropy", ["accuracy"])
    return model


def fit(model: Sequential, options: argparse.Namespace, train: Samples, test: Samples) -> History:
    """Train as the options say."""
    callbacks: list[Callback] = [CSVLogger(options.history)] if options.history else []
    if options.resume:
        names = ("hidden", "batch_size", "learning_rate", "momentum", "seed", "backend")
        settings = {f"--{name.replace('_', '-')}": getattr(options, name) for name in names}
        callbacks.append(BackupAndRestore(options.resume, "auto", delete_checkpoint=False, settings=settings))
    return model.fit(
        *train,
        batch_size=options.batch_size,
        epochs=options.epochs,
        verbose=0 if options.quiet else "auto",
        callbacks=callbacks,
        validation_data=test,
    )


def main(arguments: list[str] | None = None) -> int:
    """Train, evaluate or predict; return the exit status: 0, or 2 for input that can't be used, or 130 after Ctrl-C."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in COMMANDS:
        return guarded(f"scratch {words[0]}", lambda: COMMANDS[words[0]](words[1:]))
    description = "Train the article's network, written from scratch, on MNIST's handwritten digits."
    command_line = parser("scratch", description, list(BACKENDS), "numba")
    command_line.add_argument("--resume", metavar="FOLDER", help="if killed, go on from the backups kept there")
    command_line.epilog = "Saved models: python -m scratch evaluate --help, python -m scratch predict --help."
    options = command_line.parse_args(words)
    return guarded("scratch", lambda: train(options))


def train(options: argparse.Namespace) -> int:
    """Train; the backups go when all that the options ask for is there."""
    status = run(options, prepare_bytes, make, fit)
    if options.resume and status == 0:
        BackupAndRestore(options.resume).delete()
    elif options.resume:
        print("The same command goes on from the last backup.")
    return status


def guarded(program: str, work: Callable[[], int]) -> int:
    """Do the work; what goes wrong becomes one sentence and an exit status."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        with warnings.catch_warnings():
            # A sentence is enough; the line of our code that it came from helps nobody here.
            warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)
            return work()
    except (ValueError, OSError, ImportError) as error:
        print(f"python -m {program}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


def run(
    options: argparse.Namespace,
    prepare: Callable[[Array, Array, int], Samples],
    make: Callable[[argparse.Namespace, int, int], Any],
    fit: Callable[[Any, argparse.Namespace, Samples, Samples], Any],
) -> int:
    """From the digits to the test accuracy, with a model of scratch or of Keras: they have the same methods."""
    _check_files(options)
    if options.save:
        remove_leftovers(options.save)
    say: Callable[[str], None] = (lambda _: None) if options.quiet else print
    digits = mnist.load(options.data)
    say(f"Data: {digits.source}.")
    classes = int(max(digits.train[1].max(), digits.test[1].max())) + 1
    train, test = prepare(*digits.train, classes), prepare(*digits.test, classes)
    images, labels = digits.test
    del digits  # the training images as bytes, which are not needed any more
    model = make(options, train[0].shape[1], classes)
    if not options.quiet:
        model.summary()
    start = time.perf_counter()
    try:
        history = fit(model, options, train, test)
    except KeyboardInterrupt:
        print(f"\nInterrupted after {len(model.history.epoch)} whole epochs; {_result(model, test)}.")
        return 130
    seconds = time.perf_counter() - start
    if options.save:
        model.save(options.save)
        say(f"Model: {options.save}")
    result = _result(model, test)
    compiler = sys.modules.get("scratch.ops.compiler")  # there if a model computes with compiled kernels
    compiling = compiler.compile_time.seconds if compiler else 0.0
    note = f", {compiling:.1f} s of them compiling" if compiling else ""
    print(f"{result[0].upper()}{result[1:]}, {seconds:.1f} s for {len(history.epoch)} epochs{note}.")
    if options.plot:
        from scratch.plots import plot_training

        probabilities = model.predict(test[0], batch_size=1000, verbose=0)
        plot_training(options.plot, history, images, labels, probabilities, model.get_weights()[0])
        say(f"Figure: {options.plot}")
    return 0


def _result(model: Any, test: Samples) -> str:
    values = model.evaluate(*test, batch_size=1000, verbose=0, return_dict=True)
    return f"test loss {values['loss']:.4f}, test accuracy {values['accuracy']:.4f}"


def _check_files(options: argparse.Namespace) -> None:
    """Say now, and not after the training, that a file can't be written."""
    for name in filter(None, (options.plot, options.history, options.save)):
        file = Path(name)
        place = file if file.exists() and name != options.save else file.parent  # a saved model is put in its place
        if file.is_dir() or not file.parent.is_dir() or not os.access(place, os.W_OK):
            raise OSError(f"{file} can't be written; name a file in a folder that exists and is yours.")
    names = [Path(name).resolve() for name in (options.plot, options.history, options.save) if name]
    if len(set(names)) < len(names):
        raise ValueError("--plot, --history and --save must name files of their own; two are the same.")
    if options.plot and Path(options.plot).suffix.lower() not in PICTURES:
        raise ValueError(f"--plot draws {', '.join(PICTURES)}; got {options.plot!r}.")
    if options.save and not options.save.endswith(".keras"):
        raise ValueError(f"--save writes .keras files; got {options.save!r}.")


def _units(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise argparse.ArgumentTypeError(f"widths such as 256,100 expected; got {text!r}") from None


def parser(program: str, description: str, backends: list[str], backend: str) -> argparse.ArgumentParser:
    """The command line, which scratch and its Keras twin share."""
    made = argparse.ArgumentParser(prog=f"python -m {program}", description=description)

    def add(option: str, default: Any, meaning: str, **how: Any) -> None:
        made.add_argument(option, default=default, help=f"{meaning} (default: {default})", **how)

    made.add_argument("--data", metavar="PATH", help="mnist.npz or a folder with the IDX files (default: found)")
    add("--epochs", 10, "rounds through all training samples", type=int)
    add("--batch-size", 100, "samples in a step", type=int)
    add("--learning-rate", 0.01, "size of a step", type=float)
    add("--momentum", 0.0, "of SGD, 0 to 1", type=float)
    add("--hidden", "256,100", "units of the hidden layers", type=_units)
    add("--seed", 0, "of weights and order: the same seed, the same bits", type=int)
    add("--backend", backend, "what computes", choices=backends)
    made.add_argument("--plot", metavar="FILE.png", help="draw the result")
    made.add_argument("--history", metavar="FILE.csv", help="write a line an epoch")
    made.add_argument("--save", metavar="FILE.keras", help="save the trained model")
    made.add_argument("--quiet", action="store_true", help="print the result only")
    return made


if __name__ == "__main__":
    sys.exit(main())

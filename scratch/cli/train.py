"""``python -m scratch``: train the article's network, from the digits to the test accuracy."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scratch.article import Samples, build_model, prepare_bytes
from scratch.callbacks import BackupAndRestore, Callback, CSVLogger, History
from scratch.datasets import mnist
from scratch.files import remove_leftovers
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.utils import Array, set_random_seed

PICTURES = (".png", ".pdf", ".svg", ".jpg")


def make(options: argparse.Namespace, inputs: int, classes: int) -> Sequential:
    """The compiled model that the options ask for."""
    set_random_seed(options.seed)
    model = build_model(options.hidden, inputs, classes, options.backend)
    model.compile(SGD(options.learning_rate, options.momentum), "categorical_crossentropy", metrics=["accuracy"])
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


def train(options: argparse.Namespace) -> int:
    """Train; the backups go when all that the options ask for is there."""
    status = run(options, prepare_bytes, make, fit)
    if options.resume and status == 0:
        BackupAndRestore(options.resume).delete()
    elif options.resume:
        print("The same command goes on from the last backup.")
    return status


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
    compiler = sys.modules.get("scratch.kernels.jit")  # there if a model computes with compiled kernels
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

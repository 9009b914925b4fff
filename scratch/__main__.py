"""``python -m scratch``: the article's program, from the digits to the test accuracy."""

import argparse
import logging
import os
import sys
import time
from pathlib import Path

import numpy as np

from scratch.callbacks import CSVLogger
from scratch.datasets import mnist
from scratch.layers import Activation, Dense
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.utils import Array, set_random_seed, to_categorical

PICTURES = (".png", ".pdf", ".svg", ".jpg")


def build_model(hidden: list[int], inputs: int = 784, classes: int = 10, backend: str = "numba") -> Sequential:
    """The article's network: Dense and ReLU for each hidden layer, then Dense and softmax."""
    model = Sequential(backend=backend)
    for i, units in enumerate(hidden):
        model.add(Dense(units, input_shape=(inputs,) if i == 0 else None))
        model.add(Activation("relu"))
    model.add(Dense(classes, input_shape=None if hidden else (inputs,)))
    model.add(Activation("softmax"))
    return model


def prepare(images: Array, labels: Array, classes: int) -> tuple[Array, Array]:
    """Rows of numbers from 0 to 1 for the images, one-hot rows for the labels: the article's, in float32."""
    return images.reshape(len(images), -1) / np.float32(255), to_categorical(labels, classes)


def main(arguments: list[str] | None = None) -> int:
    """Train, and return the exit status: 0, or 2 for input that can't be used, or 130 after Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        return _run(options)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    _check_files(options)
    say = (lambda *_: None) if options.quiet else print
    digits = mnist.load(options.data)
    say(f"Data: {digits.source}.")
    classes = int(max(digits.train[1].max(), digits.test[1].max())) + 1
    x_train, y_train = prepare(*digits.train, classes)
    test = prepare(*digits.test, classes)

    set_random_seed(options.seed)
    model = build_model(options.hidden, x_train.shape[1], classes, options.backend)
    model.compile(SGD(options.learning_rate, options.momentum), "categorical_crossentropy", ["accuracy"])
    if not options.quiet:
        model.summary()
    start = time.perf_counter()
    try:
        history = model.fit(
            x_train,
            y_train,
            options.batch_size,
            options.epochs,
            verbose=0 if options.quiet else "auto",
            callbacks=[CSVLogger(options.history)] if options.history else [],
            validation_data=test,
        )
    except KeyboardInterrupt:
        print(f"\nInterrupted after {len(model.history.epoch)} whole epochs; {_result(model, *test)}.")
        return 130
    seconds = time.perf_counter() - start
    result = _result(model, *test)
    print(f"{result[0].upper()}{result[1:]}, {seconds:.1f} s for {len(history.epoch)} epochs.")
    if options.plot:
        from scratch.plots import plot_training

        probabilities = model.predict(test[0], batch_size=1000, verbose=0)
        plot_training(options.plot, history, *digits.test, probabilities, model.get_weights()[0])
        say(f"Figure: {options.plot}")
    return 0


def _result(model: Sequential, x: Array, y: Array) -> str:
    values = model.evaluate(x, y, batch_size=1000, verbose=0, return_dict=True)
    assert isinstance(values, dict)
    return f"test loss {values['loss']:.4f}, test accuracy {values['accuracy']:.4f}"


def _check_files(options: argparse.Namespace) -> None:
    """Say now, and not after the training, that a file can't be written."""
    for name in filter(None, (options.plot, options.history)):
        file = Path(name)
        if file.is_dir() or not file.parent.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
            raise OSError(f"{file} can't be written; name a file in a folder that exists and is yours.")
    if options.plot and Path(options.plot).suffix.lower() not in PICTURES:
        raise ValueError(f"--plot draws {', '.join(PICTURES)}; got {options.plot!r}.")


def _units(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise argparse.ArgumentTypeError(f"widths such as 256,100 expected; got {text!r}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scratch",
        description="Train the article's network, written from scratch, on MNIST's handwritten digits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", metavar="PATH", help="mnist.npz or a folder with the IDX files (default: found)")
    parser.add_argument("--epochs", type=int, default=10, help="rounds through all training samples")
    parser.add_argument("--batch-size", type=int, default=100, help="samples in a step")
    parser.add_argument("--learning-rate", type=float, default=0.01, help="size of a step")
    parser.add_argument("--momentum", type=float, default=0.0, help="of SGD, 0 to 1")
    parser.add_argument("--hidden", type=_units, default="256,100", help="units of the hidden layers")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order: the same seed, the same bits")
    parser.add_argument("--backend", choices=["numba", "numpy"], default="numba", help="what computes")
    parser.add_argument("--plot", metavar="FILE.png", help="draw the result")
    parser.add_argument("--history", metavar="FILE.csv", help="write a line an epoch")
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""``python -m keras_impl``: the same program in Keras, from the same weights, on the same batches.

With the same options it prints the lines of ``python -m scratch``, up to rounding.
"""

import argparse
import os
import sys
from typing import Any

from keras_impl import missing
from scratch.__main__ import Samples, guarded, parser, prepare, run
from scratch.__main__ import make as make_scratch

FRAMEWORKS = ["tensorflow", "jax", "torch"]


def make(options: argparse.Namespace, inputs: int, classes: int) -> Any:
    """The Keras model, with the weights that scratch draws from the seed."""
    import keras

    from keras_impl import build_model, copy_weights
    from keras_impl.convert import keras_optimizer

    options.backend = "numpy"
    source = make_scratch(options, inputs, classes)
    assert source.optimizer is not None
    model = build_model(tuple(options.hidden), inputs, classes)
    copy_weights(source, model)
    model.compile(keras_optimizer(source.optimizer), keras.losses.CategoricalCrossentropy(), metrics=["accuracy"])
    options.rng = source.rng
    return model


def fit(model: Any, options: argparse.Namespace, train: Samples, test: Samples) -> Any:
    """Train as the options say, in the order of samples that scratch draws from the seed."""
    import keras

    from keras_impl.data import Batches
    from scratch.progress import interactive
    from scratch.utils import check_integer

    check_integer("epochs", options.epochs)
    check_integer("batch_size", options.batch_size)
    data = Batches(*train, options.batch_size, options.rng)
    return model.fit(
        data,
        epochs=options.epochs,
        shuffle=False,
        verbose=0 if options.quiet else 1 if interactive() else 2,
        callbacks=[data.draw_orders(), *([keras.callbacks.CSVLogger(options.history)] if options.history else [])],
        validation_data=test,
        validation_batch_size=options.batch_size,
    )


def main(arguments: list[str] | None = None) -> int:
    """Train, and return the exit status: 0, or 2 for input that can't be used, or 130 after Ctrl-C."""
    framework = os.environ.get("KERAS_BACKEND", FRAMEWORKS[0])
    description = "Train the article's network, built with Keras, from scratch's weights and in scratch's order."
    command_line = parser("keras_impl", description, FRAMEWORKS, framework)
    options = command_line.parse_args(arguments)
    if options.backend not in FRAMEWORKS:  # argparse does not look at a default
        command_line.error(f"KERAS_BACKEND must be one of {', '.join(FRAMEWORKS)}; it is {options.backend!r}")
    os.environ["KERAS_BACKEND"] = options.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's notes about the processor
    try:
        import keras  # noqa: F401
    except ModuleNotFoundError as error:
        print(f"python -m keras_impl: {missing(error)}", file=sys.stderr)
        return 2
    return guarded("keras_impl", lambda: run(options, prepare, make, fit))


if __name__ == "__main__":
    sys.exit(main())

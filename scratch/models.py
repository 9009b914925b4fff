"""``Sequential``: the model with Keras's interface: its training, its files and its summary."""

import os
from collections.abc import Callable
from pathlib import Path

from numpy.typing import ArrayLike

from scratch.files import FileError
from scratch.saving import archive, weights
from scratch.summary import print_summary
from scratch.training import Trainer
from scratch.utils import Array


class Sequential(Trainer):
    """A linear stack of layers, used as ``keras.models.Sequential``.

    ```python
    model = Sequential([Dense(256, activation="relu", input_shape=(784,)), Dense(10, activation="softmax")])
    model.compile(optimizer="sgd", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=100, epochs=10)
    ```

    Args:
        layers: the layers, first to last; ``add`` appends more.
        name: name of the model; default: ``sequential``, ``sequential_1``, …
        backend: ``'numpy'``, the reference, or ``'numba'``, compiled.
        dtype: float32 (default) or float64, for all layers without a dtype of their own.
    """

    def gradients(self, x: ArrayLike, y: ArrayLike) -> tuple[float, list[Array]]:
        """Return the loss of a batch, and its gradient with respect to each array of ``get_weights()``."""
        trace = self.trace(x, y)
        return float(trace["loss"]), [trace[f"{layer.name}/d{key}"] for layer in self.layers for key in layer.params]

    def trace(self, x: ArrayLike, t: ArrayLike) -> dict[str, Array]:
        """Run one batch forward and backward; return every tensor as a copy, in the order of computation.

        Args:
            x: samples (N, …).
            t: their targets, as the loss requires.

        Returns:
            ``{layer}/out`` for each layer; ``loss``; ``loss/dx``, the gradient of the loss with respect to its input
            (the logits, after a softmax); then from the last layer to the first ``{layer}/dx``, ``{layer}/dW``,
            ``{layer}/db``.

        Raises:
            ValueError: if the model is not compiled, or x or t does not fit it.
        """
        samples, targets = self.check_data(x, t, "trace")
        loss, _ = self.compiled("trace")
        self.build(samples.shape)
        with self.reading():
            return self.detached().trace_batch(loss, samples, targets)

    def summary(self, print_fn: Callable[[str], object] | None = None, line_length: int | None = None) -> None:
        """Print the layers, the shapes of their outputs and their numbers of parameters.

        Args:
            print_fn: receives the whole text, without colours; by default the text is printed, with colours in a
                terminal.
            line_length: width of the table; default: the terminal's minus 4, at most 88.

        Raises:
            ValueError: if the width is too small for three columns.
        """
        print_summary(self, line_length, print_fn)

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the model to a ``.keras`` archive, which ``load_model`` opens, here and in Keras.

        It holds the layers, their weights, how the model was compiled, and the optimizer's steps and velocities.

        Args:
            filepath: ends in ``.keras``.
            overwrite: whether a file that is there may be replaced.

        Raises:
            FileError: (a ``ValueError``) if the file can't be written, or Keras has no counterpart of something in the
                model; what was there before is kept.
        """
        _check_overwrite(filepath, overwrite)
        archive.save(self, filepath)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the weights to a ``.weights.h5``, as Keras does, or to an ``.npz``.

        Args:
            filepath: ends in ``.weights.h5``, which gets the optimizer's numbers too, or in ``.npz``, which gets arrays
                ``dense/W``, ``dense/b``, ``dense_1/W``, … for ``numpy.load``: a layer's class, numbered.
            overwrite: whether a file that is there may be replaced.

        Raises:
            FileError: (a ``ValueError``) if the file can't be written; what was there before is kept.
            ValueError: if the model is not built yet.
        """
        _check_overwrite(filepath, overwrite)
        weights.save_weights(self, filepath)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Replace all weights by those of a file that ``save_weights`` wrote, here or in Keras.

        Layers are told apart by class and order, not by name.  If the model is compiled, its optimizer goes on from the
        steps, the learning rate and the velocities in a ``.weights.h5``.

        Raises:
            FileError: (a ``ValueError``) if the file is missing, damaged, or another model's; nothing has changed then.
            ValueError: if the model is not built yet.
        """
        weights.load_weights(self, filepath)


def load_model(filepath: str | os.PathLike[str], compile: bool = True, backend: str = "numba") -> Sequential:  # noqa: A002
    """Open a ``.keras`` archive that ``save`` wrote, here or in Keras.

    Nothing in the file is executed or unpacked to the disk, and no more memory is taken than its size allows.

    Args:
        filepath: ends in ``.keras``.
        compile: whether to compile the model as it was, its optimizer going on where it was.
        backend: ``'numpy'`` or ``'numba'``.

    Returns:
        A model that computes what the saved one did; not compiled if that one was not.

    Raises:
        FileError: (a ``ValueError``) if the file is missing or damaged, or holds a layer or a setting that scratch does
            not have; the message names it.
        ValueError: if the backend is unknown.
    """
    return archive.load(Sequential, filepath, compile, backend)


def _check_overwrite(filepath: str | os.PathLike[str], overwrite: bool) -> None:
    if not overwrite and Path(filepath).exists():
        raise FileError(f"{filepath} exists already; pass overwrite=True, or another name.")

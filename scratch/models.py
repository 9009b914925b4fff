"""``Sequential``: the model with Keras's interface: its training, its files and its summary."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from scratch import ops, saving
from scratch.checks import check_boolean, check_name
from scratch.dropped_names import METHODS, refuse_unknown_arguments
from scratch.files import FileError, named
from scratch.layer import gradient_name
from scratch.summary import print_summary
from scratch.training import Trainer
from scratch.utils import Array

if TYPE_CHECKING:  # saving is imported on first use
    from scratch.saving.config import Description


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
        return float(trace["loss"]), [trace[gradient_name(name)] for name in self.params]

    def trace(self, x: ArrayLike, t: ArrayLike, training: bool = True) -> dict[str, Array]:
        """Run one batch forward and backward; return every tensor as a copy, in the order of computation.

        Nothing in the model changes, so that a training step with the batch computes the same tensors.

        Args:
            x: samples (N, …).
            t: their targets, as the loss requires.
            training: whether layers such as ``Dropout`` compute as in training, or as in ``evaluate``.

        Returns:
            ``{layer}/out`` for each layer; ``loss``; ``loss/dx``, the gradient of the loss with respect to its input
            (the logits, after a softmax); then from the last layer to the first ``{layer}/dx``, ``{layer}/dW``,
            ``{layer}/db``.  A model within the model is one layer, with gradients such as ``{model}/{layer}/dW``.

        Raises:
            ValueError: if the model is not compiled, or x or t does not fit it.
        """
        samples, targets = self.check_data(x, t, "trace")
        loss, _ = self.loss_and_optimizer("trace")
        self.build(samples.shape)
        with self.reading():
            return self.detached().trace_batch(loss, samples, targets, training)

    def summary(
        self,
        line_length: int | None = None,
        positions: None = None,
        print_fn: Callable[[str], object] | None = None,
        **unknown: object,
    ) -> None:
        """Print the layers, the shapes of their outputs and their numbers of parameters.

        Args:
            line_length: width of the table; default: the terminal's minus 4, at most 88.
            positions: must be None.
            print_fn: receives the whole text, without colours; by default the text is printed, with colours in a
                terminal.
            **unknown: Keras's further arguments, with its defaults.

        Raises:
            TypeError: if there is another argument.
            ValueError: if the width is too small for three columns.
        """
        refuse_unknown_arguments("summary", {"positions": positions, **unknown}, "summary")
        print_summary(self, line_length, print_fn)

    def __getattr__(self, name: str) -> Any:
        """Raise an ``AttributeError``, which names the new method for one that Keras has dropped."""
        reason = f"; Keras 3 has dropped it: use model.{METHODS[name]}." if name in METHODS else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{reason}")

    def get_config(self) -> dict[str, Any]:
        """Return name, dtype and layers, without weights, as the config of a ``keras.Sequential``."""
        config: dict[str, Any] = saving.config.write_model(self)["config"]
        return config

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None, *, backend: str = "numba"
    ) -> "Sequential":
        """Return a new model with the layers of a config that ``get_config`` returned, in scratch or in Keras.

        Raises:
            TypeError: if there are ``custom_objects``.
            ValueError: if scratch does not support a layer or a setting; the message names it.
        """
        _refuse_custom_objects("from_config", custom_objects)
        entry = saving.entries.make_entry("keras", "Sequential", dict(config))
        return from_description(saving.config.read_model(entry, with_compile=False), backend)

    def to_json(self, **options: Any) -> str:
        """Return layers and arguments of ``compile`` as JSON, which ``model_from_json`` of Keras and scratch reads.

        Args:
            **options: arguments of ``json.dumps``, such as ``indent=2``.
        """
        return saving.config.to_json(self, **options)

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, **unknown: object) -> None:
        """Write the model to a ``.keras`` archive, which ``load_model`` and ``keras.models.load_model`` open.

        The archive holds the layers, their weights, the arguments of ``compile`` and the optimizer's state.

        Args:
            filepath: name of the file; must end in ``.keras``.
            overwrite: whether an existing file may be replaced.
            **unknown: Keras's further arguments, with its defaults.

        Raises:
            FileError: (a ``ValueError``) if the file cannot be written, or if Keras has no counterpart of a layer; an
                existing file is kept.
            TypeError: if there is another argument.

        Warns:
            UserWarning: if Keras has no counterpart of an argument of ``compile``, such as a metric that is a function
                of yours: the archive then holds none of these arguments, and ``load_model`` does not compile the model.
        """
        refuse_unknown_arguments("save", unknown, "save")
        _check_overwrite(filepath, overwrite)
        saving.archive.write(filepath, self)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the weights to a ``.weights.h5`` file, as Keras does, or to an ``.npz`` file.

        Args:
            filepath: name of the file.  A ``.weights.h5`` file also holds the optimizer's state.  ``numpy.load`` opens
                an ``.npz`` file, with the arrays ``dense/W``, ``dense/b``, ``dense_1/W``, … (class and number).
            overwrite: whether an existing file may be replaced.

        Raises:
            FileError: (a ``ValueError``) if the file cannot be written; an existing file is kept.
            ValueError: if the model is not built.
        """
        _check_overwrite(filepath, overwrite)
        saving.weights.save_weights(self, filepath)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Replace all weights by those of a file that ``save_weights`` or ``save`` wrote, in scratch or in Keras.

        Layers are matched by class and order, not by name.  If the model is compiled, a ``.weights.h5`` or ``.keras``
        file also restores the optimizer's state: number of steps, learning rate and state arrays.

        Raises:
            FileError: (a ``ValueError``) if the file is missing, damaged, or of another model; nothing is changed.
            ValueError: if the model is not built.
        """
        saving.weights.load_weights(self, filepath)


def save_model(model: Sequential, filepath: str | os.PathLike[str], overwrite: bool = True, **unknown: object) -> None:
    """Do as ``model.save``."""
    model.save(filepath, overwrite, **unknown)


def load_model(
    filepath: str | os.PathLike[str],
    compile: bool = True,  # noqa: A002
    backend: str = "numba",
    **unknown: object,
) -> Sequential:
    """Load a model from a ``.keras`` archive that ``save`` wrote, in scratch or in Keras.

    Nothing in the file is executed or unpacked to the disk, and the file's size limits the memory that is taken.

    Args:
        filepath: name of the file; must end in ``.keras``.
        compile: whether to compile the model as the saved one was, and to restore the optimizer's state.
        backend: ``'numpy'`` or ``'numba'``.
        **unknown: Keras's further arguments, with its defaults.

    Returns:
        A model that computes what the saved one did.  It is not compiled if the saved one was not.

    Raises:
        TypeError: if there is another argument.
        FileError: (a ``ValueError``) if the file is missing or damaged, or if scratch does not support a layer or a
            setting; the message names it.
        ValueError: if the backend is unknown, or ``compile`` is not a boolean.
    """
    refuse_unknown_arguments("load_model", unknown, "load_model")
    check_boolean("compile", compile)  # Keras's second argument is custom_objects
    description, arrays = saving.archive.read(filepath, with_compile=compile)
    check_name("backend", backend, ops.BACKENDS)  # not an error of the file
    with named(Path(filepath)):
        model = from_description(description, backend)
        if arguments := description.compile_arguments:
            model.compile(**arguments._asdict())
        saving.weights.restore(model, arrays)
    return model


def model_from_json(
    json_string: str, custom_objects: Mapping[str, Any] | None = None, *, backend: str = "numba"
) -> Sequential:
    """Return a new model from the JSON that ``to_json`` returned, in scratch or in Keras; compiled if that one was.

    Raises:
        TypeError: if there are ``custom_objects``.
        ValueError: if it is not such JSON, or scratch does not support a layer or a setting; the message names it.
    """
    _refuse_custom_objects("model_from_json", custom_objects)
    description = saving.config.from_json(json_string.encode(), with_compile=True)
    model = from_description(description, backend)
    if arguments := description.compile_arguments:
        model.compile(**arguments._asdict())
    return model


def clone_model(model: Sequential) -> Sequential:
    """Return a new model with the layers and the arguments of ``compile`` of another, and with new initial weights.

    Raises:
        ValueError: if Keras has no counterpart of a layer.

    Warns:
        UserWarning: as ``save``, if Keras has no counterpart of an argument of ``compile``; the new one then has none.
    """
    return model_from_json(model.to_json(), backend=model.backend)


def from_description(description: "Description", backend: str = "numba") -> Sequential:
    """Return a model with the layers of a description, not compiled, and without the weights of a file."""
    model = Sequential(name=description.name, backend=backend, dtype=description.dtype)
    for layer in description.layers:
        model.add(from_description(layer, backend) if isinstance(layer, saving.config.Description) else layer)
    return model


def _refuse_custom_objects(function: str, custom_objects: object) -> None:
    """Raise a ``TypeError`` unless there are none, which names ``backend`` if a text was passed in their place."""
    if isinstance(custom_objects, str):
        raise TypeError(f"{function} takes the backend by name: pass backend={custom_objects!r}.")
    refuse_unknown_arguments(function, {"custom_objects": custom_objects}, "load_model")


def _check_overwrite(filepath: str | os.PathLike[str], overwrite: bool) -> None:
    if not overwrite and Path(filepath).exists():
        raise FileError(f"{filepath} already exists; pass overwrite=True to replace it, or another filepath.")

"""Read and write Keras's .keras archives without Keras.

An archive is a zip file of config.json, metadata.json and model.weights.h5.
"""

import datetime
import io
import json
import os
import zipfile
from pathlib import Path

from scratch.files import FileError, named, replacing
from scratch.network import Network
from scratch.saving import config, hdf5, weights
from scratch.saving.zips import read_entries
from scratch.utils import Array

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", weights.ARCHIVE_ENTRY
KERAS_VERSION = "3.15.1"  # the version of Keras whose format is written


def write(path: str | os.PathLike[str], model: Network) -> None:
    """Write a model to an archive; see ``Sequential.save``."""
    _check_suffix(path, f"; pass {Path(path).stem + '.keras'!r}")
    with named(Path(path)):
        entries = to_entries(model)
        with replacing(path) as part:
            _write_zip(part, entries)


def to_bytes(model: Network) -> bytes:
    """Return the bytes of an archive; raises what ``to_entries`` raises."""
    content = io.BytesIO()
    _write_zip(content, to_entries(model))
    return content.getvalue()


def _write_zip(file: Path | io.BytesIO, entries: dict[str, str | bytes]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def to_entries(model: Network) -> dict[str, str | bytes]:
    """Return the content of an archive by the names of its files.

    Raises:
        ValueError: if Keras has no counterpart of a layer, or if the files would be too large to be read.
    """
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    return {
        METADATA: json.dumps({"keras_version": KERAS_VERSION, "date_saved": now}),
        CONFIG: config.to_json(model),
        WEIGHTS: weights.to_hdf5(model),
    }


def read(path: str | os.PathLike[str], with_compile: bool) -> tuple[config.Description, dict[str, Array]]:
    """Read an archive; see ``scratch.models.load_model``.

    Args:
        path: a file whose name ends in ``.keras``.
        with_compile: whether to read the arguments of ``compile``.

    Returns:
        The description of the model, and the arrays for ``weights.restore``.

    Raises:
        FileError: if the file is missing or damaged, if scratch does not support what it describes, or if the shapes of
            the arrays do not fit the layers.
    """
    _check_suffix(path)
    file = Path(path)
    entries = read_entries(file, ".keras", [CONFIG, WEIGHTS])
    with named(file):
        description = config.from_json(entries[CONFIG], with_compile)
        arrays = hdf5.from_bytes(entries[WEIGHTS])
        # The config may describe layers that need more memory than there is.  It is compared with the arrays, whose
        # sizes are known to be right, before any layer is built.
        weights.check_arrays(weights.layer_arrays(arrays), weights.variable_shapes(description.layers))
    return description, arrays


def _check_suffix(path: str | os.PathLike[str], fix: str = "") -> None:
    if not str(path).endswith(".keras"):
        raise FileError(f"{path}: the name of an archive must end in .keras{fix}.")

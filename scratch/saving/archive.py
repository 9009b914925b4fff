"""Keras's .keras archive: a zip of config.json, metadata.json and model.weights.h5, written and read without Keras."""

import datetime
import json
import os
import zipfile
from pathlib import Path
from typing import TypeVar

from scratch.files import FileError, named, replacing
from scratch.ops import BACKENDS
from scratch.saving import config, hdf5, weights
from scratch.saving.zips import read_entries
from scratch.training import Trainer
from scratch.utils import check_name

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
KERAS_VERSION = "3.15.1"  # whose format is written

M = TypeVar("M", bound=Trainer)


def save(model: Trainer, path: str | os.PathLike[str]) -> None:
    """Write the archive; see ``Sequential.save``."""
    _check_suffix(path)
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    with named(Path(path)):
        entries: dict[str, str | bytes] = {
            METADATA: json.dumps({"keras_version": KERAS_VERSION, "date_saved": now}),
            CONFIG: config.to_json(model),
            WEIGHTS: weights.to_hdf5(model),
        }
        with replacing(path) as part, zipfile.ZipFile(part, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content)


def load(kind: type[M], path: str | os.PathLike[str], compile: bool, backend: str) -> M:  # noqa: A002
    """Make a model of a kind from an archive; see ``scratch.models.load_model``."""
    _check_suffix(path)
    check_name("backend", backend, BACKENDS)
    file = Path(path)
    entries = read_entries(file, ".keras")
    for name in (CONFIG, WEIGHTS):
        if name not in entries:
            raise FileError(f"{file} has no {name}; a .keras archive of Keras 3 has.")
    with named(file):
        described = config.from_json(entries[CONFIG], compile)
        arrays = hdf5.from_bytes(entries[WEIGHTS])
        # A config may ask for more than there is memory for; whoever has none of the weights gets none made.
        weights.check_shapes(weights.of_layers(arrays), weights.shapes(described.layers))
        model = kind(described.layers, name=described.name, backend=backend, dtype=described.dtype)
        if described.compiled:
            model.compile(**described.compiled._asdict())
        weights.restore(model, arrays)
    return model


def _check_suffix(path: str | os.PathLike[str]) -> None:
    if not str(path).endswith(".keras"):
        raise FileError(f"{path}: the name of an archive must end in .keras.")

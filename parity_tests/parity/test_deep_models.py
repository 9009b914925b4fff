"""Models of any depth are saved by scratch and loaded by Keras, and the other way round."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import io
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from parity_tests.conftest import slow_except
from keras_impl.frameworks import to_numpy
from scratch.layers import Dense, Input
from scratch.models import Sequential, load_model
from scratch.optimizers import SGD
from scratch.saving.hdf5_reader import read_datasets

# From 74 layers on, the velocities take more than one node of a B-tree.
depths = pytest.mark.parametrize("depth", slow_except([1, 3, 75, 500], "1", "3"))


def ours(depth: int) -> Sequential:
    """Return a model with momentum whose variables are all different."""
    model = Sequential([Input((3,)), *(Dense(2) for _ in range(depth))], backend="numpy")
    optimizer = SGD(0.125, momentum=0.875)
    model.compile(optimizer, "categorical_crossentropy")
    rng = np.random.default_rng(depth)
    model.set_weights([rng.normal(size=W.shape) for W in model.get_weights()])
    optimizer.v = {key: rng.normal(size=W.shape).astype("float32") for key, W in model.params.items()}
    optimizer.iterations = 7
    return model


def theirs(depth: int) -> keras.Sequential:
    """Return the same model of Keras, with other values."""
    model = keras.Sequential([keras.Input((3,)), *(keras.layers.Dense(2) for _ in range(depth))])
    model.compile(keras.optimizers.SGD(0.125, momentum=0.875), "categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(depth + 1)
    for variable in (*model.weights, *model.optimizer.variables[2:]):
        variable.assign(rng.normal(size=variable.shape))
    model.optimizer.iterations.assign(9)
    return model


def assert_same(model: Sequential, other: keras.Sequential) -> None:
    """Check that the weights, the velocities and the number of steps are the same, bit for bit."""
    assert len(model.get_weights()) == 2 * len(model.layers)
    for W, variable in zip(model.get_weights(), other.weights, strict=True):
        np.testing.assert_array_equal(W, to_numpy(variable))
    assert model.optimizer is not None
    velocities = other.optimizer.variables[2:]
    for key, variable in zip(model.params, velocities, strict=True):
        np.testing.assert_array_equal(model.optimizer.v[key], to_numpy(variable))
    assert model.optimizer.iterations == int(to_numpy(other.optimizer.iterations))


@depths
def test_archives_both_ways(depth: int, tmp_path: Path) -> None:
    model, other = ours(depth), theirs(depth)
    model.save(tmp_path / "ours.keras")
    assert_same(model, keras.models.load_model(tmp_path / "ours.keras"))
    assert load_model(tmp_path / "ours.keras", backend="numpy").get_weights()[-1].tolist() == model.weights[-1].tolist()
    other.save(tmp_path / "theirs.keras")
    assert_same(load_model(tmp_path / "theirs.keras", backend="numpy"), other)


@depths
def test_weights_both_ways(depth: int, tmp_path: Path) -> None:
    model, other = ours(depth), theirs(depth)
    model.save_weights(tmp_path / "ours.weights.h5")
    loaded = theirs(depth)
    loaded.load_weights(tmp_path / "ours.weights.h5")
    assert_same(model, loaded)
    other.save_weights(tmp_path / "theirs.weights.h5")
    model.load_weights(tmp_path / "theirs.weights.h5")
    assert_same(model, other)


@depths
def test_the_reader_returns_the_arrays_of_h5py(depth: int, tmp_path: Path) -> None:
    theirs(depth).save(tmp_path / "theirs.keras")
    with zipfile.ZipFile(tmp_path / "theirs.keras") as archive:
        content = archive.read("model.weights.h5")
    arrays = read_datasets(content)
    assert len(arrays) == 4 * depth + 2
    with h5py.File(io.BytesIO(content), "r") as file:
        for path, array in arrays.items():
            expected = file[path][()]
            assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
            assert array.tobytes() == expected.tobytes()

"""Configs and JSON in both directions, and ``normalize``, beside Keras."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import keras
import numpy as np
import pytest

import keras_impl
import scratch
from scratch.models import model_from_json

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


def test_json_in_both_directions() -> None:
    model = scratch.Sequential([scratch.layers.Dense(3, "relu", input_shape=(4,)), scratch.layers.Dense(2, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    theirs = keras.models.model_from_json(model.to_json())
    assert type(theirs.optimizer) is keras.optimizers.Adam
    back = model_from_json(theirs.to_json())
    assert [type(layer) for layer in back.layers] == [type(layer) for layer in model.layers]
    assert type(back.optimizer) is type(model.optimizer)
    keras_impl.copy_weights(theirs, back)
    np.testing.assert_allclose(back(X), keras_impl.frameworks.to_numpy(theirs(X)), rtol=1e-5)


def test_config_in_both_directions() -> None:
    model = scratch.Sequential([scratch.layers.Dense(3, "relu", input_shape=(4,))])
    theirs = keras.Sequential.from_config(model.get_config())
    assert scratch.Sequential.from_config(theirs.get_config()).get_config()["layers"] == model.get_config()["layers"]


@pytest.mark.parametrize("options", [{}, {"axis": 1}, {"axis": -1, "order": 1}])
def test_normalize(options: dict[str, int]) -> None:
    np.testing.assert_array_equal(scratch.utils.normalize(X, **options), keras.utils.normalize(X, **options))

"""Initializers as classes: names, seeds, formulas by hand, files; ``test_layers.py`` has the distributions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scratch import initializers
from scratch.initializers import (
    Constant,
    HeNormal,
    Identity,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from scratch.layers import Dense
from scratch.models import Sequential, load_model
from scratch.ops import BACKENDS
from scratch.utils import set_random_seed

SHAPE = (300, 200)


@pytest.mark.parametrize("class_", initializers.CLASSES)
def test_names_and_config(class_: type[initializers.Initializer]) -> None:
    [name] = [name for name, known in initializers.INITIALIZERS.items() if known is class_]
    for given in (name, class_.__name__, class_):
        assert type(initializers.get(given)) is class_
    instance = class_()
    assert initializers.get(instance) is instance
    assert class_(**instance.get_config()).get_config() == instance.get_config()


def test_config_and_repr() -> None:
    assert repr(RandomNormal(1, stddev=0.5, seed=7)) == "RandomNormal(mean=1.0, stddev=0.5, seed=7)"
    assert repr(initializers.Zeros()) == "Zeros()"
    expected = {"scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal", "seed": None}
    assert VarianceScaling(distribution="Normal").get_config() == expected


@pytest.mark.parametrize("name", ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "zeros", "ones"])
def test_functions_of_a_shape_and_a_generator(name: str) -> None:
    function, expected = getattr(initializers, name), initializers.get(name)(SHAPE, np.random.default_rng(0))
    np.testing.assert_array_equal(function(SHAPE, np.random.default_rng(0)), expected)
    np.testing.assert_array_equal(function(shape=SHAPE, rng=np.random.default_rng(0)), expected)
    assert repr(function()) == repr(function) == repr(initializers.get(function)) == repr(initializers.get(name))


def test_functions_with_settings() -> None:
    assert repr(initializers.identity(2.0)) == "Identity(gain=2.0)"
    assert repr(initializers.he_normal(seed=1)) == "HeNormal(seed=1)"
    with pytest.raises(ValueError, match=r"value must be a finite number; got \[1, 2\]"):
        initializers.constant([1, 2])
    assert repr(initializers.random_normal(stddev=0.5)) == "RandomNormal(mean=0.0, stddev=0.5, seed=None)"
    for class_, name in zip(initializers.CLASSES, initializers.INITIALIZERS, strict=True):
        assert getattr(initializers, name).initializer is class_


def test_bits_of_the_default_initializer() -> None:
    limit = np.sqrt(6 / 500)
    expected = np.random.default_rng(0).uniform(-limit, limit, SHAPE)
    assert initializers.get("glorot_uniform")(SHAPE, np.random.default_rng(0)).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("initializer", "low", "high", "std"),
    [
        (RandomUniform(-1, 3), -1, 3, 4 / np.sqrt(12)),
        (RandomNormal(1, 0.5), -2, 4, 0.5),
        (TruncatedNormal(1, 0.5), 0, 2, 0.5 * 0.87962566),
        (VarianceScaling(3, "fan_out", "uniform"), -np.sqrt(9 / 200), np.sqrt(9 / 200), np.sqrt(3 / 200)),
        (VarianceScaling(2, "fan_avg", "untruncated_normal"), -0.6, 0.6, np.sqrt(2 / 250)),
        (initializers.LecunUniform(), -0.1, 0.1, 0.1 / np.sqrt(3)),
        (initializers.LecunNormal(), -2 / np.sqrt(300) / 0.87962566, 2 / np.sqrt(300) / 0.87962566, 1 / np.sqrt(300)),
    ],
    ids=repr,
)
def test_distributions(initializer: initializers.InitializerFunction, low: float, high: float, std: float) -> None:
    W = initializer(SHAPE, np.random.default_rng(0))
    assert W.shape == SHAPE
    assert low <= W.min() <= W.max() <= high
    # As in test_layers.py: five standard errors of 60,000 values.
    assert W.mean() == pytest.approx((low + high) / 2, abs=0.021 * std)
    assert W.std() == pytest.approx(std, rel=0.015)


def test_constants_by_hand() -> None:
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(Constant(0.25)((2, 2), rng), [[0.25, 0.25], [0.25, 0.25]])
    np.testing.assert_array_equal(Identity(2)((2, 3), rng), [[2, 0, 0], [0, 2, 0]])


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
def test_orthogonal(shape: tuple[int, int]) -> None:
    W = Orthogonal(2, seed=1)(shape)
    assert W.shape == shape
    products = W.T @ W if shape[0] >= shape[1] else W @ W.T
    np.testing.assert_allclose(products, 4 * np.eye(min(shape)), atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_seeds(backend: str) -> None:
    def kernel(seed_of_model: int, **arguments: Any) -> bytes:
        set_random_seed(seed_of_model)
        layer = Dense(4, kernel_initializer=HeNormal(**arguments), input_shape=(3,))
        return Sequential([layer], backend=backend).get_weights()[0].tobytes()

    assert kernel(1, seed=5) == kernel(2, seed=5) != kernel(1, seed=6)
    assert kernel(1) == kernel(1) != kernel(2)
    seeded, unseeded = HeNormal(seed=5), HeNormal()
    assert seeded((3, 4)).tobytes() == seeded((3, 4)).tobytes()
    assert unseeded((3, 4)).tobytes() != unseeded((3, 4)).tobytes()


def test_files(tmp_path: Path) -> None:
    """An unbuilt model draws the same weights after it is loaded; a built one has its weights and its initializers."""
    model = Sequential([Dense(3, kernel_initializer=Orthogonal(2, seed=5), bias_initializer=Constant(0.5))])
    model.save(tmp_path / "unbuilt.keras")
    model.build((None, 4))
    model.save(tmp_path / "built.keras")
    for name in ("unbuilt", "built"):
        loaded = load_model(tmp_path / f"{name}.keras")
        loaded.build((None, 4))
        assert [W.tobytes() for W in loaded.get_weights()] == [W.tobytes() for W in model.get_weights()]
        assert repr(loaded.layers[0].kernel_initializer) == "Orthogonal(gain=2.0, seed=5)"
        assert repr(loaded.layers[0].bias_initializer) == "Constant(value=0.5)"


def test_a_layer_with_an_unsupported_shape_leaves_the_model_unchanged() -> None:
    model = Sequential([Dense(2, input_shape=(3,))])
    with pytest.raises(
        ValueError, match=r"^The initializer of 'b' in layer 'last' failed: Orthogonal is for kernels, "
    ):
        model.add(Dense(4, bias_initializer="orthogonal", name="last"))
    assert [W.shape for W in model.get_weights()] == [(3, 2), (2,)]

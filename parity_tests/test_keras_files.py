"""Files that scratch writes, opened by Keras, and the other way round: the same predictions, the same training."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as kl

from keras_impl.frameworks import FRAMEWORK, floatx, to_numpy
from parity_tests.cases import Case
from parity_tests.checks import BACKENDS, SETTINGS, U32
from parity_tests.compare import Comparison, assert_all, compare, equal, same
from parity_tests.error_model import LAMBDA, Known, Settings, exact
from scratch import initializers, layers, losses
from scratch.files import FileError
from scratch.layers import ACTIVATIONS, Dense
from scratch.models import Sequential, load_model
from scratch.optimizers import SGD

pytestmark = pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
backends = pytest.mark.parametrize("backend", BACKENDS)
BATCHES = 3


# --- random architectures, both ways ------------------------------------------------------------------------------


def random_case(seed: int) -> tuple[Case, Settings]:
    """A network that scratch can build, and an optimizer for it."""
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(1, 5))
    widths = [int(n) for n in rng.integers(2, 40, depth)]
    case = Case(
        tuple(widths),
        tuple(str(name) for name in rng.choice(ACTIVATIONS, depth)),
        features=2 * int(rng.integers(1, 30)),
        batch=int(rng.integers(1, 40)),
        dtype=str(rng.choice(["float32", "float64"])) if FRAMEWORK == "tensorflow" else "float32",
        use_bias=bool(rng.integers(2)),
        separate=bool(rng.integers(2)),
        sparse=bool(rng.integers(2)),
        smoothing=float(rng.choice([0, 0.125])),
        classes=bool(rng.integers(2)),
        seed=seed,
    )
    return case, SETTINGS[seed % len(SETTINGS)]


def batch(case: Case, i: int) -> tuple[np.ndarray, np.ndarray]:
    """The i-th batch of a case: the same samples in another order of features, with other labels."""
    return np.roll(case.x, i, axis=1), np.roll(case.y, i, axis=0)


def velocities(model: Sequential, twin: keras.Sequential) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Those of both; none without momentum."""
    found = [to_numpy(v) for v in twin.optimizer.variables[2:]]
    return {key: (model.optimizer.v[key], v) for key, v in zip(model.params, found, strict=bool(found))}


def next_steps(case: Case, settings: Settings, model: Sequential, twin: keras.Sequential) -> list[Comparison]:
    """Predictions, and ten steps of training: each held to what it may add to the difference before it."""
    name = f"{case}, {settings}"
    out = case.shadow().at(model.params, {key: np.zeros(W.shape) for key, W in model.params.items()})
    known_out = out.outputs(exact(case.x))[case.names()[-1][0]][1]
    rows = [equal(f"{name}: steps taken", model.optimizer.iterations, int(twin.optimizer.iterations))]
    rows += [same(f"{name}: {k}", W, V) for (k, W), V in zip(model.params.items(), twin.get_weights(), strict=True)]
    rows += [same(f"{name}: velocity of {key}", *pair) for key, pair in velocities(model, twin).items()]
    rows.append(compare(f"{name}: predictions", model(case.x), twin.predict_on_batch(case.x), 2 * known_out.error))
    for step in range(10):
        x, y = batch(case, step)
        t = np.roll(case.targets, step, axis=0)
        apart = {
            key: np.abs(W - V).astype(np.float64)
            for (key, W), V in zip(model.params.items(), twin.get_weights(), strict=True)
        }
        shadow = case.shadow(settings).at(model.params, {key: LAMBDA * d for key, d in apart.items()})
        shadow.velocities = {
            key.replace("/W", "/0").replace("/b", "/1"): [
                Known(v.astype(np.float64), LAMBDA * np.abs(v - w).astype(np.float64))
            ]
            for key, (v, w) in velocities(model, twin).items()
        }
        loss = shadow.step(x.astype(np.float64), t)["loss"]
        ours, theirs = model.train_on_batch(x, y), twin.train_on_batch(x, y)
        rows.append(compare(f"{name}: loss {step}", np.float64(ours[0]), np.float64(theirs[0]), 2 * loss.error + U32))
        for (key, W), V in zip(model.params.items(), twin.get_weights(), strict=True):
            added = shadow.parameters()[key].error - LAMBDA * apart[key]
            rows.append(compare(f"{name}: {key} after step {step}", W, V, apart[key] + 2 * added))
    return rows


def eager(model: keras.Sequential) -> keras.Sequential:
    """Compiling a graph for each of many small models would take a second each."""
    model.run_eagerly = True
    return model


def check_both_ways(seed: int, folder: Path) -> None:
    """A model of each kind takes three steps, is saved, and opened by the other; then both go on."""
    case, settings = random_case(seed)
    with floatx(case.dtype):
        ours, theirs = case.scratch("numpy", settings), eager(case.twin(settings))
        for i in range(BATCHES):
            ours.train_on_batch(*batch(case, i))
            theirs.train_on_batch(*batch(case, i))
        ours.save(folder / "ours.keras")
        theirs.save(folder / "theirs.keras")
        assert_all(next_steps(case, settings, ours, eager(keras.models.load_model(folder / "ours.keras"))))
        backend = BACKENDS[seed % 2]
        assert_all(next_steps(case, settings, load_model(folder / "theirs.keras", backend=backend), theirs))


@pytest.mark.parametrize("seed", range(6))
def test_random_architectures_both_ways(seed: int, tmp_path: Path) -> None:
    check_both_ways(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 80))
def test_more_random_architectures_both_ways(seed: int, tmp_path: Path) -> None:
    check_both_ways(seed, tmp_path)


@backends
def test_weights_both_ways(backend: str, tmp_path: Path) -> None:
    case, settings = random_case(1)[0], Settings(0.0625, momentum=0.875)
    with floatx(case.dtype):
        ours, theirs = case.scratch(backend, settings), eager(case.twin(settings))
        for i in range(BATCHES):
            ours.train_on_batch(*batch(case, i))
            theirs.train_on_batch(*batch(case, i))
        ours.save_weights(tmp_path / "ours.weights.h5")
        theirs.save_weights(tmp_path / "theirs.weights.h5")
        loaded = case.scratch(backend, settings)
        loaded.load_weights(tmp_path / "theirs.weights.h5")
        assert_all(next_steps(case, settings, loaded, theirs))
        theirs.load_weights(tmp_path / "ours.weights.h5")
        assert_all(next_steps(case, settings, ours, theirs))

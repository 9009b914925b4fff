"""A model saved by scratch or by Keras and loaded by the other predicts the same and trains on alike."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import scratch
from parity_tests.conftest import slow_except
from keras_impl.frameworks import FRAMEWORK, floatx, to_numpy
from parity_tests.checks.schedules import Create, exponential, piecewise
from parity_tests.checks.updates import ADAPTIVE_SETTINGS, SETTINGS
from parity_tests.comparison import Comparison, assert_all, compare, equal, same
from parity_tests.reference.cases import SPARSE, Case
from parity_tests.reference.error_model import LAMBDA, Bounded, Rounding
from parity_tests.reference.layers import LAYERS, PENALTIES, masks_for_keras
from parity_tests.reference.sgd import OptimizerSettings, SGDSettings
from scratch.ops import BACKENDS
from scratch.layers import ACTIVATIONS
from scratch.models import Sequential, load_model
from scratch.optimizers import schedules

DEFAULT_ADAM, *OTHER_ADAPTIVE_SETTINGS = ADAPTIVE_SETTINGS
# Without Adam's default betas, which Keras converts through float32 in float64, too: float32 networks have them below.
OPTIMIZERS: tuple[OptimizerSettings, ...] = (*SETTINGS, *OTHER_ADAPTIVE_SETTINGS)
WITH_STATE: tuple[OptimizerSettings, ...] = (SGDSettings(0.0625, momentum=0.875), *ADAPTIVE_SETTINGS[:2])
BATCHES = 3  # training steps before a model is saved
U32 = Rounding("float32").u
STEPS = 10  # training steps that are compared after it is loaded


def random_loss(rng: np.random.Generator) -> dict[str, Any]:
    """Return the loss of a case; labels cannot be smoothed."""
    sparse, smoothing = bool(rng.integers(2)), float(rng.choice([0, 0.125]))
    return {"loss": SPARSE} if sparse else {"smoothing": smoothing}


def random_case(seed: int) -> tuple[Case, OptimizerSettings]:
    """Return a network that scratch and Keras can build, and settings of an optimizer."""
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(1, 5))
    widths = [int(n) for n in rng.integers(2, 40, depth)]
    activations = [str(name) for name in rng.choice(ACTIVATIONS, depth)]
    if activations[-1] == "sigmoid":  # Keras takes its input for the logits of a softmax (``_keras_logits``)
        activations[-1] = "tanh"
    case = Case(
        tuple(widths),
        tuple(activations),
        features=2 * int(rng.integers(1, 30)),
        batch=int(rng.integers(1, 40)),
        dtype=str(rng.choice(["float32", "float64"])) if FRAMEWORK == "tensorflow" else "float32",
        use_bias=bool(rng.integers(2)),
        separate=bool(rng.integers(2)),
        **random_loss(rng),
        classes=bool(rng.integers(2)),
        seed=seed,
    )
    return case, OPTIMIZERS[seed % len(OPTIMIZERS)]


def batch(case: Case, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the i-th batch of a case: the same samples with rolled features and labels."""
    return np.roll(case.x, i, axis=1), np.roll(case.y, i, axis=0)


def short(name: str) -> str:
    """Return the name of a weight without the models that its layer is in: ``inner/dense_0/W`` is ``dense_0/W``."""
    return "/".join(name.split("/")[-2:])


def weights(model: Sequential) -> dict[str, np.ndarray]:
    """Return the weights by the names that ``BoundedNetwork`` has."""
    return {short(name): W for name, W in model.weights_by_name.items()}


def states(model: Sequential, twin: keras.Sequential) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Return the state arrays of both optimizers by name and parameter; empty for SGD without momentum."""
    ours = model.optimizer
    found = [to_numpy(array) for array in twin.optimizer.variables[len(ours.numbers) :]]
    arrays = zip(ours.state_arrays(model.params), found, strict=True)
    names = [(array, short(key)) for array, key in ours.state_order(model.params)]
    return dict(zip(names, arrays, strict=True))


def compare_now(case: Case, name: str, model: Sequential, twin: keras.Sequential) -> list[Comparison]:
    """Compare weights and optimizer state, which must be equal, and predictions within the bound of the error model."""
    network = case.bounded_network().with_weights(
        weights(model), {key: np.zeros(W.shape) for key, W in weights(model).items()}
    )
    out = network.predict(case.x)
    rows = [equal(f"{name}: steps taken", model.optimizer.iterations, int(twin.optimizer.iterations))]
    rows += [same(f"{name}: {k}", W, V) for (k, W), V in zip(weights(model).items(), twin.get_weights(), strict=True)]
    rows += [same(f"{name}: {array} of {key}", *pair) for (array, key), pair in states(model, twin).items()]
    rows.append(compare(f"{name}: predictions", model(case.x), twin.predict_on_batch(case.x), 2 * out.bound))
    return rows


def restart_masks(model: Sequential, twin: keras.Sequential) -> None:
    """Let both programs draw the masks of Dropout from the first again, since files do not hold their number."""
    for layer, other in zip(model.layers, twin.layers, strict=True):
        if isinstance(layer, Sequential):
            restart_masks(layer, other)
        elif "masks" in layer.state:
            layer.state["masks"][1] = 0
            other.seed_generator.state.assign(layer.state["masks"].copy())  # JAX may share the memory


def compare_training(
    case: Case, settings: OptimizerSettings, model: Sequential, twin: keras.Sequential, steps: int = STEPS
) -> list[Comparison]:
    """Compare two models now and after each of some training steps.

    The bound of a step is what the step keeps of the difference before it, plus what the step itself may add.
    """
    name = f"{case}, {settings}"
    rows = compare_now(case, name, model, twin)
    restart_masks(model, twin)
    for step in range(steps):
        x, y = batch(case, step)
        t = np.roll(case.targets, step, axis=0)
        apart = {
            key: np.abs(W - V).astype(np.float64)
            for (key, W), V in zip(weights(model).items(), twin.get_weights(), strict=True)
        }
        now = settings._replace(learning_rate=float(model.optimizer.learning_rate))
        network = replace(case.bounded_network(now), steps=step)
        network = network.with_weights(weights(model), {key: LAMBDA * d for key, d in apart.items()})
        network.iterations = model.optimizer.iterations
        for (array, key), (v, w) in states(model, twin).items():
            bounded = Bounded(v.astype(np.float64), LAMBDA * np.abs(v - w).astype(np.float64))
            network.state.setdefault(key, {})[array] = bounded
        loss = network.step(x.astype(np.float64), t)["loss"]
        with masks_for_keras():
            ours, theirs = model.train_on_batch(x, y), twin.train_on_batch(x, y)
        rows.append(compare(f"{name}: loss {step}", np.float64(ours[0]), np.float64(theirs[0]), 2 * loss.bound + U32))
        for (key, W), V in zip(weights(model).items(), twin.get_weights(), strict=True):
            allowed = network.difference_after(key, apart[key])
            rows.append(compare(f"{name}: {key} after step {step}", W, V, allowed))
    return rows


def eager(model: keras.Sequential) -> keras.Sequential:
    """Run a Keras model without a graph, whose compilation would take a second for each small model."""
    model.run_eagerly = True
    return model


def trained_pair(
    case: Case, settings: OptimizerSettings, backend: str, schedule: Create | None = None
) -> tuple[Sequential, keras.Sequential]:
    """Return the network of a case in scratch and in Keras, each after three training steps of its own."""
    ours, theirs = case.scratch_model(backend, settings), eager(case.keras_model(settings))
    if schedule:
        ours.optimizer.learning_rate = schedule(schedules)
        theirs.optimizer.learning_rate = schedule(keras.optimizers.schedules)
    train(case, ours, theirs)
    return ours, theirs


def train(case: Case, *models: Sequential | keras.Sequential) -> None:
    """Train models of either program on the first batches."""
    for i in range(BATCHES):
        for model in models:
            model.train_on_batch(*batch(case, i))


def check_archives(
    case: Case,
    settings: OptimizerSettings,
    backend: str,
    folder: Path,
    pair: tuple[Sequential, keras.Sequential] | None = None,
    steps: int = STEPS,
) -> None:
    """Save a model from either program, load it in the other, and compare their training.

    Args:
        case: the network.
        settings: those of its optimizer.
        backend: the backend of the model that scratch loads.
        folder: where to save.
        pair: the network, trained by scratch and by Keras; default: ``trained_pair``.
        steps: number of training steps after it is loaded.
    """
    with floatx(case.dtype):
        ours, theirs = pair or trained_pair(case, settings, "numpy")
        ours.save(folder / "ours.keras")
        theirs.save(folder / "theirs.keras")
        back = eager(keras.models.load_model(folder / "ours.keras"))
        assert_all(compare_training(case, settings, ours, back, steps))
        found = load_model(folder / "theirs.keras", backend=backend)
        assert_all(compare_training(case, settings, found, theirs, steps))


@pytest.mark.parametrize("seed", slow_except(range(80), "1", *map(str, range(len(SETTINGS), len(OPTIMIZERS)))))
def test_archives_of_random_models(seed: int, tmp_path: Path) -> None:
    check_archives(*random_case(seed), BACKENDS[seed % 2], tmp_path)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", slow_except(LAYERS, "BatchNormalization"))
def test_archives_of_models_with_other_layers(kind: str, backend: str, tmp_path: Path) -> None:
    case = Case((9, 8, 4), ("relu", "tanh", "softmax"), features=6, batch=11, between=kind)
    check_archives(case, SGDSettings(0.0625, momentum=0.875), backend, tmp_path)


def nested(case: Case, settings: OptimizerSettings, program: Any, **options: Any) -> Any:
    """Return the compiled network of a case with a model in a model in the model, in scratch or in Keras."""
    *hidden, last = case.layers(program.layers)
    core = program.Sequential([program.layers.Input(case.input_shape), *hidden], name="core", **options)
    middle = program.Sequential([core], name="middle", **options)
    model = program.Sequential([program.layers.Input(case.input_shape), middle, last], **options)
    model.set_weights(case.data[2])
    model.compile(settings.create(program.optimizers), "categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "backend"), [("BatchNormalization", "numba"), ("Dropout", "numpy")])
def test_archives_of_nested_models(kind: str, backend: str, tmp_path: Path) -> None:
    case, settings = Case((6, 4), ("relu", "softmax"), features=5, batch=11, between=kind), DEFAULT_ADAM
    ours, theirs = nested(case, settings, scratch, backend="numpy"), eager(nested(case, settings, keras))
    train(case, ours, theirs)
    assert next(iter(ours.weights_by_name)) == "middle/core/dense_0/W"
    check_archives(case, settings, backend, tmp_path, (ours, theirs), steps=4)


@pytest.mark.parametrize(("kind", "backend"), [("L1", "numpy"), ("L2", "numba"), ("L1L2", "numpy")])
def test_archives_of_models_with_regularizers(
    kind: str, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The penalties of the bias are those of the case, an L2."""
    l1, l2 = PENALTIES["W"]
    monkeypatch.setitem(PENALTIES, "W", (l1 * ("L1" in kind), l2 * ("L2" in kind)))
    case = Case((6, 4), ("tanh", "softmax"), features=5, batch=7, regularized=True)
    assert type(case.layers(scratch.layers)[0].kernel_regularizer).__name__ == kind
    check_archives(case, SGDSettings(0.0625, momentum=0.875), backend, tmp_path, steps=4)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_archives_of_models_with_the_default_betas_of_adam(backend: str, tmp_path: Path) -> None:
    case = Case((6, 4), ("tanh", "softmax"), features=5, batch=7)
    check_archives(case, DEFAULT_ADAM, backend, tmp_path)


@pytest.mark.parametrize(("schedule", "backend"), [(exponential, "numpy"), (piecewise, "numba")])
def test_archives_of_models_with_a_schedule(schedule: Create, backend: str, tmp_path: Path) -> None:
    """Saved in the middle of a training, whose learning rate changes in the steps after it."""
    case, settings = Case((6, 4), ("tanh", "softmax"), features=5, batch=7), SGDSettings(momentum=0.875)
    ours, theirs = trained_pair(case, settings, backend, schedule)
    ours.save(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    found = load_model(tmp_path / "theirs.keras", backend=backend)
    back = eager(keras.models.load_model(tmp_path / "ours.keras"))
    assert ours.optimizer.learning_rate == found.optimizer.learning_rate == float(back.optimizer.learning_rate)
    assert found.optimizer.get_config() == ours.optimizer.get_config()
    assert back.optimizer.get_config()["learning_rate"] == theirs.optimizer.get_config()["learning_rate"]
    assert_all(compare_training(case, settings, ours, back))
    assert_all(compare_training(case, settings, found, theirs))
    assert ours.optimizer.learning_rate == float(back.optimizer.learning_rate) < 0.0625


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("settings", slow_except(WITH_STATE, str(WITH_STATE[0])))
def test_weights_files(settings: OptimizerSettings, backend: str, tmp_path: Path) -> None:
    """Loaded by models whose optimizer is new: the files hold its state."""
    case = random_case(1)[0]
    if settings not in OPTIMIZERS:
        case = replace(case, dtype="float32")
    with floatx(case.dtype):
        ours, theirs = trained_pair(case, settings, backend)
        ours.save_weights(tmp_path / "ours.weights.h5")
        theirs.save_weights(tmp_path / "theirs.weights.h5")
        loaded = case.scratch_model(backend, settings)
        loaded.load_weights(tmp_path / "theirs.weights.h5")
        back = eager(case.keras_model(settings))
        back.optimizer.build(back.trainable_variables)
        back.load_weights(tmp_path / "ours.weights.h5")
        assert_all(compare_training(case, settings, loaded, theirs))
        assert_all(compare_training(case, settings, ours, back))


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_of_archives(backend: str, tmp_path: Path) -> None:
    case, settings = random_case(1)[0], SGDSettings(0.0625, momentum=0.875)
    with floatx(case.dtype):
        theirs, loaded = trained_pair(case, settings, backend)[1], case.scratch_model(backend, settings)
        theirs.save(tmp_path / "theirs.keras")
        loaded.load_weights(tmp_path / "theirs.keras")
        assert_all(compare_training(case, settings, loaded, theirs))
        loaded.save(tmp_path / "ours.keras")
        theirs.load_weights(tmp_path / "ours.keras")
        assert_all(compare_training(case, settings, loaded, theirs))


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", ["sparse_categorical_crossentropy"], None])
@pytest.mark.parametrize("metrics", slow_except([["accuracy"], [["accuracy"]], None], "[['accuracy']]"))
def test_archives_of_keras_with_lists_or_without_a_loss(loss: Any, metrics: Any, tmp_path: Path) -> None:
    theirs = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    theirs.compile("adam", loss, metrics=metrics)
    x, y = np.ones((6, 4), "float32"), np.arange(6) % 3
    if loss:
        theirs.fit(x, y, verbose=0)
    theirs.save(tmp_path / "m.keras")
    if not loss:
        with pytest.warns(UserWarning, match=r"^The model was compiled without a loss, .*; call compile after loading"):
            ours = load_model(tmp_path / "m.keras")
        assert ours.optimizer is None
        np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5)
        return
    ours = load_model(tmp_path / "m.keras")
    assert ours.evaluate(x, y, verbose=0) == pytest.approx(theirs.evaluate(x, y, verbose=0), rel=1e-5)

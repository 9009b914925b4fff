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
from parity_tests.reference.cases import Case
from parity_tests.checks.checks import BACKENDS, SETTINGS, U32
from parity_tests.checks.compare import Comparison, assert_all, compare, equal, same
from parity_tests.reference.error_model import LAMBDA, Known, Settings, exact
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
    activations = [str(name) for name in rng.choice(ACTIVATIONS, depth)]
    if activations[-1] == "sigmoid":  # whose input Keras takes for a softmax's logits (``_keras_logits``)
        activations[-1] = "tanh"
    case = Case(
        tuple(widths),
        tuple(activations),
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


# --- every setting ------------------------------------------------------------------------------------------------


def keras_class(name: str) -> str:
    return name.title().replace("_", "")


def comparable(config: Any) -> Any:
    """A config of Keras's without what differs from object to object or has no meaning."""
    if isinstance(config, dict):
        dropped = {"shared_object_id", "build_config", "seed"}
        return {key: comparable(value) for key, value in config.items() if key not in dropped}
    return [comparable(value) for value in config] if isinstance(config, list | tuple) else config


def there_and_back(model: keras.Sequential, folder: Path) -> tuple[Sequential, keras.Sequential]:
    """A Keras model opened by scratch, and that one saved and opened by Keras."""
    model.save(folder / "theirs.keras")
    ours = load_model(folder / "theirs.keras", backend="numpy")
    ours.save(folder / "ours.keras")
    return ours, keras.models.load_model(folder / "ours.keras")


OTHER_DTYPE = "float64" if FRAMEWORK == "tensorflow" else "float32"  # Keras on the others has no float64


def every_layer() -> list[kl.Layer]:
    return [
        kl.Flatten(name="rows"),
        *(kl.Dense(4, activation=name) for name in ACTIVATIONS),
        *(kl.Dense(3, kernel_initializer=name, bias_initializer=name) for name in initializers.INITIALIZERS),
        kl.Dense(5, use_bias=False, kernel_initializer=keras.initializers.HeNormal(seed=3), dtype=OTHER_DTYPE),
        *(kl.Activation(name) for name in ACTIVATIONS),
        kl.ReLU(),
        kl.Softmax(),
    ]


def test_every_layer_activation_and_initializer_comes_back_as_it_was(tmp_path: Path) -> None:
    theirs = keras.Sequential([keras.Input((4, 3), name="input_layer"), *every_layer()], name="all_of_them")
    ours, back = there_and_back(theirs, tmp_path)
    assert comparable(back.get_config()) == comparable(theirs.get_config())
    assert [(layer.name, type(layer).__name__) for layer in ours.layers] == [
        (layer.name, type(layer).__name__) for layer in theirs.layers
    ]
    assert (ours.loss, ours.optimizer, back.compiled) == (None, None, False)
    assert_all([same("weights", a, b) for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True)])
    assert_all([same("weights", a, b) for a, b in zip(back.get_weights(), theirs.get_weights(), strict=True)])


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_setting_of_the_optimizer_comes_back_as_it_was(settings: Settings, tmp_path: Path) -> None:
    theirs = keras.Sequential([keras.Input((3,)), kl.Dense(2)])
    theirs.compile(keras.optimizers.SGD(**settings._asdict()), "categorical_crossentropy")
    theirs.optimizer.iterations.assign(7)
    ours, back = there_and_back(theirs, tmp_path)
    assert {key: getattr(ours.optimizer, key) for key in settings._fields} == settings._asdict()
    assert back.optimizer.get_config() | {"name": theirs.optimizer.name} == theirs.optimizer.get_config()
    assert ours.optimizer.iterations == int(back.optimizer.iterations) == 7


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
@pytest.mark.parametrize(
    ("loss", "metrics", "names"),
    [
        (keras.losses.CategoricalCrossentropy(label_smoothing=0.25), ["acc"], ["acc"]),
        (
            keras.losses.CategoricalCrossentropy(True),
            lambda: [keras.metrics.CategoricalAccuracy(name="right")],
            ["right"],
        ),
        (keras.losses.SparseCategoricalCrossentropy(True), ["sparse_categorical_accuracy"], None),
        ("sparse_categorical_crossentropy", None, []),
        ("categorical_crossentropy", ["accuracy", "categorical_accuracy"], None),
        (keras.losses.categorical_crossentropy, [keras.metrics.categorical_accuracy], ["categorical_accuracy"]),
    ],
)
def test_every_loss_and_metric_comes_back_as_it_was(
    loss: Any, metrics: Any, names: list[str] | None, reduction: str, tmp_path: Path
) -> None:
    metrics = metrics() if callable(metrics) else metrics  # an object keeps what it has seen
    last = None if getattr(loss, "from_logits", False) else "softmax"
    theirs = keras.Sequential([keras.Input((3,)), kl.Dense(2, last)])
    if isinstance(loss, keras.losses.Loss):
        loss.reduction = reduction
    theirs.compile("sgd", loss, metrics=metrics)
    ours, back = there_and_back(theirs, tmp_path)
    wanted = (
        loss if isinstance(loss, keras.losses.Loss) else keras.losses.get(keras_class(getattr(loss, "__name__", loss)))
    )
    assert ours.loss is not None
    assert [metric.name for metric in ours.metrics] == (metrics or [] if names is None else names)
    assert back.loss.get_config() == wanted.get_config()
    assert type(ours.loss).__name__ == type(back.loss).__name__ == type(wanted).__name__
    for key in ("from_logits", "label_smoothing", "reduction"):
        assert getattr(ours.loss, key) == wanted.get_config().get(key, 0.0)
    x, y = np.ones((4, 3), "float32"), np.array([0, 1, 1, 1])
    y = y if "Sparse" in type(wanted).__name__ else np.eye(2, dtype="float32")[y]
    for model in (theirs, back):
        eager(model)
    found = [model.test_on_batch(x, y, return_dict=True) for model in (theirs, ours, back)]
    assert list(found[0]) == list(found[1]) == list(found[2])
    for logs in found:
        del logs["loss"]  # as close as the error model says; see the random architectures
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("compiled", [False, True])
def test_a_model_that_is_not_built_yet(compiled: bool, tmp_path: Path) -> None:
    theirs = keras.Sequential([kl.Dense(3, activation="relu"), kl.Dense(2)])
    if compiled:
        theirs.compile("sgd", "categorical_crossentropy")
    ours, back = there_and_back(theirs, tmp_path)
    assert (ours.built, back.built) == (False, False)
    assert (ours.optimizer is not None, back.compiled) == (compiled, compiled)
    assert ours(np.ones((2, 5))).shape == (2, 2)


def test_a_model_that_data_has_built(tmp_path: Path) -> None:
    theirs = keras.Sequential([kl.Dense(3), kl.Dense(2)])
    theirs.build((5, 4))  # Keras then writes a shape with the batch in it
    ours, back = there_and_back(theirs, tmp_path)
    assert ours.input_shape == back.input_shape == (None, 4)
    assert_all([same("weights", a, b) for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True)])


def test_a_model_without_layers(tmp_path: Path) -> None:
    for layers_of_it in ([], [keras.Input((3,))]):
        ours, back = there_and_back(keras.Sequential(layers_of_it), tmp_path)
        assert (ours.layers, back.layers) == ([], [])
        assert ours.input_shape == ((None, 3) if layers_of_it else None)


def test_compile_false_leaves_what_scratch_lacks_unread(tmp_path: Path) -> None:
    theirs = keras.Sequential([keras.Input((3,)), kl.Dense(2)])
    theirs.compile("adam", "mse")
    theirs.save(tmp_path / "adam.keras")
    with pytest.raises(FileError, match=r"'adam.*' is a 'Adam' of 'keras\.optimizers', which scratch does not have"):
        load_model(tmp_path / "adam.keras")
    ours = load_model(tmp_path / "adam.keras", compile=False)
    assert ours.optimizer is None
    assert_all([same("weights", a, b) for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True)])


# --- what scratch lacks -------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="mine")
class Dense2(kl.Dense):
    """A layer of one's own; scratch must not take it for Keras's."""


def model_of(*parts: Any) -> Callable[[], keras.Model]:
    return lambda: keras.Sequential([keras.Input((4, 4, 1)), *(part() for part in parts)])


def compiled_with(optimizer: Any = "sgd", loss: Any = "categorical_crossentropy", **options: Any) -> Callable[[], Any]:
    def make() -> keras.Model:
        model = keras.Sequential([keras.Input((3,)), kl.Dense(2)])
        model.compile(optimizer() if callable(optimizer) else optimizer, loss, **options)
        return model

    return make


def frozen() -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), kl.Dense(2, name="d")])
    model.layers[0].trainable = False
    return model


def functional() -> keras.Model:
    inputs = keras.Input((3,))
    return keras.Model(inputs, kl.Dense(2)(inputs))


SGD_ = keras.optimizers.SGD
LACKING: dict[str, tuple[Callable[[], keras.Model], str]] = {
    "Conv2D": (model_of(lambda: kl.Conv2D(2, 3, name="c")), "layer 'c' is a 'Conv2D' of 'keras.layers'"),
    "Dropout": (model_of(lambda: kl.Dropout(0.5)), "layer 'dropout.*' is a 'Dropout'"),
    "Lambda": (model_of(lambda: kl.Lambda(lambda x: x)), "layer 'lambda.*' is a 'Lambda'"),
    "own": (model_of(lambda: Dense2(2)), "layer 'dense2.*' is a 'Dense2' of"),
    "nested": (model_of(lambda: keras.Sequential([kl.Dense(2)], name="inner")), "layer 'inner' is a 'Sequential'"),
    "functional": (functional, "model 'functional.*' is a 'Functional' of 'keras.*it has Sequential"),
    "frozen": (frozen, r"layer 'd' \(Dense\) has trainable=False"),
    "gelu": (model_of(lambda: kl.Dense(2, activation="gelu", name="d")), "layer 'd' .*Unknown activation 'gelu'"),
    "regularizer": (model_of(lambda: kl.Dense(2, kernel_regularizer="l2", name="d")), "'d'.*kernel_regularizer='L2'"),
    "activity": (model_of(lambda: kl.Dense(2, activity_regularizer="l1", name="d")), "'d'.*activity_regularizer='L1'"),
    "constraint": (model_of(lambda: kl.Dense(2, bias_constraint="non_neg", name="d")), "'d'.*bias_constraint='NonNeg'"),
    "initializer": (
        model_of(lambda: kl.Dense(2, kernel_initializer="lecun_normal", name="d")),
        "'d'.*kernel_initializer='LecunNormal', which scratch does not know .*it has GlorotUniform",
    ),
    "stddev": (
        model_of(lambda: kl.Dense(2, bias_initializer=keras.initializers.RandomNormal(stddev=1.0), name="d")),
        "'d'.*bias_initializer='RandomNormal'.*stddev=1.0",
    ),
    "mixed": (model_of(lambda: kl.Dense(2, dtype="mixed_float16", name="d")), "'d'.*dtype.*'mixed_float16'"),
    "float16": (model_of(lambda: kl.Flatten(dtype="float16", name="f")), "'f'.*dtype.*'float16'"),
    "max_value": (model_of(lambda: kl.ReLU(max_value=6, name="r")), r"'r' \(ReLU\) has max_value=6"),
    "slope": (model_of(lambda: kl.ReLU(negative_slope=0.5, name="r")), r"'r' \(ReLU\) has negative_slope=0.5"),
    "axis": (model_of(lambda: kl.Softmax(axis=1, name="s")), r"'s' \(Softmax\) has axis=1"),
    "channels": (model_of(lambda: kl.Flatten("channels_first", name="f")), "'f'.*data_format='channels_first'"),
    "Adam": (compiled_with("adam"), "optimizer 'adam.*' is a 'Adam'"),
    "schedule": (
        compiled_with(lambda: SGD_(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))),
        r"optimizer 'sgd.*' \(SGD\) has learning_rate='ExponentialDecay'",
    ),
    "ema": (compiled_with(lambda: SGD_(use_ema=True)), r"\(SGD\) has use_ema=True"),
    "accumulation": (compiled_with(lambda: SGD_(gradient_accumulation_steps=4)), "has gradient_accumulation_steps=4"),
    "loss scale": (compiled_with(lambda: SGD_(loss_scale_factor=4.0)), "has loss_scale_factor=4.0"),
    "mse": (compiled_with(loss="mse"), "Unknown loss 'mse'"),
    "focal": (compiled_with(loss=keras.losses.CategoricalFocalCrossentropy()), "is a 'CategoricalFocalCrossentropy'"),
    "ignored class": (
        compiled_with(loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=1)),
        r"\(SparseCategoricalCrossentropy\) has ignore_class=1",
    ),
    "loss axis": (compiled_with(loss=keras.losses.CategoricalCrossentropy(axis=1)), "has axis=1"),
    "mean": (compiled_with(loss=keras.losses.CategoricalCrossentropy(reduction="mean")), "Unknown reduction 'mean'"),
    "AUC": (compiled_with(metrics=["auc"]), "Unknown metric 'auc'"),
    "metric": (compiled_with(metrics=[keras.metrics.Precision(name="p")]), "metric 'p' is a 'Precision'"),
    "weighted": (compiled_with(weighted_metrics=["accuracy"]), "compiled with weighted_metrics=a list"),
    "loss weights": (compiled_with(loss_weights=[2.0]), "compiled with loss_weights=a list"),
}


@pytest.mark.parametrize("name", LACKING)
def test_what_scratch_lacks_is_named_and_nothing_is_loaded(name: str, tmp_path: Path) -> None:
    make, message = LACKING[name]
    path = tmp_path / "model.keras"
    make().save(path)
    with pytest.raises(FileError, match=f"(?s){re.escape(str(path))}.*{message}") as error:
        load_model(path)
    assert "\n" not in str(error.value)


def test_what_keras_lacks_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    class Mine(Dense):
        pass

    class Rate(SGD):
        pass

    path = tmp_path / "model.keras"
    own_optimizer = Sequential([Dense(2)])
    own_optimizer.compile(Rate(), losses.CategoricalCrossentropy())
    for model, message in (
        (Sequential([Mine(2, name="m")]), "The layer 'm' is a Mine, which has no counterpart in Keras"),
        (Sequential([Dense(2, name="a/b")]), "'a/b' is not a name in Keras"),
        (own_optimizer, "The optimizer is a Rate, which has no counterpart"),
    ):
        with pytest.raises(FileError, match=f"{re.escape(str(path))}: .*{message}"):
            model.save(path)
        assert not list(tmp_path.iterdir())


def test_an_initializer_of_ones_own_is_not_missed_once_there_are_weights(tmp_path: Path) -> None:
    model = Sequential([Dense(2, kernel_initializer=lambda shape, rng: np.full(shape, 3.0), input_shape=(4,))])
    model.save(tmp_path / "model.keras")
    back = keras.models.load_model(tmp_path / "model.keras")
    assert_all([same("weights", a, b) for a, b in zip(model.get_weights(), back.get_weights(), strict=True)])


def test_a_layer_may_have_the_name_of_the_input(tmp_path: Path) -> None:
    model = Sequential([layers.Dense(2, name="input_layer", input_shape=(4,))])
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").layers[0].name == "input_layer"

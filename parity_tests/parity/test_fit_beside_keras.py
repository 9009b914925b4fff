"""Arguments of ``fit`` and ``predict`` beside Keras: steps, validation intervals, streams, weights of samples."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

import keras_impl
import scratch
from parity_tests.conftest import slow_except

RNG = np.random.default_rng(6)
X, LABELS = RNG.normal(size=(47, 4)).astype("float32"), RNG.integers(3, size=47)
WEIGHTS = RNG.uniform(0, 2, 47).astype("float32")
SIZE = 10


def compile_model(model: Any, **named: Any) -> None:
    """Compile a model of either program; Keras's runs without a graph, whose compilation would take a second."""
    eagerly = isinstance(model, keras.Sequential)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=eagerly, **named)


def batch(i: int) -> tuple[np.ndarray, ...]:
    return tuple(array[SIZE * i : SIZE * i + SIZE] for array in (X, LABELS, WEIGHTS))


def stream() -> Iterator[tuple[np.ndarray, ...]]:
    while True:
        yield from map(batch, range(4))  # full batches: Keras does not take other shapes from a generator


def data_set(base: Any) -> Any:
    """Return a data set derived from ``PyDataset`` of either program."""

    def get_item(self: Any, i: int) -> tuple[np.ndarray, ...]:
        return batch(i)

    methods = {"__len__": lambda self: math.ceil(len(X) / SIZE), "__getitem__": get_item}
    return type("Batches", (base,), methods)()


def arguments(program: Any) -> dict[str, dict[str, Any]]:
    """Return arguments of ``fit`` by a name, for either program."""
    arrays = {"x": X, "y": LABELS, "batch_size": SIZE}
    return {
        "weights": arrays | {"sample_weight": WEIGHTS, "validation_split": 0.25},
        "classes": arrays | {"class_weight": {0: 3.0, 2: 0.5}, "validation_data": (X[:9], LABELS[:9], WEIGHTS[:9])},
        "classes and a split": arrays | {"class_weight": {0: 10.0, 1: 0.0}, "validation_split": 0.5},
        "a split that is not used": arrays | {"validation_split": 0.25, "validation_data": (X[:9], LABELS[:9])},
        "partial passes": arrays | {"steps_per_epoch": 2},
        "steps without a size": {"x": X, "y": LABELS, "steps_per_epoch": 3},
        "intervals": arrays | {"validation_data": (X, LABELS), "validation_freq": 2, "validation_batch_size": 7},
        "epochs to validate": arrays | {"validation_data": (X, LABELS), "validation_freq": [1, 4]},
        "part of the validation": arrays | {"validation_data": (X, LABELS), "validation_steps": 2},
        "generator": {"x": stream(), "steps_per_epoch": 3, "validation_data": data_set(program.utils.PyDataset)},
        "data set": {"x": data_set(program.utils.PyDataset), "validation_data": data_set(program.utils.PyDataset)},
        "part of a data set": {"x": data_set(program.utils.PyDataset), "steps_per_epoch": 2},
        "data set and classes": {"x": UnweightedBatches(program), "class_weight": {1: 2.0}},
    }


def UnweightedBatches(program: Any) -> Any:  # noqa: N802 (a class of either program)
    made = data_set(program.utils.PyDataset)
    type(made).__getitem__ = lambda self, i: batch(i)[:2]
    return made


@pytest.mark.parametrize(
    "name", slow_except(arguments(scratch), "steps without a size", "part of a data set", "generator")
)
def test_histories_and_weights_agree(name: str) -> None:
    """At most 25 steps.  Values are near 1: their roundings add up to less than 1e-5."""
    ours = scratch.Sequential([scratch.layers.Dense(3, "softmax", input_shape=(4,))])
    theirs = keras_impl.to_keras(ours)
    results = []
    for program, model in ((scratch, ours), (keras, theirs)):
        compile_model(model, weighted_metrics=["accuracy"])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*(ran out of data|steps_per_epoch)")
            results.append(model.fit(**arguments(program)[name], epochs=5, shuffle=False, verbose=0))
    histories = [result.history for result in results]
    assert list(histories[0]) == list(histories[1])
    for key, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][key], rtol=0, atol=1e-5, err_msg=key)
    for W, V in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(W, V, rtol=0, atol=1e-5)


def permuted_batches(program: Any) -> Any:
    """Return a data set that permutes its rows before every epoch, and logs what is called."""

    class Permuted(program.utils.Sequence):  # another name of PyDataset
        def __init__(self) -> None:
            super().__init__(workers=1)
            self.log: list[Any] = []
            self.rows = np.arange(40)

        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> tuple[np.ndarray, ...]:
            self.log.append(i)
            rows = self.rows[SIZE * i : SIZE * i + SIZE]
            return X[rows], LABELS[rows]

        def on_epoch_begin(self) -> None:
            self.log.append("begin")
            self.rows = np.roll(self.rows, 7)

        def on_epoch_end(self) -> None:
            self.log.append("end")

    return Permuted()


def test_the_hooks_of_a_data_set() -> None:
    """Both programs read batches first that show the shapes; then hooks and batches have one order."""
    ours = scratch.Sequential([scratch.layers.Dense(3, "softmax", input_shape=(4,))])
    results, logs = [], []
    for program, model in ((scratch, ours), (keras, keras_impl.to_keras(ours))):
        compile_model(model)
        model.evaluate(X, LABELS, verbose=0)  # otherwise Keras on JAX begins an epoch to see what the metrics need
        sets = [permuted_batches(program) for _ in range(4)]
        history = model.fit(sets[0], epochs=3, shuffle=False, verbose=0, validation_data=sets[1]).history
        results.append([*history.values(), model.evaluate(sets[2], verbose=0), model.predict(sets[3], verbose=0)])
        logs.append([data.log[data.log.index("begin") :] for data in sets])
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5)
    epoch = ["begin", 0, 1, 2, 3, "end"]
    assert logs[0] == [epoch * 3, epoch * 3, epoch, epoch]
    # Before each validation but the first, Keras also ends an epoch that has not begun.
    assert logs[1] == [epoch * 3, [*epoch, *["end", *epoch] * 2], epoch, epoch]


def test_streams_that_end_early() -> None:
    """Both programs warn; what was evaluated before counts."""
    ours = scratch.Sequential([scratch.layers.Dense(3, "softmax", input_shape=(4,))])
    results = []
    for model in (ours, keras_impl.to_keras(ours)):
        compile_model(model)
        found = []
        for call in (
            lambda m: m.evaluate((batch(i)[:2] for i in range(3)), steps=10, verbose=0),
            lambda m: m.predict((batch(i)[:2] for i in range(3)), steps=10, verbose=0),
            lambda m: m.fit(
                (batch(i)[:2] for i in range(3)), steps_per_epoch=2, epochs=2, shuffle=False, verbose=0
            ).history["loss"],
        ):
            with pytest.warns(UserWarning, match=r"(ran out of data|generator has)"):
                found.append(call(model))
        results.append(found)
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("validation", [{}, {"validation_data": (X, LABELS), "validation_freq": 2}], ids=["none", "2"])
def test_csv_files_have_the_same_columns(validation: dict[str, Any], tmp_path: Path) -> None:
    ours = scratch.Sequential([scratch.layers.Dense(3, "softmax", input_shape=(4,))])
    rows = []
    for program, model in ((scratch, ours), (keras, keras_impl.to_keras(ours))):
        compile_model(model)
        schedule = program.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
        logger = program.callbacks.CSVLogger(str(tmp_path / "log.csv"))
        model.fit(X, LABELS, SIZE, 3, 0, [schedule, logger], shuffle=False, **validation)
        rows.append([line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines()])
    (names, *lines), (keras_names, *keras_lines) = rows
    assert sorted(names) == sorted(keras_names)
    for line, keras_line in zip(lines, keras_lines, strict=True):
        values, keras_values = dict(zip(names, line, strict=True)), dict(zip(keras_names, keras_line, strict=True))
        assert {name for name in names if values[name] == "NA"} == {n for n in names if keras_values[n] == "NA"}
        for name in set(names) - {n for n in names if values[n] == "NA"}:
            assert float(values[name]) == pytest.approx(float(keras_values[name]), abs=1e-5)


def test_methods_for_one_batch() -> None:
    ours = scratch.Sequential([scratch.layers.Dense(3, "softmax", input_shape=(4,))])
    theirs = keras_impl.to_keras(ours)
    weighted = ["sparse_categorical_accuracy"]
    for model in (ours, theirs):
        compile_model(model, weighted_metrics=weighted)
    for call in (
        lambda m: m.train_on_batch(X, LABELS, sample_weight=WEIGHTS),
        lambda m: m.train_on_batch(X, LABELS, class_weight={0: 2.0}),
        lambda m: m.test_on_batch(X, LABELS, sample_weight=WEIGHTS),
        lambda m: m.evaluate(X, LABELS, sample_weight=WEIGHTS, batch_size=SIZE, verbose=0),
    ):
        for model in (ours, theirs):
            model.reset_metrics()
        np.testing.assert_allclose(call(ours), call(theirs), rtol=0, atol=1e-5)


def test_predict_takes_the_same_streams() -> None:
    ours = scratch.Sequential([scratch.layers.Dense(3, "softmax", input_shape=(4,))])
    results = []
    for program, model in ((scratch, ours), (keras, keras_impl.to_keras(ours))):
        data = data_set(program.utils.PyDataset)
        options = [(X, {"steps": 3}), (data, {}), (data, {"steps": 2}), (stream(), {"steps": 2})]
        options.append(((batch(i)[:1] for i in range(4)), {"steps": 4}))
        results.append([model.predict(x, verbose=0, **given) for x, given in options])
    for mine, keras_output in zip(*results, strict=True):
        np.testing.assert_allclose(mine, keras_output, rtol=0, atol=1e-6)


def test_calls_as_in_training() -> None:
    """Each call draws another mask, and updates the moving statistics: values near 1, in five calls."""
    layers = scratch.layers
    ours = scratch.Sequential([layers.BatchNormalization(momentum=0.5, input_shape=(4,)), layers.Dropout(0.5)])
    theirs = keras_impl.to_keras(ours)
    for model in (ours, theirs):
        outputs = [np.asarray(model(X, training=True)) for _ in range(5)]
        assert np.std(outputs, axis=0).max() > 0.5
    for W, V in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(W, V, rtol=0, atol=1e-5)


@pytest.mark.parametrize("program", [scratch, keras])
def test_a_layer_without_a_model_follows_the_seed(program: Any) -> None:
    """Also, a model's initial weights do not depend on the Dropout of another one."""
    masks, kernels = [], []
    for _ in range(2):
        program.utils.set_random_seed(0)
        masks.append(np.asarray(program.layers.Dropout(0.5)(np.ones((1, 99), "float32"), training=True)))
    np.testing.assert_array_equal(*masks)
    if program is keras:
        return  # where every layer draws from one generator
    for hidden in ([], [scratch.layers.Dropout(0.5)]):
        program.utils.set_random_seed(0)
        program.Sequential([program.Input((4,)), *hidden])
        kernels.append(program.Sequential([program.layers.Dense(3, input_shape=(4,))]).get_weights()[0])
    np.testing.assert_array_equal(*kernels)


def test_a_data_frame_with_columns_of_several_dtypes() -> None:
    frame = pd.DataFrame({"a": [0.5, 1.5, 2.5, 3.5], "b": [True, False, True, True], "c": [1, 2, 3, 4]})
    ours = scratch.Sequential([scratch.layers.Dense(1, input_shape=(3,))])
    results = []
    for model in (ours, keras_impl.to_keras(ours)):
        model.compile("sgd", "mse")
        history = model.fit(frame, frame["a"], shuffle=False, verbose=0).history["loss"]
        results.append([*history, *model.predict(frame, verbose=0).ravel()])
    np.testing.assert_allclose(*results, rtol=1e-5)
    for labels in (list("abcd"), pd.Series(list("abcd")), pd.Series([1, "a", 2, 3]), pd.Categorical(list("abcd"))):
        with pytest.raises(ValueError, match=r"^y must hold real numbers; got dtype"):
            ours.fit(frame, labels)
    frame["d"] = list("abcd")
    with pytest.raises(ValueError, match="x must hold real numbers; got dtype object"):
        ours.predict(frame)
    frame["d"] = pd.array([1, None, 2, 3], "Int64")
    with pytest.raises(ValueError, match=r"x must hold finite numbers; got nan at index \(1, 3\)"):
        ours.predict(frame)

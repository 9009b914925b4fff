"""Weights of samples and classes, several epochs in one pass, validations at intervals, generators and data sets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scratch.callbacks import BackupAndRestore, EarlyStopping, LambdaCallback, LearningRateScheduler, ModelCheckpoint
from scratch.layers import Dense
from scratch.losses import BinaryCrossentropy, CategoricalCrossentropy, Loss, MeanSquaredError
from scratch.models import Sequential, load_model
from scratch.ops import BACKENDS
from scratch.optimizers import SGD
from scratch.sample_weights import weights_of
from scratch.sources import is_stream
from scratch.utils import PyDataset, set_random_seed

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(23, 4)), RNG.integers(3, size=23)
Y, WEIGHTS = np.eye(3)[LABELS], RNG.uniform(0, 2, 23)


def new_model(
    loss: str | Loss = "categorical_crossentropy", last: str | None = "softmax", **options: Any
) -> Sequential:
    set_random_seed(0)
    model = Sequential([Dense(3, last, input_shape=(4,))], dtype="float64", backend=options.pop("backend", "numpy"))
    model.compile(SGD(0.5), loss, metrics=["accuracy"], **options)
    return model


def weights(model: Sequential) -> list[bytes]:
    return [W.tobytes() for W in model.weights]


class Batches(PyDataset):
    """The samples in batches of 5."""

    def __init__(self, *arrays: np.ndarray) -> None:
        super().__init__()
        self.arrays, self.taken, self.epochs = arrays, [], 0

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        self.taken.append(index)
        return tuple(array[5 * index : 5 * index + 5] for array in self.arrays)

    def on_epoch_end(self) -> None:
        self.epochs += 1


def stream(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    while True:
        yield from (Batches(*arrays)[i] for i in range(5))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
@pytest.mark.parametrize("loss_class", [CategoricalCrossentropy, BinaryCrossentropy, MeanSquaredError])
@pytest.mark.parametrize("last", ["softmax", "sigmoid", None])
def test_one_weighted_step_beside_unweighted_ones(
    last: str | None, loss_class: type[Loss], reduction: str, backend: str
) -> None:
    """The gradient is the weighted sum of the gradients of the samples alone, divided by N for a mean."""
    if last is None and loss_class is not MeanSquaredError:
        loss: Loss = loss_class(from_logits=True, reduction=reduction)  # type: ignore[call-arg]
    else:
        loss = loss_class(reduction=reduction)  # type: ignore[call-arg]
    model = new_model(loss, last, backend=backend)
    alone = [model.gradients(X[i : i + 1], Y[i : i + 1]) for i in range(len(X))]
    divisor = len(X) if reduction == "sum_over_batch_size" else 1
    value = sum(w * one[0] for w, one in zip(WEIGHTS, alone, strict=True)) / divisor
    before = model.get_weights()
    assert model.test_on_batch(X, Y, WEIGHTS)[0] == pytest.approx(value, rel=1e-6)
    assert model.train_on_batch(X, Y, WEIGHTS)[0] == pytest.approx(value, rel=1e-6)
    for k, (W, old) in enumerate(zip(model.get_weights(), before, strict=True)):
        step = sum(w * one[1][k] for w, one in zip(WEIGHTS, alone, strict=True)) / divisor
        np.testing.assert_allclose(W, old - 0.5 * step, rtol=1e-9, atol=1e-12)


def test_class_weights_are_weights_of_samples() -> None:
    by_class = {0: 2.0, 2: 0.25}
    by_sample = np.array([by_class.get(label, 1.0) for label in LABELS])
    for y, loss in ((Y, "categorical_crossentropy"), (LABELS, "sparse_categorical_crossentropy")):
        models = [new_model(loss) for _ in range(3)]
        models[0].fit(X, y, batch_size=7, epochs=2, verbose=0, class_weight=by_class)
        models[1].fit(X, y, batch_size=7, epochs=2, verbose=0, sample_weight=by_sample)
        models[2].fit(X, y, batch_size=7, epochs=2, verbose=0)
        assert weights(models[0]) == weights(models[1]) != weights(models[2])
        assert models[0].history.history == models[1].history.history
        assert models[0].train_on_batch(X, y, class_weight=by_class) == models[1].train_on_batch(
            X, y, by_sample[:, None]
        )


def test_metrics_are_not_weighted_but_weighted_metrics_are() -> None:
    model = new_model(weighted_metrics=["accuracy", "mse"])
    loss, accuracy, weighted, error = model.evaluate(X, Y, 7, 0, WEIGHTS)
    p = model.predict(X, verbose=0)
    right = p.argmax(axis=1) == LABELS
    assert [m.name for m in model.metrics] == ["accuracy", "weighted_accuracy", "mse"]
    assert accuracy == right.mean()
    assert weighted == pytest.approx((right * WEIGHTS).sum() / WEIGHTS.sum())
    assert error == pytest.approx(((p - Y) ** 2).mean(axis=1) @ WEIGHTS / WEIGHTS.sum())
    assert loss == pytest.approx(-(np.log(p[range(23), LABELS]) * WEIGHTS).mean())
    assert model.evaluate(X, Y, verbose=0)[1] == model.evaluate(X, Y, verbose=0)[2] == accuracy


def test_the_weights_of_a_split_go_to_both_sides() -> None:
    ours, given = new_model(), new_model()
    history = ours.fit(X, Y, validation_split=0.3, sample_weight=WEIGHTS, shuffle=False, verbose=0).history
    part = (X[16:], Y[16:], WEIGHTS[16:])
    given.fit(X[:16], Y[:16], sample_weight=WEIGHTS[:16], validation_data=part, shuffle=False, verbose=0)
    assert history == given.history.history
    assert history["val_loss"][0] == pytest.approx(ours.evaluate(*part[:2], verbose=0, sample_weight=part[2])[0])


def test_a_pass_over_several_epochs() -> None:
    """Five batches, two per epoch: the third epoch has the last one only, and the fourth begins a new pass."""
    steps: list[list[int]] = []
    spy = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: steps.append([]),
        on_train_batch_begin=lambda batch, logs: steps[-1].append(batch),
    )
    partial, whole = new_model(), new_model()
    with pytest.warns(UserWarning, match=r"^Epoch 3 has 1 of steps_per_epoch=2 steps: the samples end there, and the"):
        partial.fit(X, Y, batch_size=5, epochs=3, steps_per_epoch=2, verbose=0, callbacks=[spy])
    whole.fit(X, Y, batch_size=5, verbose=0)
    assert weights(partial) == weights(whole)
    partial.fit(X, Y, batch_size=5, epochs=1, steps_per_epoch=5, verbose=0, callbacks=[spy])
    assert steps == [[0, 1], [0, 1], [0], [0, 1, 2, 3, 4]]


def test_steps_without_a_batch_size_set_it() -> None:
    sizes: list[int] = []

    class Recorder(Sequential):
        def train_step(self, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
            sizes.append(len(x))
            return super().train_step(x, y)

    model = Recorder([Dense(3, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    model.fit(X, Y, steps_per_epoch=3, verbose=0)
    assert sizes == [8, 8, 7]


@pytest.mark.filterwarnings("ignore:Epoch 3 has 1 of steps_per_epoch=2")
@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_pass_over_several_epochs_is_resumed_with_the_same_bits(at: int, tmp_path: Path) -> None:
    def fit(interrupt: bool) -> Sequential:
        model = new_model()
        callbacks = [BackupAndRestore(tmp_path)]
        if interrupt:
            callbacks.append(LambdaCallback(on_epoch_begin=lambda epoch, logs: 1 / (epoch - at)))
        model.fit(X, Y, 5, 5, 0, callbacks, class_weight={0: 2.0}, steps_per_epoch=2)
        return model

    with pytest.raises(ZeroDivisionError):
        fit(interrupt=True)
    resumed, whole = fit(interrupt=False), fit(interrupt=False)
    assert weights(resumed) == weights(whole)
    assert resumed.history.history == whole.history.history


@pytest.mark.parametrize(("frequency", "epochs"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4]), ([1, 4], [1, 4]), ((9,), [])])
def test_validation_after_some_epochs(frequency: Any, epochs: list[int]) -> None:
    validated: list[int] = []
    seen = LambdaCallback(on_epoch_end=lambda epoch, logs: "val_loss" in logs and validated.append(epoch + 1))
    model = new_model()
    history = model.fit(X, Y, epochs=5, verbose=0, validation_data=(X, Y), validation_freq=frequency, callbacks=[seen])
    assert validated == epochs
    assert len(history.history.get("val_loss", [])) == len(epochs)
    assert len(history.history["loss"]) == 5


def test_the_batch_size_and_the_steps_of_a_validation() -> None:
    sizes: list[int] = []
    batches = LambdaCallback()
    batches.on_test_batch_end = lambda batch, logs: sizes.append(batch)  # type: ignore[method-assign]
    options: dict[str, Any] = {"validation_data": (X, Y), "verbose": 0, "callbacks": [batches]}
    model = new_model()
    model.fit(X, Y, batch_size=5, validation_batch_size=10, **options)
    model.fit(X, Y, batch_size=5, validation_steps=2, **options)
    assert sizes == [0, 1, 2, 0, 1]
    assert model.history.history["val_loss"][0] == model.evaluate(X, Y, 5, 0, steps=2)[0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_generator_data_set_and_arrays_train_alike(backend: str, weighted: bool) -> None:
    arrays = (X, Y, WEIGHTS) if weighted else (X, Y)
    models = [new_model(backend=backend) for _ in range(3)]
    named = dict(zip(("x", "y", "sample_weight"), arrays, strict=False))
    models[0].fit(**named, batch_size=5, epochs=2, shuffle=False, verbose=0, validation_data=arrays)
    data = Batches(*arrays)
    models[1].fit(data, epochs=2, shuffle=False, verbose=0, validation_data=Batches(*arrays))
    validation = {"validation_data": stream(*arrays), "validation_steps": 5}
    models[2].fit(stream(*arrays), epochs=2, steps_per_epoch=5, verbose=0, **validation)
    assert weights(models[0]) == weights(models[1]) == weights(models[2])
    assert models[0].history.history == models[1].history.history == models[2].history.history
    assert (data.taken, data.epochs) == ([0, *range(5), *range(5)], 2)
    expected = models[0].evaluate(**named, batch_size=5, verbose=0)
    assert models[0].evaluate(Batches(*arrays), verbose=0) == expected
    assert models[0].evaluate(stream(*arrays), steps=5, verbose=0) == expected


def test_a_data_set_is_notified_around_the_batches_of_every_epoch() -> None:
    class Recorder(Batches):
        def on_epoch_begin(self) -> None:
            self.taken.append("begin")

        def on_epoch_end(self) -> None:
            self.taken.append("end")

    epoch = ["begin", 0, 1, 2, 3, 4, "end"]
    data, validation, model = Recorder(X, Y), Recorder(X, Y), new_model()
    model.fit(data, epochs=2, shuffle=False, verbose=0, validation_data=validation)
    assert data.taken == validation.taken == [0, *epoch, *epoch]  # the first shows the shapes
    for method in (model.evaluate, model.predict):
        data = Recorder(X, Y)
        method(data, verbose=0)
        assert data.taken == [0, *epoch]
    shared = Recorder(X, Y)
    model.fit(shared, shuffle=False, verbose=0, validation_data=shared)
    assert shared.taken == [0, 0, *epoch, *epoch]


def test_the_batches_of_a_data_set_are_shuffled() -> None:
    data = Batches(X, Y)
    new_model().fit(data, epochs=3, verbose=0)
    epochs = [data.taken[i : i + 5] for i in (1, 6, 11)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(5))] * 3
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_class_weights_apply_to_a_generator() -> None:
    given, ours = new_model(), new_model()
    given.fit(X, Y, batch_size=5, shuffle=False, verbose=0, class_weight={1: 3.0})
    ours.fit(stream(X, Y), steps_per_epoch=5, verbose=0, class_weight={1: 3.0})
    assert weights(given) == weights(ours)


def test_a_generator_that_ends_early() -> None:
    model = new_model()
    with pytest.warns(UserWarning, match=r"^The generator has no more batches, so the epoch ends early") as warned:
        model.fit((batch for batch in [(X[:5], Y[:5])] * 3), steps_per_epoch=2, epochs=2, verbose=0)
    assert (model.optimizer.iterations, len(warned)) == (3, 1)


def test_a_training_whose_generator_has_ended_ends() -> None:
    logs: list[dict[str, float]] = []
    spy = LambdaCallback(on_epoch_end=lambda epoch, given: logs.append(dict(given)), on_train_end=logs.append)
    rates = LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    model = new_model()
    with pytest.warns(UserWarning, match=r"^The generator has no more batches, so the epoch ends early"):
        history = model.fit(
            iter([(X[:5], Y[:5])] * 3), epochs=5, verbose=0, callbacks=[rates, spy], steps_per_epoch=2
        ).history
    assert history["learning_rate"] == [0.1, 0.05]
    assert len(set(history["loss"])) == 2
    assert model.history.epoch == [0, 1]
    assert logs[-1] == logs[-2] == {name: values[-1] for name, values in history.items()}


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_a_generator_that_ends_in_an_evaluation(method: str) -> None:
    batches, model = [(X[:5], Y[:5])] * 3, new_model()
    with pytest.warns(UserWarning, match=r"^The generator has ended after 3 of steps=10 batches; let it yield more.$"):
        found = getattr(model, method)(iter(batches), steps=10, verbose=0)
    np.testing.assert_array_equal(found, getattr(model, method)(iter(batches), steps=3, verbose=0))


def test_a_validation_without_a_batch_has_no_values(tmp_path: Path) -> None:
    """No epoch looks better than one that was evaluated: the best weights and file are those of such an epoch."""
    model, weights_of_epochs = new_model(), []
    spy = LambdaCallback(on_epoch_end=lambda epoch, logs: weights_of_epochs.append(weights(model)))
    stopping = EarlyStopping(patience=9, restore_best_weights=True)
    checkpoint = ModelCheckpoint(tmp_path / "best.keras", save_best_only=True)
    options: dict[str, Any] = {"epochs": 4, "verbose": 0, "callbacks": [spy, stopping, checkpoint]}
    with pytest.warns(UserWarning, match="val_loss|generator") as warned:
        fit = model.fit(X, Y, validation_data=iter([(X[:5], Y[:5])] * 5), validation_steps=2, **options)
    assert [len(fit.history[name]) for name in ("loss", "val_loss")] == [4, 3]
    assert fit.history["val_loss"][2] == min(fit.history["val_loss"]) > 0
    assert stopping.best_epoch == 2
    assert weights(model) == weights(load_model(tmp_path / "best.keras")) == weights_of_epochs[2]
    texts = [str(warning.message) for warning in warned if "generator" in str(warning.message)]
    assert texts == [
        "The generator has ended after 1 of validation_steps=2 batches; let it yield more.",
        "The generator has ended after 0 of validation_steps=2 batches, so this validation has no values; "
        "let it yield more.",
    ]


def call(value: Any) -> Any:
    """Return a new iterator: mutation testing runs this module twice, and an iterator can be used once."""
    return value() if callable(value) else value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((lambda: stream(X, Y),), "A generator has no length; pass steps_per_epoch, the number of batches."),
        ((lambda: stream(X, Y), Y), "y cannot be combined with a generator or data set; its batches hold all data."),
        (
            (lambda: iter([]), {"steps_per_epoch": 1}),
            "The generator or data set must give at least one batch; got none.",
        ),
        (
            (lambda: iter([X]), {"steps_per_epoch": 1}),
            r"A generator or data set must give \(x, y\) or .*; got ndarray.",
        ),
        (
            (lambda: iter([(X,)]), {"steps_per_epoch": 1}),
            r"A generator or data set must give \(x, y\) or .*; got 1 entries.",
        ),
        ((lambda: stream(X, Y, X), {"steps_per_epoch": 1}), r"sample_weight must hold one number per sample, \(5,\)"),
        (
            (lambda: stream(X, Y), {"steps_per_epoch": 1, "validation_split": 0.1}),
            "validation_split cannot be combined",
        ),
        ((lambda: stream(X, Y), {"steps_per_epoch": 0}), "steps_per_epoch must be an integer, 1 or more; got 0"),
        ((X, Y, {"steps_per_epoch": 0}), "steps_per_epoch must be an integer, 1 or more; got 0"),
        (
            (X, Y, {"validation_data": (X, Y), "validation_batch_size": 0}),
            "validation_batch_size must be an integer, 1 or more; got 0",
        ),
        (({"x": X}, Y), "x must be an array, a generator or a data set of batches; got a dict"),
        (
            (X, Y, {"validation_data": {"x": X}}),
            "validation_data must be an array, a generator or a data set of batches",
        ),
        ((X, Y, {"validation_freq": 0}), "validation_freq must be an integer, 1 or more; got 0"),
        ((X, Y, {"validation_freq": [1, 2.5]}), "each epoch of validation_freq must be an integer, 1 or more; got 2.5"),
        ((X, Y, {"validation_data": (X,)}), r"validation_data must be a pair \(x, y\), or a triple with weights; got"),
        (
            (X, Y, {"validation_data": lambda: stream(X, Y)}),
            "A generator has no length; pass validation_steps, the number of batches.",
        ),
        ((X, Y, {"validation_data": (X, Y, X)}), r"validation sample_weight must hold one number per sample"),
        (
            (X, Y, {"sample_weight": WEIGHTS[1:]}),
            "sample_weight and y must hold the same number of samples",
        ),
        ((X, Y, {"sample_weight": WEIGHTS * np.nan}), "sample_weight must hold finite numbers; got nan"),
        ((X, Y, {"sample_weight": WEIGHTS, "class_weight": {}}), "Pass either class_weight or sample_weight, not both"),
        ((X, Y, {"class_weight": [1, 2, 3]}), r"class_weight must be a dict such as \{0: 1.0, 1: 2.0\}; got list"),
        ((X, Y, {"class_weight": {"a": 1}}), "each class of class_weight must be an integer, 0 or more; got 'a'"),
        ((PyDataset(),), "PyDataset must define __len__"),
    ],
)
def test_invalid_arguments_change_nothing(arguments: tuple[Any, ...], message: str) -> None:
    model = new_model()
    before, options = weights(model), arguments[-1] if isinstance(arguments[-1], dict) else {}
    positional = [call(a) for a in arguments if a is not options]
    with pytest.raises((ValueError, NotImplementedError), match=f"^{message}"):
        model.fit(*positional, verbose=0, **{name: call(value) for name, value in options.items()})
    assert weights(model) == before
    assert model.optimizer.iterations == 0


def test_a_generator_cannot_be_resumed(tmp_path: Path) -> None:
    for data in (Batches(X, Y), stream(X, Y)):
        with pytest.raises(ValueError, match=r"^BackupAndRestore resumes trainings on arrays only"):
            new_model().fit(data, steps_per_epoch=2, verbose=0, callbacks=[BackupAndRestore(tmp_path)])


def test_a_loss_that_cannot_be_weighted() -> None:
    class Total(Loss):
        def forward(self, y: np.ndarray, t: np.ndarray) -> np.ndarray:
            return np.asarray(((y - t) ** 2).sum())

        def backward(self) -> np.ndarray:
            return np.zeros((23, 3))

    with pytest.raises(ValueError, match=r"^The loss Total must return one number per sample for reduction='none'"):
        new_model(Total()).train_on_batch(X, Y, WEIGHTS)


def test_weighted_metrics_are_saved(tmp_path: Path) -> None:
    model = new_model(weighted_metrics=["accuracy", "mae"])
    model.save(tmp_path / "m.keras")
    loaded = load_model(tmp_path / "m.keras", backend="numpy")
    expected = model.evaluate(X, Y, verbose=0, sample_weight=WEIGHTS, return_dict=True)
    assert loaded.evaluate(X, Y, verbose=0, sample_weight=WEIGHTS, return_dict=True) == expected


def evaluated_batches(model: Sequential, *data: Any, **options: Any) -> list[int]:
    """Return the numbers of the batches that ``evaluate`` announces."""
    seen: list[int] = []
    callback = LambdaCallback(on_test_batch_end=lambda batch, _: seen.append(batch))
    model.evaluate(*data, verbose=0, callbacks=[callback], **options)
    return seen


def test_evaluate_takes_steps() -> None:
    model = new_model()
    assert evaluated_batches(model, X, Y, steps=3) == [0, 1, 2]
    assert evaluated_batches(model, X, Y, batch_size=len(X)) == [0]
    assert evaluated_batches(model, stream(X, Y), steps=2) == [0, 1]
    assert evaluated_batches(model, Batches(X, Y)) == [0, 1, 2, 3, 4]
    assert evaluated_batches(model, Batches(X, Y), steps=2) == [0, 1]
    for data, options, message in (
        ((stream(X, Y),), {}, "A generator has no length; pass steps, the number of batches."),
        ((stream(X, Y),), {"steps": 0}, "steps must be an integer, 1 or more; got 0"),
        ((X, Y), {"steps": 0}, "steps must be an integer, 1 or more; got 0"),
        ((stream(X, Y), Y), {"steps": 1}, "y cannot be combined"),
        ((stream(X, Y),), {"steps": 1, "sample_weight": WEIGHTS}, "sample_weight cannot be combined"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            model.evaluate(*data, verbose=0, **options)


def test_a_model_that_is_not_compiled_names_the_method() -> None:
    model = Sequential([Dense(3, input_shape=(4,))])
    with pytest.raises(ValueError, match=r"before fit\(\)"):
        model.fit(stream(X, Y), steps_per_epoch=1)
    with pytest.raises(ValueError, match=r"before evaluate\(\)"):
        model.evaluate(stream(X, Y), steps=1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_predict_takes_generators_and_data_sets(backend: str) -> None:
    """A batch may be x alone, or hold targets and weights, which do not matter."""
    model = new_model(backend=backend)
    expected = model.predict(X, batch_size=5, verbose=0)
    for arrays in ((X,), (X, Y), (X, Y, WEIGHTS)):
        np.testing.assert_array_equal(model.predict(Batches(*arrays), verbose=0), expected)
        np.testing.assert_array_equal(model.predict(stream(*arrays), steps=5, verbose=0), expected)
        np.testing.assert_array_equal(model.predict(stream(*arrays), steps=2, verbose=0), expected[:10])
        np.testing.assert_array_equal(model.predict(Batches(*arrays), steps=2, verbose=0), expected[:10])
    bare = (X[i : i + 5] for i in range(0, 23, 5))
    np.testing.assert_array_equal(model.predict(bare, steps=5, verbose=0), expected)
    np.testing.assert_array_equal(model.predict(X, 5, 0, 3), expected[:15])  # Keras's order of the arguments
    np.testing.assert_array_equal(model.predict(X, steps=2, verbose=0), expected)  # two batches, of 12 and 11 samples
    with pytest.raises(ValueError, match=r"^A generator has no length; pass steps, the number of batches.$"):
        model.predict(stream(X), verbose=0)
    for data in (X, Batches(X)):
        with pytest.raises(ValueError, match=r"^steps must be an integer, 1 or more; got 0"):
            model.predict(data, steps=0, verbose=0)
    with pytest.raises(ValueError, match=r"^x must be an array, .*; got a dict: pass its array\.$"):
        model.predict({"x": X}, verbose=0)
    with pytest.raises(ValueError, match=r"^The generator or data set must give at least one batch; got none.$"):
        model.predict(iter([]), steps=1, verbose=0)
    with pytest.raises(ValueError, match=r"^Layer 'dense.*' expects input of shape \(None, 4\); got \(None, 3\)"):
        model.predict(Batches(Y, X), verbose=0)


def test_validation_steps_without_a_batch_size_divide_the_samples() -> None:
    batches: list[int] = []
    model = new_model(backend="numba")
    count = LambdaCallback(on_test_batch_end=lambda batch, logs: batches.append(batch))
    model.fit(X, Y, validation_data=(X, Y), validation_steps=2, verbose=0, callbacks=[count])
    assert batches == [0, 1]
    assert model.history.history["val_loss"] == [model.evaluate(X, Y, 12, 0)[0]]


@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize("argument", ["steps_per_epoch", "validation_steps"])
def test_steps_that_are_out_of_range_raise(argument: str, batch_size: int | None) -> None:
    with pytest.raises(ValueError, match=rf"^{argument} must be an integer, 1 or more; got 0\."):
        new_model().fit(X, Y, batch_size, validation_data=(X, Y), verbose=0, **{argument: 0})


@pytest.mark.parametrize("sparse", [False, True])
def test_a_weighted_metric_of_a_training(sparse: bool) -> None:
    """Its value is that of the outputs before each step: here, of the whole batch."""
    model = new_model(
        "sparse_categorical_crossentropy" if sparse else "categorical_crossentropy", weighted_metrics=["accuracy"]
    )
    right = model.predict(X, verbose=0).argmax(axis=1) == LABELS
    history = model.fit(X, LABELS if sparse else Y, len(X), sample_weight=WEIGHTS, verbose=0).history
    assert history["accuracy"] == [right.mean()]
    np.testing.assert_allclose(history["weighted_accuracy"], np.average(right, weights=WEIGHTS), rtol=1e-12)


@pytest.mark.parametrize("y", [[0, 1], [[0], [1]], [[1, 0], [0, 1]], [[1, 0, 0], [0, 1, 0]]])
def test_a_weight_of_a_class_is_one_for_each_sample(y: Any) -> None:
    weights = weights_of(np.array(y), class_weight={1: 3.0})
    np.testing.assert_array_equal(weights, np.array([1, 3], np.float32), strict=True)


def test_a_split_is_validated_without_the_weights_of_classes() -> None:
    model = new_model()
    history = model.fit(X, Y, class_weight={0: 10.0, 1: 0.0}, validation_split=0.5, shuffle=False, verbose=0).history
    half = int(len(X) * 0.5)
    assert history["val_loss"] == [model.evaluate(X[half:], Y[half:], verbose=0)[0]]


def test_what_a_stream_is() -> None:
    class Sized:
        def __len__(self) -> int:
            return 1

    class Indexed:
        def __getitem__(self, i: int) -> int:
            return i

    assert is_stream(iter([]))
    assert not is_stream(Sized())
    assert not is_stream(Indexed())

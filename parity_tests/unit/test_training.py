"""``fit``, ``evaluate`` and ``predict``: their results against loops written out in NumPy."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from parity_tests.unit.trainings import classifier, wrap
from scratch import batches as batches_module
from scratch import training
from scratch.batches import batches, split_validation
from scratch.callbacks import Callback, LambdaCallback
from scratch.layers import Dense
from scratch.losses import SoftmaxCrossEntropy
from scratch.models import Sequential
from scratch.ops import BACKENDS

Data = tuple[np.ndarray, np.ndarray]


def test_fit_learns(blobs: Data) -> None:
    model = classifier()
    history = model.fit(*blobs, batch_size=10, epochs=30, verbose=0).history
    assert history["loss"][-1] < 0.2 < 0.9 < history["accuracy"][-1]


def test_one_epoch_equals_a_loop_in_numpy(blobs: Data) -> None:
    """The loss is weighted by the batch size, the accuracy is from before each update, the last batch is short."""
    x, y = blobs
    model = classifier(dtype="float64")
    W1, b1, W2, b2 = model.get_weights()
    total = correct = 0.0
    for start in range(0, 60, 25):  # 25, 25 and 10
        x_batch, t = x[start : start + 25], y[start : start + 25]
        h = np.maximum(x_batch @ W1 + b1, 0)
        z = h @ W2 + b2
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        total += -np.log(p[t == 1]).sum()
        correct += (p.argmax(axis=1) == t.argmax(axis=1)).sum()
        dz = (p - t) / len(x_batch)
        dh = dz @ W2.T * (h > 0)
        W1, b1 = W1 - 0.1 * x_batch.T @ dh, b1 - 0.1 * dh.sum(axis=0)
        W2, b2 = W2 - 0.1 * h.T @ dz, b2 - 0.1 * dz.sum(axis=0)
    history = model.fit(x, y, batch_size=25, shuffle=False, verbose=0).history
    assert history["loss"] == [pytest.approx(total / 60, rel=1e-12)]
    assert history["accuracy"] == [correct / 60]
    for expected, got in zip((W1, b1, W2, b2), model.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-14)


def test_labels_train_as_one_hot_rows(blobs: Data) -> None:
    x, y = blobs
    one_hot, sparse = classifier(), classifier("sparse_categorical_crossentropy")
    sparse.set_weights(one_hot.get_weights())
    for labels in (y.argmax(axis=1), y.argmax(axis=1)[:, None], y.argmax(axis=1).astype("float32")):
        expected = one_hot.fit(x, y, shuffle=False, verbose=0).history
        assert expected == sparse.fit(x, labels, shuffle=False, verbose=0).history


@pytest.mark.parametrize("options", [{}, {"momentum": 0.5}], ids=["plain", "momentum"])
def test_labels_and_one_hot_rows_give_the_same_results_in_every_method(options: dict[str, float], blobs: Data) -> None:
    x, y = blobs
    results = []
    for loss, targets in (
        ("categorical_crossentropy", y),
        ("sparse_categorical_crossentropy", y.argmax(axis=1)),
    ):
        model = classifier(loss, **options)
        model.set_weights([np.linspace(-1, 1, W.size).reshape(W.shape) for W in model.get_weights()])
        trace = list(model.trace(x, targets).values())
        history = model.fit(x, targets, batch_size=25, shuffle=False, verbose=0).history
        values = model.evaluate(x, targets, batch_size=25, verbose=0), model.test_on_batch(x, targets)
        results.append((trace, history, values, model.train_on_batch(x, targets), model.get_weights()))
    np.testing.assert_equal(*results)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loss_is_computed_in_the_dtype_of_the_outputs(dtype: str, backend: str, blobs: Data) -> None:
    dtypes: list[tuple[np.dtype, ...]] = []

    class Recorder(SoftmaxCrossEntropy):
        def forward(self, y: np.ndarray, t: np.ndarray) -> np.ndarray:
            dtypes.append((y.dtype, t.dtype))
            return super().forward(y, t)

    model = Sequential([Dense(3, "softmax")], dtype=dtype, backend=backend)
    model.compile("sgd", Recorder())
    model.fit(*blobs, verbose=0, validation_data=blobs, batch_size=60)
    trace = model.trace(*blobs)
    assert dtypes == [(dtype, dtype)] * 3  # training, validation, trace
    assert {tensor.dtype for tensor in trace.values()} == {np.dtype(dtype)}


def test_train_on_batch_takes_all_samples_in_one_step(blobs: Data) -> None:
    """The samples of float32 train in the compiled core."""
    model = classifier()
    W = model.get_weights()
    _, grads = model.gradients(blobs[0], blobs[1])
    model.train_on_batch(blobs[0].astype("float32"), blobs[1])
    assert model.optimizer.iterations == 1
    assert model.fused is not None
    for new, old, grad in zip(model.get_weights(), W, grads, strict=True):
        np.testing.assert_allclose(new, old - 0.1 * grad, rtol=1e-5, atol=1e-7)


def test_train_on_batch_in_a_callback_leaves_the_means_of_the_epoch(blobs: Data) -> None:
    """With a learning rate of 0, the only effect could be on the metrics; Keras resets those of the epoch."""
    x, y = blobs
    model, found = classifier(), []
    model.optimizer.learning_rate = 0.0
    train_first = LambdaCallback(
        on_train_batch_end=lambda batch, logs: found.append(model.train_on_batch(x[:5], y[:5], return_dict=True))
    )
    history = model.fit(x, y, batch_size=20, verbose=0, callbacks=[train_first]).history
    assert found == [model.test_on_batch(x[:5], y[:5], return_dict=True)] * 3
    assert model.optimizer.iterations == 6
    assert history == {name: [pytest.approx(value)] for name, value in model.evaluate(x, y, return_dict=True).items()}


def test_batches_contain_every_sample_once() -> None:
    for n, size in ((10, 3), (9, 3), (2, 5)):
        in_order = [np.arange(n)[rows] for rows in batches(n, size)]
        shuffled = [np.arange(n)[rows] for rows in batches(n, size, np.random.default_rng(0))]
        assert [len(rows) for rows in in_order] == [len(rows) for rows in shuffled]
        assert max(map(len, in_order)) <= size
        np.testing.assert_array_equal(np.concatenate(in_order), np.arange(n))
        np.testing.assert_array_equal(np.sort(np.concatenate(shuffled)), np.arange(n))
    order = np.concatenate(list(batches(1000, 10, np.random.default_rng(0))))
    assert (order != np.arange(1000)).mean() > 0.9


def test_every_epoch_has_a_new_order_and_keeps_x_with_y() -> None:
    """Sample i is the number i + 1 and its target is class i, so that a training step can compare them."""
    x = np.arange(1, 13, dtype=float).reshape(12, 1)
    y = np.eye(12)
    epochs: list[list[tuple[int, int]]] = []  # (sample, target) in the order of training

    class Recorder(Sequential):
        def train_step(self, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
            epochs[-1] += zip(x[:, 0].astype(int) - 1, y.argmax(axis=1), strict=True)
            return super().train_step(x, y)

    class NewEpoch(Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            epochs.append([])

    model = Recorder([Dense(12, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    model.fit(x, y, batch_size=5, epochs=3, verbose=0, callbacks=[NewEpoch()])
    assert all(sample == target for epoch in epochs for sample, target in epoch)
    assert all(sorted(sample for sample, _ in epoch) == list(range(12)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_validation_split_equals_validation_data_of_the_last_samples(blobs: Data) -> None:
    x, y = blobs
    split, given = classifier(), classifier()
    given.set_weights(split.get_weights())
    expected = split.fit(x, y, batch_size=7, epochs=2, shuffle=False, validation_split=0.25, verbose=0).history
    history = given.fit(
        x[:45], y[:45], batch_size=7, epochs=2, shuffle=False, validation_data=(x[45:], y[45:]), verbose=0
    )
    assert expected == history.history
    assert list(expected) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    loss, accuracy = split.evaluate(x[45:], y[45:], batch_size=7, verbose=0)
    assert (expected["val_loss"][-1], expected["val_accuracy"][-1]) == (pytest.approx(loss, rel=1e-6), accuracy)


@pytest.mark.parametrize(("n", "split", "kept"), [(11, 0.25, 8), (93, 0.2, 74), (10, 0.3, 7), (3, 0.5, 1)])
def test_the_number_of_samples_to_train_on_is_rounded_down(n: int, split: float, kept: int) -> None:
    """As in Keras: ``split_at = int(math.floor(batch_dim * (1.0 - validation_split)))``."""
    data, validation = split_validation(batches_module.Data(np.arange(n), np.arange(n), np.arange(n)), split)
    assert validation is not None
    assert [len(array) for array in (*data, *validation)] == [kept] * 3 + [n - kept] * 3


def test_evaluate_predict_and_batch_methods_agree(blobs: Data) -> None:
    x, y = blobs
    model = classifier()
    p = model.predict(x, batch_size=7, verbose=0)
    assert (p.dtype, p.shape) == (np.float32, (60, 3))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(model(x), p, rtol=1e-5)
    np.testing.assert_array_equal(model.predict_on_batch(x), model(x))
    loss, accuracy = model.evaluate(x, y, batch_size=7, verbose=0)
    assert loss == pytest.approx(-np.log(p[y == 1].astype(float)).mean(), rel=1e-6)
    assert accuracy == (p.argmax(axis=1) == y.argmax(axis=1)).mean()
    assert model.evaluate(x, y, verbose=0, return_dict=True) == {
        "accuracy": accuracy,
        "loss": pytest.approx(loss, rel=1e-6),
    }
    assert model.test_on_batch(x, y) == [pytest.approx(loss, rel=1e-6), accuracy]
    named = {"accuracy": accuracy, "loss": pytest.approx(loss, rel=1e-6)}
    assert model.test_on_batch(x, y, return_dict=True) == named
    before = model.get_weights()
    assert model.train_on_batch(x, y) == [pytest.approx(loss, rel=1e-6), accuracy]
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    assert model.optimizer.iterations == 1
    model.set_weights(before)
    assert model.train_on_batch(x, y, return_dict=True) == named


@pytest.mark.parametrize("method", ["forward", "activate", "model.forward"])
def test_evaluate_and_predict_with_a_method_replaced_on_an_object(method: str, blobs: Data) -> None:
    """As a learner does to print what a layer computes."""
    model, weights = classifier(), classifier().get_weights()
    part, name = (model if method == "model.forward" else model.layers[-1]), method.removeprefix("model.")
    results = []
    for replace in (False, True):
        if replace:
            wrap(part, name, lambda method, *arguments: method(*arguments))
        model.fit(*blobs, verbose=0)  # leaves outputs of other parameters in the layers
        model.set_weights(weights)
        results.append((model.evaluate(*blobs, verbose=0), model.predict(blobs[0], verbose=0).tobytes()))
    assert results[0] == results[1]


def test_batch_methods_print_nothing(blobs: Data, capsys: pytest.CaptureFixture[str]) -> None:
    model = classifier()
    for call in (model.train_on_batch, model.test_on_batch):
        call(*blobs)
    model.predict_on_batch(blobs[0])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("batch_size", [np.int8(25), np.uint8(25), np.int64(25)])
def test_batch_size_may_be_a_numpy_integer(batch_size: np.integer) -> None:
    x, y = np.ones((600, 4)), np.eye(3)[np.arange(600) % 3]  # more rows than int8 and uint8 can count
    model = classifier()
    model.fit(x, y, batch_size=batch_size, verbose=0)
    assert model.optimizer.iterations == 24
    assert len(model.predict(x, batch_size=batch_size, verbose=0)) == 600
    model.evaluate(x, y, batch_size=batch_size, verbose=0)


def test_evaluate_without_metrics_returns_one_number(blobs: Data) -> None:
    model = classifier()
    model.compile("sgd", "categorical_crossentropy")
    assert isinstance(model.evaluate(*blobs, verbose=0), float)
    assert list(model.fit(*blobs, verbose=0).history) == ["loss"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_fit_that_a_callback_ends_with_an_exception_leaves_a_usable_model(
    error: type[BaseException], blobs: Data
) -> None:
    class Interrupt(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            if batch == 2:
                raise error

    model = classifier()
    with pytest.raises(error):
        model.fit(*blobs, batch_size=10, epochs=5, callbacks=[Interrupt()], verbose=0)
    assert model.optimizer.iterations == 3
    assert np.isfinite(model.evaluate(*blobs, verbose=0)).all()
    model.fit(*blobs, verbose=0)


def test_fit_pauses_after_a_step_in_which_another_thread_asked_for_the_lock(
    blobs: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread in ``predict`` waits for the lock, which the next step would take again at once."""
    pauses: list[float] = []
    module = SimpleNamespace(sleep=pauses.append, perf_counter=time.perf_counter)  # not of other threads
    monkeypatch.setattr(training, "time", module)
    model = classifier()

    def ask(batch: int, logs: dict[str, float]) -> None:
        if batch in (1, 3):
            model.reading()
            assert model.inference_waits is True

    model.fit(*blobs, batch_size=10, verbose=0, callbacks=[LambdaCallback(on_train_batch_begin=ask)])
    assert pauses == [training.LOCK_PAUSE] * 2
    assert model.inference_waits is False

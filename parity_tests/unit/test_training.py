"""What ``fit``, ``evaluate`` and ``predict`` report and do, against loops written out by hand."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scratch.callbacks import Callback
from scratch.layers import Activation, Dense, Flatten, Input, Softmax
from scratch.losses import CategoricalCrossentropy
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.training import batches
from scratch.utils import set_random_seed

Data = tuple[np.ndarray, np.ndarray]


def build(loss: str = "categorical_crossentropy", dtype: str = "float32", **options: float) -> Sequential:
    model = Sequential([Dense(8, "relu", input_shape=(4,)), Dense(3), Activation("softmax")], dtype=dtype)
    model.compile(SGD(0.1, **options), loss, metrics=["accuracy"])
    return model


def test_it_learns(blobs: Data) -> None:
    model = build()
    history = model.fit(*blobs, batch_size=10, epochs=30, verbose=0).history
    assert history["loss"][-1] < 0.2 < 0.9 < history["accuracy"][-1]


def test_an_epoch_is_a_loop_of_updates(blobs: Data) -> None:
    """Losses weighted by batch size, accuracy from before each update, short last batch: against plain NumPy."""
    x, y = blobs[0], blobs[1]
    model = build(dtype="float64")
    W1, b1, W2, b2 = model.get_weights()
    total = correct = 0.0
    for start in range(0, 60, 25):  # 25, 25 and 10
        xb, tb = x[start : start + 25], y[start : start + 25]
        h = np.maximum(xb @ W1 + b1, 0)
        z = h @ W2 + b2
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        total += -np.log(p[tb == 1]).sum()
        correct += (p.argmax(axis=1) == tb.argmax(axis=1)).sum()
        dz = (p - tb) / len(xb)
        dh = dz @ W2.T * (h > 0)
        W1, b1 = W1 - 0.1 * xb.T @ dh, b1 - 0.1 * dh.sum(axis=0)
        W2, b2 = W2 - 0.1 * h.T @ dz, b2 - 0.1 * dz.sum(axis=0)
    history = model.fit(x, y, batch_size=25, shuffle=False, verbose=0).history
    assert history["loss"] == [pytest.approx(total / 60, rel=1e-12)]
    assert history["accuracy"] == [correct / 60]
    for expected, got in zip((W1, b1, W2, b2), model.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-14)


def test_sparse_labels_train_the_same_network(blobs: Data) -> None:
    x, y = blobs
    dense, sparse = build(), build("sparse_categorical_crossentropy")
    sparse.set_weights(dense.get_weights())
    for labels in (y.argmax(axis=1), y.argmax(axis=1)[:, None], y.argmax(axis=1).astype("float32")):
        a = dense.fit(x, y, shuffle=False, verbose=0).history
        assert a == sparse.fit(x, labels, shuffle=False, verbose=0).history


def test_batches_cover_every_sample_once() -> None:
    for n, size in ((10, 3), (9, 3), (2, 5)):
        in_order = [np.arange(n)[rows] for rows in batches(n, size)]
        shuffled = [np.arange(n)[rows] for rows in batches(n, size, np.random.default_rng(0))]
        assert [len(rows) for rows in in_order] == [len(rows) for rows in shuffled]
        assert max(map(len, in_order)) <= size
        np.testing.assert_array_equal(np.concatenate(in_order), np.arange(n))
        np.testing.assert_array_equal(np.sort(np.concatenate(shuffled)), np.arange(n))
    order = np.concatenate(list(batches(1000, 10, np.random.default_rng(0))))
    assert (order != np.arange(1000)).mean() > 0.9


def test_every_epoch_shuffles_anew_and_keeps_x_with_y() -> None:
    """A step that sees sample i must see target i: the network sees both, so let it see them as one number."""
    x = np.arange(1, 13, dtype=float).reshape(12, 1)
    y = np.eye(12)
    seen: list[list[tuple[int, int]]] = []

    class Spy(Sequential):
        def train_step(self, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
            seen[-1] += zip(x[:, 0].astype(int) - 1, y.argmax(axis=1), strict=True)
            return super().train_step(x, y)

    class Pages(Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            seen.append([])

    model = Spy([Dense(12, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    model.fit(x, y, batch_size=5, epochs=3, verbose=0, callbacks=[Pages()])
    assert all(a == b for epoch in seen for a, b in epoch)
    assert all(sorted(a for a, _ in epoch) == list(range(12)) for epoch in seen)
    assert seen[0] != seen[1] != seen[2]


def test_validation_data_and_split(blobs: Data) -> None:
    x, y = blobs
    split, given = build(), build()
    given.set_weights(split.get_weights())
    a = split.fit(x, y, batch_size=7, epochs=2, shuffle=False, validation_split=0.25, verbose=0).history
    b = given.fit(x[:45], y[:45], batch_size=7, epochs=2, shuffle=False, validation_data=(x[45:], y[45:]), verbose=0)
    assert a == b.history
    assert list(a) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    loss, accuracy = split.evaluate(x[45:], y[45:], batch_size=7, verbose=0)
    assert (a["val_loss"][-1], a["val_accuracy"][-1]) == (pytest.approx(loss, rel=1e-6), accuracy)


def test_evaluate_predict_and_batch_methods_agree(blobs: Data) -> None:
    x, y = blobs
    model = build()
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


def test_methods_for_one_batch_print_nothing(blobs: Data, capsys: pytest.CaptureFixture[str]) -> None:
    model = build()
    for call in (model.train_on_batch, model.test_on_batch):
        call(*blobs)
    model.predict_on_batch(blobs[0])
    assert capsys.readouterr().out == ""


def test_without_metrics_evaluate_is_one_number(blobs: Data) -> None:
    model = build()
    model.compile("sgd", "categorical_crossentropy")
    assert isinstance(model.evaluate(*blobs, verbose=0), float)
    assert list(model.fit(*blobs, verbose=0).history) == ["loss"]


def test_trace_names_and_values(blobs: Data) -> None:
    x, y = blobs
    model = build(dtype="float64")
    trace = model.trace(x, y)
    assert list(trace) == [
        "dense/out", "dense_1/out", "activation/out", "loss", "loss/dx",
        "activation/dx", "dense_1/dx", "dense_1/dW", "dense_1/db", "dense/dx", "dense/dW", "dense/db",
    ]  # fmt: skip
    W1, b1, W2, b2 = model.get_weights()
    h = np.maximum(x @ W1 + b1, 0)
    z = h @ W2 + b2
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    dz = (p - y) / 60
    expected = {
        "dense/out": h, "dense_1/out": z, "activation/out": p, "loss": -np.log(p[y == 1]).mean(),
        "loss/dx": dz, "activation/dx": dz, "dense_1/dx": dz @ W2.T, "dense_1/dW": h.T @ dz,
        "dense_1/db": dz.sum(axis=0), "dense/dx": (dz @ W2.T * (h > 0)) @ W1.T,
        "dense/dW": x.T @ (dz @ W2.T * (h > 0)), "dense/db": (dz @ W2.T * (h > 0)).sum(axis=0),
    }  # fmt: skip
    for name, tensor in trace.items():
        np.testing.assert_allclose(tensor, expected[name], rtol=1e-9, atol=1e-15, err_msg=name)
    loss, grads = model.gradients(x, y)
    assert loss == trace["loss"]
    for grad, name in zip(grads, ("dense/dW", "dense/db", "dense_1/dW", "dense_1/db"), strict=True):
        np.testing.assert_array_equal(grad, trace[name])


def test_a_trace_is_a_copy(blobs: Data) -> None:
    model = build()
    trace = model.trace(*blobs)
    kept = {name: tensor.copy() for name, tensor in trace.items()}
    model.fit(*blobs, verbose=0)
    for name, tensor in trace.items():
        np.testing.assert_array_equal(tensor, kept[name])


def test_the_first_layers_dx_is_not_computed_in_training(blobs: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Sequential([Input((2, 2)), Flatten(), Dense(8, "relu"), Dense(3, "softmax")])
    model.compile(SGD(momentum=0.5), "categorical_crossentropy")  # layer by layer
    asked: list[bool] = []
    original = model.ops.dense_backward
    monkeypatch.setattr(model.ops, "dense_backward", lambda *args: asked.append(args[-1]) or original(*args))
    model.train_on_batch(blobs[0].reshape(-1, 2, 2), blobs[1])
    assert asked == [True, False]
    asked.clear()
    model.trace(blobs[0].reshape(-1, 2, 2), blobs[1])
    assert asked == [True, True]


def test_a_trailing_softmax_trains_through_its_logits() -> None:
    """A logit gap of 50 costs 50 in fit and evaluate, whichever way the softmax is written."""
    for layers in ([Dense(2), Softmax()], [Dense(2), Activation("softmax")], [Dense(2, "softmax")]):
        model = Sequential([Input((1,)), *layers])
        model.compile(SGD(0.0), "categorical_crossentropy")
        model.set_weights([[[50.0, 0.0]], [0.0, 0.0]])
        x, wrong = [[1.0]], [[0.0, 1.0]]
        assert model.evaluate(x, wrong, verbose=0) == 50
        assert model.fit(x, wrong, verbose=0).history["loss"] == [50]
        np.testing.assert_allclose(model.gradients(x, wrong)[1][0], [[1, -1]])


def test_raw_probabilities_are_clipped() -> None:
    model = Sequential([Dense(2, input_shape=(1,))])
    model.compile("sgd", "categorical_crossentropy")
    model.set_weights([[[1.0, 0.0]], [0.0, 0.0]])
    assert model.evaluate([[1.0]], [[0.0, 1.0]], verbose=0) == pytest.approx(16.118, abs=1e-3)


def test_a_model_without_softmax_trains_through_its_outputs(blobs: Data) -> None:
    """Logits and ``from_logits=True`` are the network that ends in a softmax; probabilities train by Keras's rule."""
    x, y = blobs
    given, logits = build(), Sequential([Dense(8, "relu", input_shape=(4,)), Dense(3)])
    logits.compile(SGD(0.1), CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    logits.set_weights(given.get_weights())
    options = {"epochs": 2, "shuffle": False, "verbose": 0}
    assert logits.fit(x, y, **options).history == given.fit(x, y, **options).history

    model = Sequential([Dense(3, "sigmoid")], dtype="float64")
    model.compile(SGD(0.1), "categorical_crossentropy")
    p = model(x)
    loss, (dW, _) = model.gradients(x, y)
    assert loss == pytest.approx(-np.log((p / p.sum(axis=1, keepdims=True))[y == 1]).mean(), rel=1e-12)
    W = model.get_weights()[0]
    assert model.train_on_batch(x, y) == loss
    np.testing.assert_array_equal(model.get_weights()[0], W - 0.1 * dW)


LAYOUTS: dict[str, Callable[[np.ndarray, Path], np.ndarray]] = {
    "uint8": lambda x, _: x,
    "float16": lambda x, _: x.astype("float16"),
    "float32": lambda x, _: x.astype("float32"),
    "float64": lambda x, _: x.astype("float64"),
    "int64": lambda x, _: x.astype("int64"),
    "big-endian": lambda x, _: x.astype(">f4"),
    "Fortran": lambda x, _: np.asfortranarray(x.astype("float32")),
    "strided": lambda x, _: np.repeat(x, 2, axis=1)[:, ::2],
    "reversed": lambda x, _: x[::-1].copy()[::-1],
    "read-only": lambda x, _: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "list": lambda x, _: x.tolist(),
    "memory map": lambda x, path: (np.save(path / "x.npy", x), np.load(path / "x.npy", mmap_mode="r"))[1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_dtype_and_layout_trains_the_same_bits(layout: str, tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.integers(0, 5, size=(60, 4)).astype("uint8")
    y = np.eye(3)[np.arange(60) % 3]
    data = LAYOUTS[layout](x, tmp_path)
    before = np.array(data)
    results = []
    for samples in (x, data):
        set_random_seed(1)
        model = build()
        model.fit(samples, y, batch_size=16, epochs=2, verbose=0)
        results.append([*model.get_weights(), model.predict(samples, verbose=0)])
    for a, b in zip(*results, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(np.array(data), before)


def test_the_whole_set_is_never_copied(tmp_path: Path) -> None:
    """Training on a 64 MB memory map of bytes takes a few MB of memory more than its batches."""
    import tracemalloc

    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "uint8", (64_000, 1000))
    y = np.zeros(64_000, "uint8")
    model = Sequential([Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    tracemalloc.start()
    model.fit(x, y, batch_size=1000, verbose=0)
    model.predict(x, batch_size=1000, verbose=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6


def test_deferred_and_declared_models_are_the_same(blobs: Data) -> None:
    models = []
    for first in (Dense(8, "relu"), Dense(8, "relu", input_shape=(4,))):
        set_random_seed(3)
        model = Sequential([first, Dense(3, "softmax")])
        model.compile("sgd", "categorical_crossentropy")
        model.fit(*blobs, verbose=0)
        models.append(model)
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)
    assert models[0].input_shape == models[1].input_shape == (None, 4)
    assert models[0].output_shape == (None, 3)


def test_add_and_pop() -> None:
    model = Sequential()
    model.add(Input((4,)))
    model.add(Dense(5))
    model.add(Dense(2))
    weights = model.get_weights()
    assert model.pop().name == "dense_1"
    model.add(Dense(3))
    assert [W.shape for W in model.get_weights()] == [(4, 5), (5,), (5, 3), (3,)]
    np.testing.assert_array_equal(model.get_weights()[0], weights[0])
    assert model.count_params() == 43


def test_pop_forgets_the_shape_with_the_last_layer_that_gave_it() -> None:
    model = Sequential([Dense(5, input_shape=(4,)), Dense(2)])
    model.pop()
    assert model.input_shape == (None, 4)
    model.pop()
    assert model.input_shape is None
    model.add(Dense(3, input_shape=(7,)))
    assert model.input_shape == (None, 7)
    declared = Sequential([Input((4,)), Dense(5)])
    declared.pop()
    assert declared.input_shape == (None, 4)  # the Input is still there
    declared.add(Dense(2))
    assert [W.shape for W in declared.get_weights()] == [(4, 2), (2,)]


def test_a_model_owns_its_generator(rng: np.random.Generator) -> None:
    """Its weights are settled by the seed at its creation, whatever else is created before it is built."""
    first_weights = []
    for others in (0, 3):
        set_random_seed(1)
        model = Sequential([Dense(3)])
        for _ in range(others):
            Sequential([Dense(3, input_shape=(2,))])
        model(rng.normal(size=(1, 4)))
        first_weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(*first_weights)


def test_a_model_keeps_its_name() -> None:
    assert Sequential([Dense(1)], name="mine").name == "mine"


def test_weights_are_copies() -> None:
    model = build()
    weights = model.get_weights()
    weights[0][...] = 7
    assert not (model.get_weights()[0] == 7).any()
    mine = [W * 0 for W in weights]
    model.set_weights(mine)
    model.params["dense/W"][...] = 1
    assert not mine[0].any()


def test_a_model_can_be_copied_and_pickled(blobs: Data) -> None:
    model = build(momentum=0.5)
    model.fit(*blobs, verbose=0)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        first, second = (m.train_on_batch(*blobs) for m in (copy.deepcopy(model), twin))
        assert first == second


def test_an_output_is_not_the_input() -> None:
    model, x = Sequential([Activation("linear")]), np.ones((2, 3), "float32")
    model(x)[...] = 7
    assert (x == 1).all()


def test_ctrl_c_leaves_a_usable_model(blobs: Data) -> None:
    class Interrupt(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            if batch == 2:
                raise KeyboardInterrupt

    model = build()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*blobs, batch_size=10, epochs=5, callbacks=[Interrupt()], verbose=0)
    assert model.optimizer.iterations == 3
    assert np.isfinite(model.evaluate(*blobs, verbose=0)).all()
    model.fit(*blobs, verbose=0)

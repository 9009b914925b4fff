"""``scratch.kernels.fused_step``: the bits of training layer by layer, several steps per call, and failures."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config

from parity_tests.unit.kernels import LayerByLayer, model_of_the_article, train
from scratch.callbacks import LambdaCallback, ModelCheckpoint
from scratch.callbacks.callback import may_skip_batches
from scratch.callbacks.progress import ProgbarLogger
from scratch.kernels import plan, threads, workers
from scratch.kernels.gemm import MAX_ROWS
from scratch.kernels.job import BY_INPUTS, BY_SAMPLES, BY_UNITS, Job, Layer
from scratch.layers import Dense, Dropout, Flatten
from scratch.losses import CategoricalCrossentropy
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.pixels import Pixels
from scratch.utils import set_random_seed, to_categorical

# --- the same bits as layer by layer ---


@st.composite
def trainings(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the arguments of ``fitted``: a network, its loss, and how it is trained."""
    widths = draw(st.lists(st.sampled_from([1, 10, 17, 100, 300]), min_size=2, max_size=4))
    return {
        "inputs": widths[0],
        "hidden": [(w, draw(st.sampled_from(["relu", "tanh", "sigmoid", "linear"]))) for w in widths[1:]],
        "classes": draw(st.sampled_from([2, 10, 16, 17])),
        "use_bias": draw(st.booleans()),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "samples_dtype": draw(st.sampled_from(["float32", "float64"])),  # several steps per call if equal to "dtype"
        "flatten": draw(st.booleans()),
        "rates": draw(st.lists(st.sampled_from([0.0, 0.0, 0.2, 0.9, 1.0]), min_size=5, max_size=5)),
        "zeros": draw(st.sampled_from([0.0, 0.9])),
        "loss": draw(st.sampled_from(["categorical", "sparse", 0.1])),
        "batch_size": draw(st.sampled_from([1, 5, 16, 100, 130])),
        "samples": draw(st.integers(1, 260)),
    }


def fitted(case: dict[str, Any], optimizer: SGD, backend: str = "numba") -> Sequential:
    """Train the network of a case for two epochs of at most eight steps."""
    set_random_seed(5)
    rng = np.random.default_rng(case["samples"])
    n = min(case["samples"], 8 * case["batch_size"])
    x = rng.normal(size=(n, case["inputs"])) * (rng.random((n, case["inputs"])) >= case["zeros"])
    x, labels = x.astype(case["samples_dtype"]), rng.integers(case["classes"], size=n)
    layers: list[Any] = [Flatten()] if case["flatten"] else []
    for (units, kind), rate in zip([*case["hidden"], (case["classes"], "softmax")], case["rates"], strict=False):
        layers += [Dropout(rate), Dense(units, kind, use_bias=case["use_bias"])]
    model = Sequential(layers, backend=backend, dtype=case["dtype"])
    sparse, smoothing = case["loss"] == "sparse", case["loss"] if case["loss"] == 0.1 else 0.0
    loss = "sparse_categorical_crossentropy" if sparse else CategoricalCrossentropy(label_smoothing=smoothing)
    model.compile(optimizer, loss, metrics=["accuracy"])
    y = labels if sparse else to_categorical(labels, case["classes"])
    model.fit(x.reshape(n, case["inputs"], 1) if case["flatten"] else x, y, case["batch_size"], epochs=2, verbose=0)
    return model


def check_same_bits(fused: Sequential, layered: Sequential) -> None:
    """Compare the weights and the histories of a training with fused steps and one layer by layer."""
    assert fused.fused is not None
    assert layered.fused is None
    for (name, W), V in zip(fused.params.items(), layered.params.values(), strict=True):
        np.testing.assert_array_equal(W, V, err_msg=name, strict=True)
    np.testing.assert_equal([*fused.state.values()], [*layered.state.values()])
    assert fused.history.history == layered.history.history


@settings(max_examples=40)
@given(trainings())
def test_fused_step_has_the_bits_of_layer_by_layer(case: dict[str, Any]) -> None:
    check_same_bits(fitted(case, SGD(0.02)), fitted(case, LayerByLayer(0.02)))


def test_fused_step_on_several_cores_has_the_bits_of_layer_by_layer() -> None:
    for seed in (0, 1):
        assert train(model_of_the_article(seed)) == train(model_of_the_article(seed, LayerByLayer(0.1)))


@pytest.mark.parametrize(
    ("batch_size", "widths", "rates"),
    [
        (1, [300, 2060, 2100], [0.0] * 5),
        (20, [300, 700, 1100, 30], [0.3] * 5),
        (70, [300, 2050, 60, 1030], [0.1, 0.5, 0, 0.2, 0.3]),
        (MAX_ROWS + 70, [300, 700, 30], [0.0] * 5),
    ],
)
def test_layers_partitioned_by_units_have_the_bits_of_layer_by_layer(
    batch_size: int, widths: list[int], rates: list[float]
) -> None:
    partitions = check_wide_network(batch_size, widths, rates, "float32")
    if config.NUMBA_NUM_THREADS > 1:
        assert BY_UNITS in partitions


@pytest.mark.parametrize("chunks", [2, 3, 4])
@pytest.mark.parametrize(
    ("batch_size", "widths", "rates", "dtype"),
    [
        (64, [530, 200], [0.0] * 5, "float32"),
        (100, [784, 256, 100], [0.2, 0, 0.5, 0, 0], "float64"),
        (70, [700, 100, 2100], [0.3, 0.3, 0, 0, 0], "float32"),
        (300, [601], [0.0] * 5, "float32"),  # the first layer is the last
    ],
)
def test_a_layer_partitioned_by_inputs_has_the_bits_of_layer_by_layer(
    chunks: int, batch_size: int, widths: list[int], rates: list[float], dtype: str
) -> None:
    """With an odd number of chunks it is partitioned by samples, and each chunk computes both sums."""
    with in_chunks(chunks):
        assert check_wide_network(batch_size, widths, rates, dtype)[0] == (BY_SAMPLES if chunks == 3 else BY_INPUTS)


@pytest.mark.parametrize("optimizer", [SGD(0.02, clipnorm=0.5), SGD(0.02, global_clipnorm=0.5)])
def test_the_bits_of_norms_depend_on_no_partition(optimizer: SGD) -> None:
    results = []
    for chunks in (1, 2, 3, 4):
        with in_chunks(chunks):
            model = fitted(wide_network(70, [530, 40], [0.0] * 5, "float32"), SGD(**optimizer.get_config()))
        assert model.fused.plans["train"].chunks == chunks
        results.append([W.tobytes() for W in model.get_weights()])
    assert results == 4 * results[:1]


def test_inference_with_two_sums_has_the_bits_of_layer_by_layer() -> None:
    model = fitted(wide_network(70, [784, 256], [0.0] * 5, "float32"), SGD(0.02))
    x = np.random.default_rng(1).normal(size=(300, 784)).astype("float32")
    together, alone = model.predict(x, batch_size=100, verbose=0), model.predict(x, batch_size=300, verbose=0)
    np.testing.assert_array_equal(together, alone)  # three batches in the compiled core, one layer by layer


def in_chunks(chunks: int) -> AbstractContextManager[Any]:
    """Partition small steps too, for so many threads."""
    return mock.patch.multiple(plan, MIN_PARALLEL_WORK=0, config=mock.Mock(NUMBA_NUM_THREADS=chunks))


def check_wide_network(batch_size: int, widths: list[int], rates: list[float], dtype: str) -> list[int]:
    """Compare both ways to train a network of so many inputs and hidden units; return the partitions of its layers."""
    case = wide_network(batch_size, widths, rates, dtype)
    fused = fitted(case, SGD(0.02))
    check_same_bits(fused, fitted(case, LayerByLayer(0.02)))
    return [Layer(*row).partition for row in fused.fused.plans["train"].layers]


def wide_network(batch_size: int, widths: list[int], rates: list[float], dtype: str) -> dict[str, Any]:
    """Return a case for ``fitted`` of so many inputs and hidden units."""
    return {
        "inputs": widths[0],
        "hidden": [(width, kind) for width, kind in zip(widths[1:], ["relu", "tanh", "sigmoid"], strict=False)],
        "classes": 10,
        "use_bias": True,
        "dtype": dtype,
        "samples_dtype": dtype,
        "flatten": False,
        "rates": rates,
        "zeros": 0.5,
        "loss": "categorical",
        "batch_size": batch_size,
        "samples": 3 * batch_size - 1 if batch_size > 1 else 3,
    }


# --- several steps per call ---


@pytest.mark.parametrize("images", ["bytes", "float32"])
def test_several_steps_per_call_have_the_bits_of_single_steps(images: str) -> None:
    """Train 107 steps per epoch: a call takes 94 steps, the next one 13, the last of them with a smaller batch."""
    rng = np.random.default_rng(0)
    pixels = Pixels(rng.integers(256, size=(10_630, 784), dtype=np.uint8) * (rng.random((10_630, 784)) < 0.2))
    x, y = pixels if images == "bytes" else np.asarray(pixels), rng.integers(10, size=10_630)
    batches: list[int] = []
    results = []
    for callbacks in ([], [LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))]):
        model = model_of_the_article(0)
        history = model.fit(x, y, batch_size=100, epochs=2, verbose=0, callbacks=callbacks).history
        assert model.optimizer is not None
        results.append([*(W.tobytes() for W in model.get_weights()), history, model.optimizer.iterations])
    assert results[0] == results[1]
    assert batches == [*range(107), *range(107)]


def test_progress_bar_is_called_once_per_call_of_several_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    spy = may_skip_batches(lambda self, batch, logs: batches.append(batch))
    monkeypatch.setattr(ProgbarLogger, "on_train_batch_end", spy)
    x = np.zeros((12_000, 784), np.float32)
    model_of_the_article(0).fit(x, np.zeros(12_000, int), batch_size=100, verbose=2)
    assert batches == [93, 119]  # the last batch of each call: 94 steps take less than a tenth of a second


def test_callbacks_and_metrics_that_need_every_batch_are_called_for_every_batch(tmp_path: Path) -> None:
    seen: list[object] = []

    class Checkpoint(ModelCheckpoint):
        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            seen.append(batch)

    x, y = np.zeros((300, 784), np.float32), np.zeros(300, int)
    model_of_the_article(0).fit(x, y, 100, callbacks=[Checkpoint(tmp_path / "model.keras")], verbose=0)
    assert seen == [0, 1, 2]
    model = model_of_the_article(0)
    model.metrics[0].update_state = lambda y_true, y_pred: seen.append(len(y_true))  # type: ignore[method-assign]
    model.fit(x, y, 100, verbose=0)
    assert seen == [0, 1, 2, 100, 100, 100]


# --- interrupts, lack of memory, losses that are not finite ---


def test_interrupt_keeps_the_number_of_complete_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(tasks: Any, run: Any = threads.run) -> None:
        run(tasks)
        raise KeyboardInterrupt

    model = model_of_the_article(0)
    monkeypatch.setattr(threads, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(np.zeros((300, 784), np.float32), np.zeros(300, int), 100, verbose=0)
    assert model.optimizer is not None
    assert model.optimizer.iterations == 3


@pytest.mark.parametrize("failing", range(min(2, config.NUMBA_NUM_THREADS)))
def test_a_worker_without_memory_ends_the_training_of_all_workers(
    failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worker_loop(job: Job, own: int, *rest: Any, original: Any = workers.worker_loop) -> bool:
        if own == failing:
            job.progress.passes_started[own, 0] += 1  # has claimed its chunk; the other workers may wait for it
            raise MemoryError
        return original(job, own, *rest)

    model = model_of_the_article(0)
    x, y = np.zeros((300, 784), np.float32), np.zeros(300, int)
    with monkeypatch.context() as patch:
        patch.setattr(workers, "worker_loop", worker_loop)
        with pytest.raises(MemoryError):
            model.fit(x, y, 100, verbose=0)
    model.fit(x, y, 100, verbose=0)


def test_buffers_are_allocated_again_after_an_allocation_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    model, other = model_of_the_article(0), model_of_the_article(0)
    x, y = np.random.default_rng(0).random((100, 784), dtype=np.float32), np.arange(100) % 10
    for each in (model, other):
        each.train_on_batch(x[:10], y[:10])
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(plan, "aligned_empty", no_memory)
            with pytest.raises(MemoryError):
                model.train_on_batch(x, y)
    assert model.train_on_batch(x, y) == other.train_on_batch(x, y)
    np.testing.assert_equal(model.get_weights(), other.get_weights())


def softmax_regression(optimizer: SGD) -> Sequential:
    """Return a network of one layer: two inputs, two classes, weights of zero."""
    model = Sequential([Dense(2, "softmax", input_shape=(2,), kernel_initializer="zeros", name="only")])
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize(
    "bad", [(16, 1), (31, 1), (4, 0)], ids=["the first sample of batch 2", "its last sample", "a weight after batch 1"]
)
def test_several_steps_per_call_stop_before_the_update_of_a_nonfinite_loss(bad: tuple[int, int]) -> None:
    """Train on samples with one large number.

    In the second batch it makes a logit infinite.  In the first batch it makes a weight infinite, which the second
    batch multiplies by zeros: 0·∞ is NaN and must not be skipped as a zero.
    """
    x, y = np.tile(np.float32([0.0, 1.0]), (16 * 6, 1)), np.eye(2)[np.arange(16 * 6) // 3 % 2]
    x[bad] = 3e38
    found = []
    for optimizer in (SGD(1e3), LayerByLayer(1e3)):
        model = softmax_regression(optimizer)
        with pytest.warns(UserWarning, match="The loss is not finite any more: epoch 1, batch 2; ") as warned:
            history = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history
        assert [warning.filename for warning in warned] == [__file__]
        assert (model.fused is None) == isinstance(optimizer, LayerByLayer)
        found.append((model.get_weights(), history, optimizer.iterations))
    np.testing.assert_equal(*found)

"""``backend="numba"`` where it could break: threads, processes, its cache, a missing Numba, a busy machine."""

import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity_tests.reference.error_model import Rounding
from scratch.callbacks import LambdaCallback, ModelCheckpoint
from scratch.callbacks.callback import may_skip_batches
from scratch.callbacks.progress import ProgbarLogger
from scratch.layers import Dense, Flatten
from scratch.losses import CategoricalCrossentropy
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.pixels import Pixels
from scratch.utils import set_random_seed, to_categorical

pytest.importorskip("numba")

ROOT = Path(__file__).parents[2]
LAYERS = [
    "workqueue",
    *(layer for layer, name in (("omp", "omppool"), ("tbb", "tbbpool")) if find_spec(f"numba.np.ufunc.{name}")),
]


class Layered(SGD):
    """The same updates; but the fused step, which can't know that, leaves a subclass alone."""


def model_of_the_article(seed: int, optimizer: SGD | None = None) -> Sequential:
    set_random_seed(seed)
    layers = [Dense(256, "relu", input_shape=(784,), name="a"), Dense(100, "relu", name="b")]
    model = Sequential([*layers, Dense(10, "softmax", name="c")], backend="numba")
    model.compile(optimizer or SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(model: Sequential, epochs: int = 2) -> str:
    """Train on digits of noise, three quarters of them zeros; digest of the weights, the history, the predictions."""
    rng = np.random.default_rng(7)
    x, y = np.maximum(rng.random((500, 784), dtype=np.float32) - 0.75, 0), rng.integers(10, size=500)
    history = model.fit(x, y, batch_size=100, epochs=epochs, validation_split=0.1, verbose=0).history
    bits = b"".join(W.tobytes() for W in model.get_weights()) + model.predict(x, verbose=0).tobytes()
    return hashlib.sha256(bits + repr(history).encode()).hexdigest()


def digest(seed: int) -> str:
    """What both kinds of training come to: the fused step, and layer by layer with momentum."""
    return train(model_of_the_article(seed)) + train(model_of_the_article(seed, SGD(0.1, momentum=0.9)))


def train_at_once(seeds: tuple[int, ...], optimizer: Callable[[], SGD]) -> list[str]:
    """Train a model of each seed, all in threads of their own that begin together."""
    models = [model_of_the_article(seed, optimizer()) for seed in seeds]
    digests = ["" for _ in models]
    start = threading.Barrier(len(models))

    def work(i: int) -> None:
        start.wait()
        digests[i] = train(models[i])

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(models))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return digests


def python(program: str, *arguments: str, cwd: Path = ROOT, **environment: str | None) -> subprocess.CompletedProcess:
    """Run a program in a new process, with these variables changed (None: unset), and wait two minutes at most."""
    changed = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={name: value for name, value in changed.items() if value is not None},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def output(program: str, *arguments: str, **environment: str | None) -> str:
    """What it printed; it must have ended well."""
    done = python(program, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- the same bits ---

DIGEST = "from parity_tests.unit.test_numba import digest; print(digest(3))"


def test_same_bits_on_any_number_of_threads() -> None:
    expected = digest(3)
    assert {output(DIGEST, NUMBA_NUM_THREADS=n) for n in ("1", "2", "4")} == {expected}


@st.composite
def trainings(draw: st.DrawFn) -> dict[str, Any]:
    widths = draw(st.lists(st.sampled_from([1, 10, 17, 100, 300]), min_size=2, max_size=4))
    return {
        "inputs": widths[0],
        "hidden": [(w, draw(st.sampled_from(["relu", "tanh", "sigmoid", "linear"]))) for w in widths[1:]],
        "classes": draw(st.sampled_from([2, 10, 16, 17])),
        "use_bias": draw(st.booleans()),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "samples_dtype": draw(st.sampled_from(["float32", "float64"])),  # if it is the model's, steps are taken at once
        "flatten": draw(st.booleans()),
        "zeros": draw(st.sampled_from([0.0, 0.9])),
        "loss": draw(st.sampled_from(["categorical", "sparse", 0.1])),
        "batch_size": draw(st.sampled_from([1, 5, 16, 100, 130])),
        "samples": draw(st.integers(1, 260)),
    }


def fitted(case: dict[str, Any], optimizer: SGD, backend: str = "numba") -> Sequential:
    """Train the model of that case for a few steps."""
    set_random_seed(5)
    rng = np.random.default_rng(case["samples"])
    n = min(case["samples"], 8 * case["batch_size"])
    x = rng.normal(size=(n, case["inputs"])) * (rng.random((n, case["inputs"])) >= case["zeros"])
    x, labels = x.astype(case["samples_dtype"]), rng.integers(case["classes"], size=n)
    layers: list[Any] = [Flatten()] if case["flatten"] else []
    layers += [Dense(units, kind, use_bias=case["use_bias"]) for units, kind in case["hidden"]]
    layers += [Dense(case["classes"], "softmax", use_bias=case["use_bias"])]
    model = Sequential(layers, backend=backend, dtype=case["dtype"])
    sparse, smoothing = case["loss"] == "sparse", case["loss"] if case["loss"] == 0.1 else 0.0
    loss = "sparse_categorical_crossentropy" if sparse else CategoricalCrossentropy(label_smoothing=smoothing)
    model.compile(optimizer, loss, metrics=["accuracy"])
    y = labels if sparse else to_categorical(labels, case["classes"])
    model.fit(x.reshape(n, case["inputs"], 1) if case["flatten"] else x, y, case["batch_size"], epochs=2, verbose=0)
    return model


@settings(max_examples=40)
@given(trainings())
def test_the_fused_step_equals_layer_by_layer_bit_for_bit(case: dict[str, Any]) -> None:
    fused, layered = fitted(case, SGD(0.02)), fitted(case, Layered(0.02))
    assert fused.fused is not None
    assert layered.fused is None
    for (name, W), V in zip(fused.params.items(), layered.params.values(), strict=True):
        np.testing.assert_array_equal(W, V, err_msg=name, strict=True)
    assert fused.history.history == layered.history.history


def test_the_fused_step_equals_layer_by_layer_where_cores_share_it() -> None:
    for seed in (0, 1):
        assert train(model_of_the_article(seed)) == train(model_of_the_article(seed, Layered(0.1)))


@pytest.mark.parametrize(("batch_size", "widths"), [(1, [2060, 2100]), (20, [700, 1100, 30]), (70, [2050, 60, 1030])])
def test_the_fused_step_equals_layer_by_layer_where_cores_share_the_units(batch_size: int, widths: list[int]) -> None:
    case = {
        "inputs": 300,
        "hidden": [(width, kind) for width, kind in zip(widths, ["relu", "tanh", "sigmoid"], strict=False)],
        "classes": 10,
        "use_bias": True,
        "dtype": "float32",
        "samples_dtype": "float32",
        "flatten": False,
        "zeros": 0.5,
        "loss": "categorical",
        "batch_size": batch_size,
        "samples": 3 * batch_size - 1 if batch_size > 1 else 3,
    }
    fused, layered = fitted(case, SGD(0.02)), fitted(case, Layered(0.02))
    assert fused.fused is not None
    if os.cpu_count() != 1:
        assert fused.fused.table[:, 3].any()  # some layer is shared out by units
    for (name, W), V in zip(fused.params.items(), layered.params.values(), strict=True):
        np.testing.assert_array_equal(W, V, err_msg=name, strict=True)
    assert fused.history.history == layered.history.history


# --- many steps at once ---


@pytest.mark.parametrize("images", ["bytes", "float32"])
def test_steps_at_once_are_those_that_are_taken_one_by_one(images: str) -> None:
    """Also in the middle of an epoch that ends with a short batch: 47 steps, 13 of which are another call's."""
    rng = np.random.default_rng(0)
    pixels = Pixels(rng.integers(256, size=(5930, 784), dtype=np.uint8) * (rng.random((5930, 784)) < 0.2))
    x, y = pixels if images == "bytes" else np.asarray(pixels), rng.integers(10, size=5930)
    told: list[int] = []
    results = []
    for callbacks in ([], [LambdaCallback(on_train_batch_end=lambda batch, logs: told.append(batch))]):
        model = model_of_the_article(0)
        history = model.fit(x, y, batch_size=100, epochs=2, verbose=0, callbacks=callbacks).history
        assert model.optimizer is not None
        results.append([*(W.tobytes() for W in model.get_weights()), history, model.optimizer.iterations])
    assert results[0] == results[1]
    assert told == [*range(60), *range(60)]


def test_a_bar_is_told_of_some_steps_only(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    spy = may_skip_batches(lambda self, batch, logs: told.append(batch))
    monkeypatch.setattr(ProgbarLogger, "on_train_batch_end", spy)
    x = np.zeros((6000, 784), np.float32)
    model_of_the_article(0).fit(x, np.zeros(6000, int), batch_size=100, verbose=2)
    assert told == [46, 59]  # as many at once as a few hundredths of a second are enough for, and the rest


def test_who_must_know_of_every_batch_is_told(tmp_path: Path) -> None:
    told: list[object] = []

    class Checkpoint(ModelCheckpoint):
        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            told.append(batch)

    x, y = np.zeros((300, 784), np.float32), np.zeros(300, int)
    model_of_the_article(0).fit(x, y, 100, callbacks=[Checkpoint(tmp_path / "model.keras")], verbose=0)
    assert told == [0, 1, 2]
    model = model_of_the_article(0)
    model.metrics[0].update_state = lambda y_true, y_pred: told.append(len(y_true))  # type: ignore[method-assign]
    model.fit(x, y, 100, verbose=0)
    assert told == [0, 1, 2, 100, 100, 100]


def test_an_interrupt_leaves_the_number_of_steps_right(monkeypatch: pytest.MonkeyPatch) -> None:
    from scratch.kernels import threads

    def interrupted(tasks: Any, run: Any = threads.run) -> None:
        run(tasks)
        raise KeyboardInterrupt

    model = model_of_the_article(0)
    monkeypatch.setattr(threads, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(np.zeros((300, 784), np.float32), np.zeros(300, int), 100, verbose=0)
    assert model.optimizer is not None
    assert model.optimizer.iterations == 3


@pytest.mark.parametrize("failing", [0, 1])
def test_a_core_that_has_no_memory_ends_the_training_of_all(failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from scratch.kernels import fused_step as fused

    def take_part(work: Any, share: int, *rest: Any, real: Any = fused._take_part) -> bool:
        if share == failing:
            work.progress[fused.BEGUN + fused.LINE * share] += 1  # it has begun; the others may wait for it
            raise MemoryError
        return real(work, share, *rest)

    model = model_of_the_article(0)
    x, y = np.zeros((300, 784), np.float32), np.zeros(300, int)
    if os.cpu_count() == 1 and failing == 1:
        pytest.skip("needs two cores")
    with monkeypatch.context() as patch:
        patch.setattr(fused, "_take_part", take_part)
        with pytest.raises(MemoryError):
            model.fit(x, y, 100, verbose=0)
    model.fit(x, y, 100, verbose=0)


def test_no_room_for_a_batch_is_not_taken_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    from scratch.kernels import fused_step as fused

    def no_memory(*_: object) -> None:
        raise MemoryError

    model, other = model_of_the_article(0), model_of_the_article(0)
    x, y = np.random.default_rng(0).random((100, 784), dtype=np.float32), np.arange(100) % 10
    for each in (model, other):
        each.train_on_batch(x[:10], y[:10])
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(fused, "aligned_empty", no_memory)
            with pytest.raises(MemoryError):
                model.train_on_batch(x, y)
    assert model.train_on_batch(x, y) == other.train_on_batch(x, y)
    np.testing.assert_equal(model.get_weights(), other.get_weights())


def plain(optimizer: SGD) -> Sequential:
    """Two inputs, straight into a softmax."""
    model = Sequential([Dense(2, "softmax", input_shape=(2,), kernel_initializer="zeros", name="only")])
    model.compile(optimizer, "categorical_crossentropy")
    return model


@pytest.mark.parametrize("bad", ["a sample", "a weight"])
def test_steps_at_once_stop_where_the_loss_is_not_finite_any_more(bad: str) -> None:
    """A weight that the first step makes infinite meets only zeros in the second: that is NaN, and not nothing."""
    x, y = np.tile(np.float32([0.0, 1.0]), (16 * 6, 1)), np.eye(2)[np.arange(16 * 6) // 3 % 2]
    x[4, 0] = 3e38 if bad == "a weight" else 0
    x[20, 1] = 3e38 if bad == "a sample" else 1
    found = []
    for optimizer in (SGD(1e3), Layered(1e3)):
        model = plain(optimizer)
        with pytest.warns(UserWarning, match="The loss is not finite any more: epoch 1, batch 2; ") as warned:
            history = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history
        assert [warning.filename for warning in warned] == [__file__]
        assert (model.fused is None) == isinstance(optimizer, Layered)
        found.append((model.get_weights(), history["loss"], optimizer.iterations))
    np.testing.assert_equal(*found)


# --- products ---


@st.composite
def factors(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """A (M, K), B (K, N), perhaps a bias (N,): dense, mostly zero, with rows or columns of zeros; A may be a view."""
    size = st.one_of(st.integers(1, 300), st.sampled_from([1, 4, 15, 16, 17, 64, 97, 112, 128, 256, 257, 293]))
    M, K, N = draw(size), draw(size), draw(size)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    A = rng.normal(size=(M, K)).astype(dtype)
    kind = draw(st.sampled_from(["dense", "sparse", "rows", "columns", "zero"]))
    if kind == "sparse":
        A *= rng.random((M, K)) < 0.1
    elif kind == "rows":
        A[rng.random(M) < 0.6] = 0
    elif kind == "columns":
        A[:, rng.random(K) < 0.6] = 0
    elif kind == "zero":
        A[:] = 0
    if draw(st.booleans()):
        A = np.ascontiguousarray(A.T).T
    bias = rng.normal(size=N).astype(dtype) if draw(st.booleans()) else None
    return A, rng.normal(size=(K, N)).astype(dtype), bias


def check_product(A: np.ndarray, B: np.ndarray, bias: np.ndarray | None) -> None:
    """Compare with longdouble where float64 is at test, within γ(K + 1)·(Σ|a||b| + |bias|) plus what may underflow."""
    from scratch.kernels.gemm import product

    wide = np.longdouble if A.dtype == np.float64 else np.float64
    with np.errstate(invalid="ignore"):
        b = 0 if bias is None else bias.astype(wide)
        expected = A.astype(wide) @ B.astype(wide) + b
        size = np.abs(A).astype(wide) @ np.abs(B).astype(wide) + np.abs(b)
    bound = Rounding(A.dtype.name).gamma(A.shape[1] + 1) * size + 100 * float(np.finfo(A.dtype).tiny)
    out = product(A, B, bias)
    assert out.dtype == A.dtype
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(out[~finite], expected[~finite].astype(A.dtype))
    assert (np.abs(out[finite] - expected[finite]) <= bound[finite]).all()


@settings(max_examples=200)
@given(factors())
def test_products_are_as_exact_as_they_can_be(case: tuple[np.ndarray, np.ndarray, np.ndarray | None]) -> None:
    check_product(*case)


@settings(max_examples=100)
@given(factors(), st.sampled_from([np.inf, -np.inf, np.nan]), st.sampled_from("AB"), st.data())
def test_infinity_and_nan_come_out_as_numpy_has_them(
    case: tuple[np.ndarray, np.ndarray, np.ndarray | None], bad: float, where: str, data: st.DataObject
) -> None:
    A, B, bias = case
    k = data.draw(st.integers(0, len(B) - 1))
    if where == "B":
        A[:, k] = 0  # the infinity meets nothing but zeros, each of which is NaN with it
        B[k, data.draw(st.integers(0, B.shape[1] - 1))] = bad
    else:
        A[data.draw(st.integers(0, len(A) - 1)), k] = bad
    check_product(A, B, bias)


def test_products_that_cores_share_are_the_same() -> None:
    from scratch.kernels.gemm import SHARED, product, product_tile

    rng = np.random.default_rng(0)
    for M, K, N in ((1030, 300, 300), (130, 784, 256), (100, 300, 200), (2, 2000, 1100)):
        A, B = np.maximum(rng.normal(size=(M, K)), 0).astype("float32"), rng.normal(size=(K, N)).astype("float32")
        whole = np.empty((M, N), np.float32)
        product_tile(A, False, B, False, np.zeros(N, np.float32), whole, 0, M, 0, N)
        assert M * K * N >= SHARED
        np.testing.assert_array_equal(product(A, B), whole)


# --- threads and processes ---

AT_ONCE = """
from parity_tests.unit.test_numba import *
for make in (lambda: SGD(0.1), lambda: SGD(0.1, momentum=0.9)):
    for _ in range(3):
        assert train_at_once((1, 2, 3), make) == [train(model_of_the_article(seed, make())) for seed in (1, 2, 3)]
print("right")
"""


@pytest.mark.parametrize("layer", LAYERS)
def test_models_trained_at_once_are_as_those_trained_alone(layer: str) -> None:
    if layer == "tbb" and python("import numba.np.ufunc.tbbpool").returncode:
        pytest.skip("TBB is not installed")
    assert output(AT_ONCE, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="4") == "right"


CHILD = """
import multiprocessing, sys, threading
from concurrent.futures import ProcessPoolExecutor
from parity_tests.unit.test_numba import digest, model_of_the_article, train

def all_the_time(model):
    while not over:
        train(model)

if __name__ == "__main__":
    method, meanwhile = sys.argv[1:]
    expected, over = digest(3), False
    thread = threading.Thread(target=all_the_time, args=(model_of_the_article(1),))
    if meanwhile:
        thread.start()
    for _ in range(3):
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            children = [pool.submit(digest, 3) for _ in range(2)]
            mine = digest(3)
            assert [child.result(timeout=60) for child in children] == [expected, expected]
            assert mine == expected
        if method == "spawn":
            break
    over = True
    print("right")
"""


@pytest.mark.parametrize(("method", "meanwhile"), [("fork", ""), ("fork", "another thread trains"), ("spawn", "")])
def test_child_processes_train_after_their_parent(method: str, meanwhile: str) -> None:
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    assert output(CHILD, method, meanwhile, NUMBA_NUM_THREADS="2") == "right"


def test_a_failing_task_says_so_when_all_have_ended_and_the_helpers_live_on() -> None:
    from scratch.kernels import threads

    class Odd(BaseException):
        """What only a helper meets."""

    for _ in range(20):
        ended: list[int] = []

        def fail() -> None:
            raise ZeroDivisionError("on purpose")

        def slow(i: int, ended: list[int] = ended) -> None:
            time.sleep(0.001)
            ended.append(i)

        with pytest.raises(ZeroDivisionError, match="on purpose"):
            threads.run([fail, *(lambda i=i: slow(i) for i in range(8)), fail])
        assert sorted(ended) == list(range(8))
        threads.run([])
    alive = [thread for thread in threading.enumerate() if thread.name.startswith("scratch-")]
    caller = threading.current_thread()

    def odd() -> None:
        time.sleep(0.01)
        if threading.current_thread() is not caller:
            raise Odd

    if alive:  # there are none on one core
        with pytest.raises(Odd):
            threads.run([odd] * 8)
    assert all(thread.is_alive() for thread in alive)
    assert train(model_of_the_article(1)) == train(model_of_the_article(1))


INTERRUPTED = """
import signal, threading, time
from scratch.kernels import threads
begun, ended = [], []
def task():
    begun.append(1)
    if threading.current_thread() is threading.main_thread():
        while len(begun) < 2:
            time.sleep(0.001)
        signal.raise_signal(signal.SIGINT)
    time.sleep(0.3)
    ended.append(1)
for _ in range(3):
    begun.clear(), ended.clear()
    try:
        threads.run([task] * 6)
    except KeyboardInterrupt:
        print(len(begun) - len(ended), len(begun) < 6)  # one is the interrupted task itself
"""


def test_after_an_interrupt_nobody_goes_on_computing() -> None:
    assert output(INTERRUPTED, NUMBA_NUM_THREADS="2").split("\n") == ["1 True"] * 3


NO_THREADS = """
import threading
def refuse(self): raise RuntimeError("can't start new thread")
from parity_tests.unit.test_numba import digest
threading.Thread.start = refuse
print(digest(3))
"""


def test_a_system_without_threads_to_spare_gets_the_same() -> None:
    assert output(NO_THREADS, NUMBA_NUM_THREADS="4") == digest(3)


# --- the cache of kernels ---

TWO_KERNELS = """
import sys
import numpy as np
from scratch.ops import numba_ops
from scratch.kernels.jit import compile_time
x = np.array([[-1, 2], [3, 4]], np.float32)
assert (numba_ops.relu_forward(x) == [[0, 2], [3, 4]]).all() and (numba_ops.column_sums(x) == [2, 6]).all()
print("compiled" if compile_time.seconds else "from the cache")
"""
COMPILING = "Compiling the kernels for this processor; that takes some seconds, once."


def two_kernels(cwd: Path = ROOT, **environment: str | None) -> tuple[str, list[str]]:
    """Use two small kernels in a new process: whether they were compiled, and what else was said."""
    done = python(TWO_KERNELS, cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert said.count(COMPILING) == (done.stdout == "compiled\n")
    return done.stdout.strip(), [line for line in said if line != COMPILING]


def copy_of_scratch(folder: Path) -> Path:
    shutil.copytree(ROOT / "scratch", folder / "scratch", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with two kernels in it."""
    folder = tmp_path_factory.mktemp("cache")
    assert two_kernels(NUMBA_CACHE_DIR=str(folder)) == ("compiled", [])
    assert two_kernels(NUMBA_CACHE_DIR=str(folder)) == ("from the cache", [])
    return folder


def damaged(data: bytes, how: str) -> bytes:
    if how == "one bit":
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    return {"garbage": b"no kernel" * 100, "empty": b"", "half": data[: len(data) // 2]}[how]


@pytest.mark.parametrize("how", ["garbage", "empty", "half", "one bit"])
def test_a_damaged_cache_is_told_once_and_mends_itself(tmp_path: Path, filled_cache: Path, how: str) -> None:
    shutil.copytree(filled_cache, tmp_path, dirs_exist_ok=True)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) >= 2
    for file in files:
        file.write_bytes(damaged(file.read_bytes(), how))
    state, said = two_kernels(NUMBA_CACHE_DIR=str(tmp_path))
    assert state == "compiled"
    assert len(said) == 1
    assert "can't be read" in said[0]
    assert two_kernels(NUMBA_CACHE_DIR=str(tmp_path)) == ("from the cache", [])


def test_entries_that_can_be_neither_read_nor_written_are_told_once_each(tmp_path: Path, filled_cache: Path) -> None:
    shutil.copytree(filled_cache, tmp_path, dirs_exist_ok=True)
    for file in [file for file in tmp_path.rglob("*") if file.is_file()]:
        file.unlink()
        file.mkdir()
    state, said = two_kernels(NUMBA_CACHE_DIR=str(tmp_path))
    assert state == "compiled"
    assert ["can't be read" in said[0], "can't be kept" in said[1], len(said)] == [True, True, 2]


def test_a_stale_cache_is_compiled_again(tmp_path: Path) -> None:
    place, cache = copy_of_scratch(tmp_path / "here"), str(tmp_path / "cache")
    assert two_kernels(place, NUMBA_CACHE_DIR=cache) == ("compiled", [])
    with (place / "scratch" / "ops" / "numpy_ops.py").open("a") as source:  # another file than the kernels'
        source.write("# edited\n")
    files = sorted((tmp_path / "cache").rglob("*.nbc"))
    assert two_kernels(place, NUMBA_CACHE_DIR=cache) == ("compiled", [])
    assert two_kernels(place, NUMBA_CACHE_DIR=cache) == ("from the cache", [])
    assert files == sorted((tmp_path / "cache").rglob("*.nbc"))  # edits don't fill the disk


def test_a_cache_folder_that_cant_be_written_is_told_once(tmp_path: Path) -> None:
    place, file = copy_of_scratch(tmp_path), tmp_path / "file"
    file.write_text("no folder")
    state, said = two_kernels(place, NUMBA_CACHE_DIR=str(file / "x"))
    assert state == "compiled"
    assert len(said) == 1
    assert f"NUMBA_CACHE_DIR={file / 'x'} can't be written to" in said[0]
    assert two_kernels(place, NUMBA_CACHE_DIR=None) == ("from the cache", [])  # where it says that they are


@pytest.mark.parametrize("named", [True, False])
def test_no_folder_at_all_is_told_once(tmp_path: Path, named: bool) -> None:
    place, file = copy_of_scratch(tmp_path), tmp_path / "scratch" / "ops" / "__pycache__"
    file.write_text("no folder")  # as in a read-only installation
    nowhere = str(file / "x")
    homes = dict.fromkeys(("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA"), nowhere)
    state, said = two_kernels(place, NUMBA_CACHE_DIR=nowhere if named else None, **homes)
    assert state == "compiled"
    assert len(said) == 1
    assert "can't be kept" in said[0]


def test_a_read_only_installation_keeps_them_elsewhere(tmp_path: Path) -> None:
    place = copy_of_scratch(tmp_path)
    (place / "scratch" / "ops" / "__pycache__").write_text("no folder")
    homes = dict.fromkeys(("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA"), str(tmp_path / "home"))
    assert two_kernels(place, NUMBA_CACHE_DIR=None, **homes) == ("compiled", [])
    assert two_kernels(place, NUMBA_CACHE_DIR=None, **homes) == ("from the cache", [])


RACE = """
import sys
import numpy as np
from scratch.ops import numba_ops
from scratch.kernels.jit import _Cache
save = _Cache.save_overload
def wait(self, sig, data):  # both have compiled before one of them writes
    print("ready", flush=True)
    sys.stdin.readline()
    save(self, sig, data)
_Cache.save_overload = wait
numba_ops.relu_forward(np.ones(3, sys.argv[1]))
"""


def test_two_processes_may_fill_the_cache_at_once(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    both = [
        subprocess.Popen([sys.executable, "-c", RACE, dtype], env=environment, cwd=ROOT, **pipes)
        for dtype in ("float32", "float64")
    ]
    for process in both:
        process.stdout.readline()
    for process in both:
        process.communicate(b"\n")
    program = (
        "import numpy as np; from scratch.ops import numba_ops; from scratch.kernels.jit import compile_time\n"
        "print(*(numba_ops.relu_forward(np.arange(-1, 2, dtype=d)) for d in ('f4', 'f8')), compile_time.seconds)"
    )
    assert output(program, NUMBA_CACHE_DIR=str(tmp_path)) == "[0. 0. 1.] [0. 0. 1.] 0.0"


def test_importing_scratch_compiles_nothing_and_leaves_numba_alone() -> None:
    program = "import sys, scratch, scratch.models; print('numba' in sys.modules, 'llvmlite' in sys.modules)"
    assert output(program) == "False False"
    program = "from scratch.kernels import jit, fused_step; print(jit.compile_time.seconds)"
    assert output(program) == "0.0"


# --- without Numba ---

WITHOUT = """
import numpy as np, sys
from scratch.models import Sequential
from scratch.layers import Dense
for _ in range(2):
    try:
        Sequential([Dense(3)], backend="numba")
    except ImportError as error:
        print(error)
model = Sequential([Dense(3, "softmax")], backend="numpy")
model.compile("sgd", "sparse_categorical_crossentropy")
print(len(model.fit(np.ones((4, 2)), np.zeros(4, int), verbose=0).history["loss"]))
from argparse import Namespace
from scratch.cli.terminal import run_command
from scratch.cli.train import ScratchProgram
program = ScratchProgram(Namespace(seed=0, hidden=[3], backend="numba"))
print(run_command("scratch", lambda: program.make_model(784, 10) and 0))
"""


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (None, "import of numba halted; None in sys.modules"),
        ("raise ImportError('Numba needs NumPy 2.4 or less. Got NumPy 3.0.')", "Numba needs NumPy 2.4 or less"),
        (
            "raise ValueError('numpy.dtype size changed\\nmay indicate binary incompatibility')",
            "numpy.dtype size changed",
        ),
        ("raise OSError('libllvmlite.so: cannot open shared object file')", "libllvmlite.so: cannot open"),
        ("raise RuntimeError", "RuntimeError"),
        ("__version__ = '0.1'", "numba"),
    ],
)
def test_a_numba_that_cant_be_used(tmp_path: Path, fault: str | None, reason: str) -> None:
    program, path = WITHOUT, None
    if fault is None:
        program = "import sys; sys.modules['numba'] = None\n" + program
    else:
        (tmp_path / "numba").mkdir()
        (tmp_path / "numba" / "__init__.py").write_text(fault)
        path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    done = python(program, PYTHONPATH=path)
    first, second, epochs, status = done.stdout.splitlines()
    assert first == second
    assert first.startswith("backend='numba' needs Numba, which can't be loaded (")
    assert reason in first
    assert first.endswith("python -m pip install --upgrade numba, or use backend='numpy', which needs NumPy only.")
    assert (epochs, status) == ("1", "2")
    assert done.stderr == f"python -m scratch: {first}\n"


def test_a_numba_that_may_not_compile() -> None:
    done = python(WITHOUT, NUMBA_DISABLE_JIT="1")
    first, second, epochs, status = done.stdout.splitlines()
    assert "NUMBA_DISABLE_JIT=1 forbids it to compile; unset that" in first == second
    assert (epochs, status) == ("1", "2")
    assert done.stderr == f"python -m scratch: {first}\n"


# --- a busy machine ---


@pytest.mark.slow
def test_a_busy_machine_makes_it_slower_but_not_by_much() -> None:
    """With a spinning process on each core an epoch takes at most three times as long: medians, interleaved."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.random((10_000, 784), np.float32) - 0.8, 0)
    y = rng.integers(10, size=len(x))
    model = model_of_the_article(0)

    def epoch() -> float:
        start = time.perf_counter()
        model.fit(x, y, batch_size=100, epochs=1, verbose=0)
        return time.perf_counter() - start

    epoch()
    quiet, busy = [], []
    for _ in range(7):
        quiet += [epoch() for _ in range(3)]
        spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
        try:
            time.sleep(0.3)
            busy += [epoch() for _ in range(3)]
        finally:
            for process in spinning:
                process.kill()
            for process in spinning:
                process.wait()
    ratio = statistics.median(busy) / statistics.median(quiet)
    print(f"busy / quiet: {ratio:.2f}")
    assert ratio < 3

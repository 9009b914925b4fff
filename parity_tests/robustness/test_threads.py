"""A model shared by several threads: inference gives the results of one thread, also while the model is trained."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from scratch.callbacks import LambdaCallback
from scratch.layers import Activation, Dense
from scratch.models import Sequential
from scratch.ops import BACKENDS
from scratch.optimizers import SGD
from scratch.utils import set_random_seed

THREADS = 8
X = np.random.default_rng(0).normal(size=(240, 20)).astype(np.float32)
Y = np.eye(10)[np.arange(240) % 10]


def make(backend: str, momentum: float = 0.0) -> Sequential:
    set_random_seed(0)
    model = Sequential(
        [Dense(40, "relu", input_shape=(20,)), Dense(30), Activation("tanh"), Dense(10, "softmax")], backend=backend
    )
    model.compile(SGD(0.5, momentum), "categorical_crossentropy", metrics=["accuracy"])
    return model


CALLS: dict[str, Callable[[Sequential, int], Any]] = {
    "predict": lambda model, n: model.predict(X[:n], batch_size=7, verbose=0),
    "call": lambda model, n: model(X[:n]),
    "evaluate": lambda model, n: model.evaluate(X[:n], Y[:n], batch_size=7, verbose=0),
    "trace": lambda model, n: model.trace(X[:n], Y[:n]),
    "gradients": lambda model, n: model.gradients(X[:n], Y[:n]),
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_inference_from_several_threads(backend: str) -> None:
    """Batches of different sizes at once: a tensor kept for another thread's batch would have the wrong shape."""
    model = make(backend)
    tasks = [(name, n) for n in (1, 5, 60, 100, 240) for name in CALLS] * 4
    expected = {task: CALLS[task[0]](model, task[1]) for task in set(tasks)}
    with ThreadPoolExecutor(THREADS) as pool:
        for task, result in zip(tasks, pool.map(lambda task: CALLS[task[0]](model, task[1]), tasks), strict=True):
            np.testing.assert_equal(result, expected[task], err_msg=str(task))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("backend", BACKENDS)
def test_predictions_during_fit_are_those_of_complete_steps(backend: str, momentum: float) -> None:
    """Each prediction equals one that was made between two steps, and the training ends with the same bits."""
    epochs, twin = 12, make(backend, momentum)
    states = {twin.predict(X, verbose=0).tobytes()}
    record = LambdaCallback(
        on_train_batch_end=lambda batch, logs: states.add(twin.predict(X, verbose=0, batch_size=240).tobytes())
    )
    states.add(twin.predict(X, verbose=0, batch_size=240).tobytes())
    twin.fit(X, Y, batch_size=20, epochs=epochs, verbose=0, callbacks=[record])

    model, seen, stop = make(backend, momentum), [], threading.Event()

    def predict() -> None:
        while not stop.is_set():
            seen.append(model.predict(X, verbose=0, batch_size=240).tobytes())

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(predict) for _ in range(2)]
        model.fit(X, Y, batch_size=20, epochs=epochs, verbose=0)
        stop.set()
        for future in futures:
            future.result()
    assert set(seen) <= states
    assert len(set(seen)) > 1  # some were made during the training
    np.testing.assert_equal(model.get_weights(), twin.get_weights())
    assert model.history.history == twin.history.history


def test_evaluate_during_fit_leaves_the_running_means_alone() -> None:
    quiet, busy = make("numba"), make("numba")
    quiet.fit(X, Y, batch_size=20, epochs=2, verbose=0)
    evaluate = LambdaCallback(on_train_batch_end=lambda batch, logs: busy.evaluate(X[:9], Y[:9], verbose=0))
    busy.fit(X, Y, batch_size=20, epochs=2, verbose=0, callbacks=[evaluate])
    assert busy.history.history == quiet.history.history


def test_a_second_fit_at_the_same_time_is_refused() -> None:
    model, started, proceed = make("numpy"), threading.Event(), threading.Event()

    def wait(epoch: int, logs: object) -> None:
        started.set()
        assert proceed.wait(30)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(model.fit, X, Y, verbose=0, callbacks=[LambdaCallback(on_epoch_begin=wait)])
        assert started.wait(30)
        with pytest.raises(ValueError, match=r"Model 'sequential' is being trained by another fit\(\)"):
            model.fit(X, Y, verbose=0)
        proceed.set()
        first.result()
    model.fit(X, Y, verbose=0)


def test_a_train_step_may_predict() -> None:
    class Watching(Sequential):
        def train_step(self, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
            before = self.predict(x, verbose=0)
            loss, out = super().train_step(x, y)
            np.testing.assert_array_equal(before, out)
            return loss, out

    model = Watching([Dense(10, "softmax")], backend="numpy")
    model.compile("sgd", "categorical_crossentropy")
    model.fit(X, Y, verbose=0)
    assert model.optimizer is not None
    assert model.optimizer.iterations == 8

"""Ctrl-C at any moment leaves the parameters, velocities and iterations of complete steps."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import numpy as np
import pytest

from parity_tests.unit.kernels import LayerByLayer
from scratch.callbacks import LambdaCallback
from scratch.kernels import plan
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.utils import set_random_seed

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
X = np.random.default_rng(0).normal(size=(600, 64)).astype(np.float32)
Y = np.arange(600) % 10
BATCH, STEPS = 20, 150
each_batch = LambdaCallback(on_train_batch_end=lambda batch, logs: None)
PATHS: dict[str, tuple[str, Callable[[], SGD], list[LambdaCallback]]] = {
    "several fused steps per call": ("numba", lambda: SGD(0.1), []),
    "one fused step per call": ("numba", lambda: SGD(0.1), [each_batch]),
    "one fused step per call, two threads": ("numba", lambda: SGD(0.1), [each_batch]),
    "fused steps with velocities": ("numba", lambda: SGD(0.1, momentum=0.9), []),
    "fused steps with a norm": ("numba", lambda: SGD(0.1, momentum=0.5, global_clipnorm=0.1, weight_decay=1e-3), []),
    "numba, layer by layer": ("numba", lambda: LayerByLayer(0.1, momentum=0.9), []),
    "numpy": ("numpy", lambda: SGD(0.1), []),
    "numpy with momentum": ("numpy", lambda: SGD(0.1, momentum=0.9, nesterov=True), []),
    "numpy with clipping": ("numpy", lambda: SGD(0.1, momentum=0.5, global_clipnorm=0.1, weight_decay=1e-3), []),
}


@pytest.fixture(autouse=True)
def _python_handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install Python's handler: a shell that runs the tests in the background starts them with Ctrl-C ignored.

    Python cannot raise an interrupt of a destructor, and reports it; pytest's hook for that may be interrupted too.
    """
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _two_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partition the steps of a path that says so for two threads."""
    if "two threads" in request.node.name:
        for name, value in (("MIN_PARALLEL_WORK", 0), ("MIN_SAMPLES_PER_CHUNK", BATCH // 2)):
            monkeypatch.setattr(plan, name, value)


def make(path: str) -> Sequential:
    set_random_seed(0)
    backend, optimizer, _ = PATHS[path]
    model = Sequential(
        [Dense(100, "relu", input_shape=(64,)), Dense(50, "relu"), Dense(10, "softmax")], backend=backend
    )
    model.compile(optimizer(), "sparse_categorical_crossentropy")
    return model


def fingerprint(model: Sequential) -> bytes:
    """Return all that a step changes, as bytes."""
    assert model.optimizer is not None
    velocities = [model.optimizer.v.get(key, np.zeros_like(W)) for key, W in model.params.items()]
    return b"".join(array.tobytes() for array in [*model.weights, *velocities])


def fit(model: Sequential, path: str) -> None:
    model.fit(
        X, Y, batch_size=BATCH, epochs=STEPS * BATCH // len(X), shuffle=False, verbose=0, callbacks=PATHS[path][2]
    )


def states(path: str) -> list[bytes]:
    """Return the state after each number of steps."""
    model = make(path)
    found = [fingerprint(model)]
    for step in range(STEPS):
        rows = slice(step * BATCH % len(X), step * BATCH % len(X) + BATCH)
        model.train_on_batch(X[rows], Y[rows])
        found.append(fingerprint(model))
    return found


def interrupted(work: Callable[[], object], seconds: float, count: int) -> None:
    """Do the work while another thread sends ``count`` real SIGINTs, the first after some seconds, the others soon.

    They raise KeyboardInterrupt as long as the work lasts, and are ignored then.
    """
    armed = True

    def handler(number: int, frame: object) -> None:
        if armed:
            raise KeyboardInterrupt

    def send() -> None:
        time.sleep(seconds)
        for i in range(count):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.0005 * (i % 3))

    before = signal.signal(signal.SIGINT, handler)
    sender = threading.Thread(target=send)
    try:
        try:
            sender.start()
            work()
        finally:
            armed = False
    except KeyboardInterrupt:
        pass
    sender.join()
    signal.signal(signal.SIGINT, before)


def timed_fit(path: str) -> tuple[Sequential, float]:
    model, start = make(path), time.perf_counter()
    fit(model, path)
    return model, time.perf_counter() - start


def interrupt(path: str, count: int) -> None:
    """Interrupt trainings at random moments until ``count`` of them were interrupted in the middle."""
    expected = states(path)
    timed_fit(path)  # compiles
    model, duration = timed_fit(path)
    assert fingerprint(model) == expected[-1]
    rng, rounds, middle = np.random.default_rng(0), 0, 0
    while middle < count:
        assert rounds < 5 * count, f"{middle} of {rounds} trainings were interrupted in the middle"
        model = make(path)
        interrupted(lambda model=model: fit(model, path), rng.uniform(0, 0.9 * duration), 1 + 5 * (rounds % 2))
        assert model.optimizer is not None
        steps = model.optimizer.iterations
        assert fingerprint(model) == expected[steps], f"round {rounds}: not the state after {steps} steps"
        assert model.fit_state is None
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        rounds += 1
        middle += 0 < steps < STEPS
        model.train_on_batch(X[:BATCH], Y[:BATCH])  # the model is usable
        if steps == STEPS:  # the machine has become faster
            _, duration = timed_fit(path)


@pytest.mark.parametrize("path", PATHS)
def test_an_interrupt_never_splits_a_step(path: str) -> None:
    interrupt(path, 8)


class InterruptedSGD(SGD):
    """An optimizer that receives Ctrl-C before each update."""

    def update(self, params: dict[str, np.ndarray], grads: dict[str, np.ndarray]) -> None:
        signal.raise_signal(signal.SIGINT)
        super().update(params, grads)


def interrupted_in_each_step() -> Sequential:
    """Return a model that receives Ctrl-C in each of its steps."""
    model = make("numpy")
    model.compile(InterruptedSGD(0.1), "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
def test_an_interrupt_within_a_step_is_raised_after_it(method: str) -> None:
    """The handler is installed again before KeyboardInterrupt is raised, so that the next Ctrl-C works, too."""
    model, expected = interrupted_in_each_step(), make("numpy")
    expected.train_on_batch(X[:BATCH], Y[:BATCH])
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0} if method == "fit" else {}
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(X[:BATCH], Y[:BATCH], **options)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert model.optimizer is not None
    assert model.optimizer.iterations == 1
    assert fingerprint(model) == fingerprint(expected)


def test_an_interrupt_within_a_callback_is_raised_at_once() -> None:
    done: list[object] = []

    def interrupt_it(batch: int, logs: dict[str, float]) -> None:
        done.append(batch)
        signal.raise_signal(signal.SIGINT)
        done.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        make("numpy").fit(X, Y, BATCH, verbose=0, callbacks=LambdaCallback(on_train_batch_end=interrupt_it))
    assert done == [0]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_that_a_callback_installs_is_delayed_and_stays() -> None:
    model = interrupted_in_each_step()
    seen: list[int] = []

    def handler(number: int, frame: object) -> None:
        assert model.optimizer is not None
        seen.append(model.optimizer.iterations)

    def install(batch: int, logs: dict[str, float]) -> None:
        signal.signal(signal.SIGINT, handler)

    model.fit(X, Y, 200, verbose=0, callbacks=LambdaCallback(on_train_batch_begin=install))
    assert seen == [1, 2, 3]  # after each step
    assert signal.getsignal(signal.SIGINT) is handler


def test_handlers_that_callbacks_chain_and_put_back() -> None:
    """As a debugger does: the new handler calls the previous one, which is installed again later."""
    model, seen = interrupted_in_each_step(), list[str]()
    previous: list[Callable[..., object]] = []

    def handler(number: int, frame: FrameType | None) -> None:
        seen.append("handler")
        previous[0](number, frame)

    def first(number: int, frame: FrameType | None) -> None:
        seen.append("first")

    def install(batch: int, logs: dict[str, float]) -> None:
        found = signal.signal(signal.SIGINT, handler if batch == 0 else first)
        if batch == 0:
            assert callable(found)
            previous.append(found)

    signal.signal(signal.SIGINT, first)
    model.fit(X, Y, 200, verbose=0, callbacks=LambdaCallback(on_train_batch_end=install))
    assert seen == ["first", "handler", "first", "first"]
    assert signal.getsignal(signal.SIGINT) is first


def test_an_ignored_interrupt_stays_ignored() -> None:
    """A shell starts programs in the background like this."""
    model = interrupted_in_each_step()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    model.fit(X, Y, 200, verbose=0)
    assert model.optimizer is not None
    assert model.optimizer.iterations == 3
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_200_interrupts_never_split_a_step(path: str) -> None:
    interrupt(path, 200)

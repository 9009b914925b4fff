"""Trainings on the backend ``numba`` that the tests of the kernels share, and Python programs in new processes."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from scratch.layers import Dense
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.utils import set_random_seed

ROOT = Path(__file__).parents[2]


class LayerByLayer(SGD):
    """SGD in a subclass, which does not inherit the rule of the fused step: ``fit`` trains layer by layer."""


def model_of_the_article(seed: int, optimizer: SGD | None = None) -> Sequential:
    """Return the article's network, built and compiled; with SGD(0.1) by default, so that ``fit`` uses fused steps."""
    set_random_seed(seed)
    layers = [Dense(256, "relu", input_shape=(784,), name="a"), Dense(100, "relu", name="b")]
    model = Sequential([*layers, Dense(10, "softmax", name="c")], backend="numba")
    model.compile(optimizer or SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(model: Sequential, epochs: int = 2) -> str:
    """Train on 500 random images, 75 % zeros; return a digest of the weights, the history and the predictions."""
    rng = np.random.default_rng(7)
    x, y = np.maximum(rng.random((500, 784), dtype=np.float32) - 0.75, 0), rng.integers(10, size=500)
    history = model.fit(x, y, batch_size=100, epochs=epochs, validation_split=0.1, verbose=0).history
    bits = b"".join(W.tobytes() for W in model.get_weights()) + model.predict(x, verbose=0).tobytes()
    return hashlib.sha256(bits + repr(history).encode()).hexdigest()


def digest(seed: int) -> str:
    """Return the digests of trainings with fused steps, with velocities and a norm, and layer by layer."""
    optimizers = SGD(0.1), SGD(0.1, momentum=0.9, global_clipnorm=0.5), LayerByLayer(0.1, momentum=0.9)
    return "".join(train(model_of_the_article(seed, optimizer)) for optimizer in optimizers)


def run_python(
    program: str, *arguments: str, cwd: Path = ROOT, **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """Run a program in a new process, for two minutes at most.

    Args:
        program: source code.
        arguments: of the command line.
        cwd: working directory, whose packages the program imports first.
        environment: variables to change, or to remove if None.
    """
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
    """Run a program in a new process; return what it printed, after checking that it succeeded."""
    done = run_python(program, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def train_concurrently(seeds: tuple[int, ...], optimizer: Callable[[], SGD]) -> list[str]:
    """Train one model per seed, each in its own thread, all started together; return the digests."""
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

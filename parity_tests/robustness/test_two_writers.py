"""Two processes save to one file, and are killed at random moments: the file is always complete, and no save fails."""

import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from parity_tests.unit.kernels import output
from scratch.callbacks import ModelCheckpoint
from scratch.layers import Dense
from scratch.models import Sequential, load_model
from scratch.optimizers import SGD

X, Y = np.ones((2, 30)), np.eye(2)


def new_model(name: str, seed: int) -> Sequential:
    """Return a model whose weights do not change when it is trained."""
    model = Sequential([Dense(200, input_shape=(30,)), Dense(2, "softmax")], name=name, backend="numpy")
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=W.shape) for W in model.get_weights()])
    model.compile(SGD(0.0), "categorical_crossentropy")
    return model


def start_writer(model: Sequential, file: Path, pipe: tuple[int, int]) -> int:
    """Start a process that saves the model, and then writes a byte to the pipe, until its parent has ended."""
    process = os.fork()
    if process == 0:
        try:
            os.close(pipe[0])
            while True:
                model.fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(file)])
                os.write(pipe[1], b".")
        except Exception as error:
            print(error, file=sys.stderr, flush=True)
        finally:
            os._exit(1)
    return process


def read_file(file: Path, models: dict[str, Sequential]) -> None:
    """Check that the file holds one of the models."""
    saved = load_model(file, backend="numpy")
    weights = models[saved.name].get_weights()
    assert all(map(np.array_equal, saved.get_weights(), weights))


def main(kills: int, wanted: int, seed: int) -> None:
    """Kill a writer and start it again so many times; print how many saves succeeded, and how many were cut off.

    Which kill meets a save depends on the load: more kills follow, ten times as many at most, until ``wanted`` have.
    """
    rng = random.Random(seed)
    models = {name: new_model(name, i) for i, name in enumerate(("first", "second"))}
    with tempfile.TemporaryDirectory() as name:
        file, pipe = Path(name) / "model.keras", os.pipe()
        writers = {name: start_writer(model, file, pipe) for name, model in models.items()}
        count, cut_off = len(os.read(pipe[0], 1)), 0  # the file exists
        for number in range(10 * kills):
            if number >= kills and cut_off >= wanted:
                break
            time.sleep(rng.uniform(0, 0.01))
            victim = rng.choice(list(writers))
            os.kill(writers[victim], signal.SIGKILL)
            assert os.waitpid(writers[victim], 0)[1] == signal.SIGKILL, "a save failed"
            cut_off += len(os.listdir(name)) > 2  # more than the file and a temporary file of the other writer
            read_file(file, models)
            writers[victim] = start_writer(models[victim], file, pipe)
            count += len(os.read(pipe[0], 1 << 16))
        for writer in writers.values():
            os.kill(writer, signal.SIGKILL)
            assert os.waitpid(writer, 0)[1] == signal.SIGKILL, "a save failed"
        models["first"].save(file)
        assert os.listdir(name) == ["model.keras"], "temporary files are left"
    print(json.dumps({"saves": count, "cut off": cut_off}))


def run(kills: int, wanted: int, seed: int) -> dict[str, int]:
    program = f"from parity_tests.robustness.test_two_writers import main; main({kills}, {wanted}, {seed})"
    counts: dict[str, int] = json.loads(output(program, OPENBLAS_NUM_THREADS="1"))
    return counts


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_10_kills() -> None:
    assert run(10, wanted=0, seed=1)["saves"] >= 10


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_300_kills() -> None:
    counts = run(300, wanted=3, seed=2)
    print(counts)
    assert counts["saves"] >= 300
    assert counts["cut off"] >= 3

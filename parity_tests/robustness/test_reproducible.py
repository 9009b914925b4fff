"""Same seed, same bits, twice and in a new process; and an import that costs little."""

import hashlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from scratch.layers import Dense
from scratch.models import Sequential
from scratch.utils import set_random_seed

PROGRAM = """
from parity_tests.robustness.test_reproducible import digest
print(digest(int(__import__("sys").argv[1])))
"""


def digest(seed: int) -> str:
    """Digest of all bits of a small training: weights, history, predictions."""
    rng = np.random.default_rng(7)
    x, y = rng.random((500, 784)), rng.integers(10, size=500)
    set_random_seed(seed)
    model = Sequential([Dense(256, "relu"), Dense(100, "relu"), Dense(10, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=100, epochs=2, validation_split=0.1, verbose=0).history
    bits = b"".join(W.tobytes() for W in model.get_weights()) + model.predict(x, verbose=0).tobytes()
    return hashlib.sha256(bits + repr(history).encode()).hexdigest()


def test_same_seed_same_bits_twice_in_a_row() -> None:
    assert digest(3) == digest(3)
    assert digest(3) != digest(4)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_same_seed_same_bits_in_a_new_process(threads: str) -> None:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads}
    command = [sys.executable, "-c", PROGRAM, "3"]
    runs = {subprocess.run(command, env=environment, capture_output=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 1


def test_this_process_and_a_new_one_agree() -> None:
    output = subprocess.run([sys.executable, "-c", PROGRAM, "3"], capture_output=True, check=True, text=True).stdout
    assert output.strip() == digest(3)


def test_models_of_one_seed_differ_from_each_other() -> None:
    set_random_seed(0)
    first, second = (Sequential([Dense(5, input_shape=(4,))]).get_weights()[0] for _ in range(2))
    assert not np.array_equal(first, second)
    set_random_seed(0)
    np.testing.assert_array_equal(first, Sequential([Dense(5, input_shape=(4,))]).get_weights()[0])


def test_unseeded_programs_differ() -> None:
    program = "from scratch.layers import Dense; d = Dense(3); d([[1.0, 2.0]]); print(d.params['W'].tobytes())"
    runs = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 2


def test_import_brings_nothing_heavy() -> None:
    program = "import sys, scratch; print(*sorted(name for name in sys.modules if '.' not in name))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.split()
    assert "scratch" in loaded
    heavy = {
        "tensorflow",
        "keras",
        "jax",
        "torch",
        "matplotlib",
        "mlxtend",
        "pandas",
        "sklearn",
        "scipy",
        "pooch",
        "PIL",
        "h5py",
    }
    assert not heavy & set(loaded)


def test_import_is_quick_beside_numpy() -> None:
    """``import scratch`` costs little more than the NumPy it needs: the best of five, interleaved, as a ratio."""

    def seconds(module: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        return time.perf_counter() - start

    times = [(seconds("numpy"), seconds("scratch")) for _ in range(5)]
    numpy, ours = (min(column) for column in zip(*times, strict=True))
    assert ours < 3 * numpy

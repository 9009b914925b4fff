"""The same seed gives the same bits, twice and in a new process; ``import scratch`` is fast and loads few packages."""

import hashlib
import os
import resource
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

import scratch
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.utils import set_random_seed

PROGRAM = """
from parity_tests.robustness.test_reproducible import digest
print(digest(int(__import__("sys").argv[1])))
"""


def digest(seed: int) -> str:
    """Train a small network; return a digest of the weights, the history and the predictions."""
    rng = np.random.default_rng(7)
    x, y = rng.random((500, 784)), rng.integers(10, size=500)
    set_random_seed(seed)
    model = Sequential([Dense(256, "relu"), Dense(100, "relu"), Dense(10, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=100, epochs=2, validation_split=0.1, verbose=0).history
    bits = b"".join(W.tobytes() for W in model.get_weights()) + model.predict(x, verbose=0).tobytes()
    return hashlib.sha256(bits + repr(history).encode()).hexdigest()


def test_a_seed_determines_the_bits() -> None:
    assert digest(3) == digest(3)
    assert digest(3) != digest(4)


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_new_process_gives_the_bits_of_this_process(threads: str) -> None:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads}
    command = [sys.executable, "-c", PROGRAM, "3"]
    output = subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout
    assert output.strip() == digest(3)


def test_models_created_after_one_seed_differ() -> None:
    set_random_seed(0)
    first, second = (Sequential([Dense(5, input_shape=(4,))]).get_weights()[0] for _ in range(2))
    assert not np.array_equal(first, second)
    set_random_seed(0)
    np.testing.assert_array_equal(first, Sequential([Dense(5, input_shape=(4,))]).get_weights()[0])


def test_programs_without_a_seed_differ() -> None:
    program = "from scratch.layers import Dense; d = Dense(3); d([[1.0, 2.0]]); print(d.params['W'].tobytes())"
    runs = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 2


def test_import_does_not_load_large_packages() -> None:
    program = "import sys, scratch; print(*sorted(name for name in sys.modules if '.' not in name))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.split()
    assert "scratch" in loaded
    frameworks = {"tensorflow", "keras", "jax", "torch", "sklearn"}
    libraries = {"matplotlib", "mlxtend", "pandas", "scipy", "pooch", "PIL", "h5py"}
    assert not (frameworks | libraries) & set(loaded)


@pytest.mark.parametrize("name", ["callbacks", "datasets", "saving"])
def test_modules_that_the_article_does_not_use_are_imported_on_first_use(name: str) -> None:
    program = f"""
import sys, scratch
package = sys.modules["scratch.{name}"]
before = {{module for module in sys.modules if module.startswith("scratch.{name}.")}}
assert set(package.__all__) <= set(dir(package)), dir(package)
from scratch.{name} import *
after = {{module for module in sys.modules if module.startswith("scratch.{name}.")}}
print(*sorted(after - before))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    late = {module.rpartition(".")[2] for module in run.stdout.split()}
    expected = {
        "callbacks": {"backup", "csv_logger", "early_stopping", "learning_rate", "model_checkpoint"},
        "datasets": {"fashion_mnist"},
        "saving": {"archive", "config", "entries", "settings", "weights", "hdf5"},
    }
    assert expected[name] <= late


@pytest.mark.parametrize("module", [scratch.callbacks, scratch.datasets, scratch.saving])
def test_unknown_names_of_modules_that_import_on_first_use(module: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"^{module.__name__} has no typo; it has .*\\.$"):
        module.typo  # noqa: B018


@pytest.mark.slow
def test_import_takes_less_than_three_times_as_long_as_numpy() -> None:
    """Compare the best of five imports each, interleaved, because ``import scratch`` includes ``import numpy``.

    It compares processor time: a busy machine interrupts the longer import more often.
    """

    def seconds(module: str) -> float:
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime

    times = [(seconds("numpy"), seconds("scratch")) for _ in range(5)]
    numpy_seconds, scratch_seconds = (min(column) for column in zip(*times, strict=True))
    assert scratch_seconds < 3 * numpy_seconds

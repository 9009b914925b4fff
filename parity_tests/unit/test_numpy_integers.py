"""Integers of NumPy's types, the smallest included, give the results of Python's integers."""

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scratch.batches import batches
from scratch.callbacks import BackupAndRestore, EarlyStopping, ModelCheckpoint
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.utils import set_random_seed, to_categorical

X = np.random.default_rng(0).normal(size=(260, 4)).astype(np.float32)
Y = to_categorical(np.arange(260) % 3)


def model(units: int = 5, features: int = 4) -> Sequential:
    network = Sequential([Dense(units, "relu", input_shape=(features,)), Dense(3, "softmax")], backend="numpy")
    network.compile("sgd", "categorical_crossentropy")
    return network


def fit(**options: Any) -> Any:
    set_random_seed(0)
    network = model()
    return network.fit(X, Y, verbose=0, **options).history, [W.tobytes() for W in network.get_weights()]


def seeded(seed: int) -> list[bytes]:
    set_random_seed(seed)
    return [W.tobytes() for W in model().get_weights()]


def batch_rows(n: int) -> list[Any]:
    """Return the rows of batches in order, and of shuffled ones."""
    return [*batches(260, n), *(rows.tolist() for rows in batches(260, n, np.random.default_rng(0)))]  # type: ignore[union-attr]


def summary(n: int) -> str:
    with redirect_stdout(io.StringIO()) as output:
        model().summary(line_length=n)
    return output.getvalue().replace("sequential_1", "sequential")


def saved(n: int) -> list[tuple[int, ...]]:
    """Save a model whose sizes are n, so that they stand in the JSON of the archive."""
    network = model(n, n)
    network.save("model.keras")
    return [W.shape for W in network.get_weights()]


@pytest.mark.parametrize("dtype", [np.int8, np.uint64])
@pytest.mark.parametrize(
    "result",
    [
        batch_rows,
        seeded,
        saved,
        lambda n: summary(n).splitlines()[1],
        lambda n: fit(batch_size=n),
        lambda n: fit(epochs=n // 40, initial_epoch=n // 80),
        lambda n: fit(epochs=3, callbacks=[EarlyStopping("loss", patience=n // 80, start_from_epoch=n)]),
        lambda n: fit(batch_size=2, callbacks=[ModelCheckpoint("checkpoint.keras", save_freq=n)]),
        lambda n: fit(batch_size=2, callbacks=[BackupAndRestore("backup", save_freq=n)]),
        lambda n: model().evaluate(np.zeros((260, 4)), Y, batch_size=n, verbose=0),
        lambda n: model().predict(np.zeros((260, 4)), batch_size=n, verbose=0).tolist(),
        lambda n: to_categorical([1, 2], n).tolist(),
        lambda n: model().get_layer(index=n // 80).units,
    ],
)
def test_same_result(
    result: Callable[[Any], object], dtype: type[np.integer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert result(dtype(100)) == result(100)

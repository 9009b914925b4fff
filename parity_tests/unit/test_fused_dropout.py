"""Dropout in fused steps: the masks of many steps in a call, of steps that do not complete, and of a loaded model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scratch.callbacks import LambdaCallback
from scratch.kernels import threads
from scratch.layers import Dense, Dropout
from scratch.models import Sequential, load_model
from scratch.optimizers import SGD
from scratch.pixels import Pixels
from scratch.utils import set_random_seed

EACH_BATCH = LambdaCallback(on_train_batch_end=lambda batch, logs: None)


def network(run_eagerly: bool = False, rates: tuple[float, float, float] = (0.1, 0.2, 0.5)) -> Sequential:
    """Return the article's network with a Dropout layer before each of its layers."""
    set_random_seed(0)
    first, second, third = map(Dropout, rates)
    layers = [first, Dense(256, "relu"), second, Dense(100, "tanh"), third, Dense(10, "softmax")]
    model = Sequential(layers, backend="numba")
    model.compile(SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=run_eagerly)
    model.build((None, 784))
    return model


def everything(model: Sequential) -> list[Any]:
    masks = {name: state.tolist() for name, state in model.state.items()}
    return [*(W.tobytes() for W in model.get_weights()), list(masks.values()), model.history.history]


@pytest.mark.parametrize("images", ["bytes", "float32", "float64"])
def test_many_steps_per_call_have_the_bits_of_layer_by_layer(images: str) -> None:
    rng = np.random.default_rng(0)
    pixels = Pixels(rng.integers(256, size=(5930, 784), dtype=np.uint8) * (rng.random((5930, 784)) < 0.2))
    x = pixels if images == "bytes" else np.asarray(pixels).astype(images)
    found = []
    for model, callbacks in ((network(), []), (network(), [EACH_BATCH]), (network(run_eagerly=True), [])):
        model.fit(x, np.arange(5930) % 10, 100, 2, verbose=0, callbacks=callbacks)
        assert (model.fused is None) == model.run_eagerly
        found.append(everything(model))
    assert found[0] == found[1] == found[2]
    assert [number for _, number in found[0][-2]] == [120, 120, 120]


def test_interrupt_counts_the_masks_of_complete_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(tasks: Any, run: Any = threads.run) -> None:
        run(tasks)
        raise KeyboardInterrupt

    model = network()
    monkeypatch.setattr(threads, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(np.zeros((300, 784), np.float32), np.zeros(300, int), 100, verbose=0)
    assert [state[1] for state in model.state.values()] == [3, 3, 3]


@pytest.mark.filterwarnings("ignore:The loss is not finite")
def test_a_loss_that_is_not_finite_is_that_of_layer_by_layer() -> None:
    """In the third batch the factor makes an input infinite, if its mask keeps it; else the loss stays finite."""
    finite = []
    for column in range(5):
        x, y = np.random.default_rng(0).random((600, 784), dtype=np.float32), np.arange(600) % 10
        x[:, :5] = 0
        x[250, column] = 3.3e38
        found = []
        for run_eagerly in (False, True):
            model = network(run_eagerly, (0.5, 0.2, 0.0))
            model.fit(x, y, 100, shuffle=False, verbose=0)
            found.append(everything(model))
        np.testing.assert_equal(*found)
        finite.append(bool(np.isfinite(model.history.history["loss"][0])))
    assert set(finite) == {False, True}


def test_a_loaded_model_continues_with_the_bits_of_layer_by_layer(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).random((250, 784), dtype=np.float32), np.arange(250) % 10
    found = []
    for run_eagerly in (False, True):
        model = network(run_eagerly)
        model.fit(x, y, 100, verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = load_model(tmp_path / "model.keras")
        loaded.run_eagerly = run_eagerly
        for dropout in loaded.layers[::2]:
            dropout.state["masks"][:] = 5, 2
        loaded.rng = np.random.default_rng(0)
        loaded.fit(x, y, 100, verbose=0)
        assert (loaded.fused is None) == run_eagerly
        found.append(everything(loaded))
    assert found[0] == found[1]

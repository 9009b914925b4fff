"""Configs and JSON of models, losses and metrics; pictures of models; ``normalize`` and ``backend``."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from scratch import backend, losses, metrics, utils
from scratch.layers import Activation, Dense, Flatten
from scratch.models import Sequential, model_from_json
from scratch.optimizers import SGD


def new_model() -> Sequential:
    layers = [Flatten(input_shape=(2, 3)), Dense(4, "relu", name="hidden"), Dense(3), Activation("softmax")]
    model = Sequential(layers, name="m", backend="numpy", dtype="float64")
    model.compile(SGD(0.25, momentum=0.5), losses.CategoricalCrossentropy(label_smoothing=0.1), metrics=["accuracy"])
    return model


def test_a_model_from_its_config() -> None:
    model = new_model()
    copy = Sequential.from_config(model.get_config(), backend="numpy")
    assert (copy.name, copy.dtype, copy.loss) == ("m", np.float64, None)
    assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
    copy.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    np.testing.assert_array_equal(copy(x), model(x))
    with pytest.raises(ValueError, match=r"."):
        Sequential.from_config({"name": "m"})


def test_a_model_from_its_json() -> None:
    model = new_model()
    copy = model_from_json(model.to_json(), backend="numpy")
    assert json.loads(copy.to_json()) == json.loads(model.to_json())
    assert copy.optimizer.momentum == 0.5
    assert copy.loss.label_smoothing == 0.1
    with pytest.raises(ValueError, match="is not JSON"):
        model_from_json("{")


@pytest.mark.parametrize("loss_class", losses.LOSSES.values())
def test_a_loss_from_its_config(loss_class: type[losses.Loss]) -> None:
    loss = loss_class(reduction="sum")
    assert vars(loss_class.from_config(loss.get_config())) == vars(loss) != vars(loss_class())


@pytest.mark.parametrize("metric_class", metrics.METRICS.values())
def test_a_metric_from_its_config(metric_class: type[metrics.Metric]) -> None:
    metric = metric_class("mine")
    assert vars(metric_class.from_config(metric.get_config())) == vars(metric) != vars(metric_class())


@pytest.mark.parametrize("program", ["dot", None])
def test_a_picture_of_a_model(program: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shutil.which("dot")
    if program and not found:
        pytest.skip("graphviz is not installed")
    monkeypatch.setattr(shutil, "which", lambda name: found if program else None)
    from scratch.utils import plot_model

    options = {"show_shapes": True, "show_layer_names": True, "show_layer_activations": True}
    svg = plot_model(new_model(), tmp_path / "m.svg", **options).read_text()
    assert svg.lstrip().startswith("<?xml")
    if program:
        for text in ("hidden (Dense)", "Activation: relu", "Output shape: (None, 4)", "Shape: (None, 2, 3)"):
            assert text in svg
    plot_model(new_model(), tmp_path / "m.png", dpi=50)
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_is_not_drawn(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^Unknown ending of to_file '.gif': choose one of .png, .svg"):
        utils.plot_model(new_model(), tmp_path / "m.gif")
    with pytest.raises(ValueError, match="has no weights yet"):
        utils.plot_model(Sequential([Dense(3)]), tmp_path / "m.png", show_shapes=True)
    with pytest.raises(ValueError, match="plot_model needs a model with layers; 'empty' has none"):
        utils.plot_model(Sequential(name="empty"), tmp_path / "m.png")
    with pytest.raises(TypeError, match=r"^scratch's plot_model has no argument 'show_dtype'"):
        utils.plot_model(new_model(), tmp_path / "m.png", False, True)  # Keras's order of the arguments
    with pytest.raises(AttributeError, match=r"^scratch\.utils has no plot_history; it"):
        utils.plot_history  # noqa: B018
    assert not list(tmp_path.iterdir())


def test_normalize() -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_array_equal(utils.normalize(x), [[0.6, 0.8], [0, 0]])
    np.testing.assert_array_equal(utils.normalize(x, axis=0), [[1, 1], [0, 0]])
    np.testing.assert_allclose(utils.normalize(x, order=1), [[3 / 7, 4 / 7], [0, 0]])
    assert utils.normalize(x.astype("float32")).dtype == np.float32
    np.testing.assert_array_equal(utils.normalize(x.astype("uint8"), axis=1), utils.normalize(x))


def test_settings_of_the_backend() -> None:
    Dense(1)
    backend.clear_session()
    assert Dense(1).name == "dense"
    assert (backend.epsilon(), backend.floatx(), backend.image_data_format()) == (1e-7, "float32", "channels_last")

"""Programs for older versions of Keras are told the new name in one sentence."""

import copy
import importlib
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import scratch
from scratch.callbacks import ReduceLROnPlateau
from scratch.dropped_names import METHODS, MODULES
from scratch.layers import Dense, Dropout, Input, InputLayer, Layer, ReLU
from scratch.losses import LOSSES
from scratch.metrics import METRICS, Metric
from scratch.models import Sequential
from scratch.optimizers import schedules

X, Y = np.ones((4, 3)), np.eye(2)[[0, 1, 0, 1]]


def new_model() -> Any:
    model = Sequential([Dense(2, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("module", MODULES)
def test_a_module(module: str) -> None:
    message = rf"^Keras 3 has no module {module}, and neither has scratch; write 'from scratch\."
    with pytest.raises(ImportError, match=message):
        exec(f"from scratch.{module} import something")
    with pytest.raises(ImportError, match=message):
        importlib.import_module(f"scratch.{module}").something()
    assert not hasattr(importlib.import_module(f"scratch.{module}"), "__path__")
    parent, _, name = module.partition(".")
    with pytest.raises(ImportError, match=message):
        exec(f"from scratch.{parent} import {name}; {name}.something")


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("scratch", "constraints", "scratch has no constraints; it has Input, Sequential, activations, .*, utils"),
        (
            "scratch.models",
            "Model",
            "scratch.models has no Model, as scratch has no functional API; list the layers in",
        ),
        ("scratch.layers", "Normalization", "scratch.layers has no Normalization; it has ELU, Activation, Batch"),
        ("scratch.optimizers", "Nadam", "scratch.optimizers has no Nadam; it has SGD, Adagrad, "),
        (
            "scratch.optimizers.schedules",
            "CosineDecay",
            "scratch.optimizers.schedules has no CosineDecay; it has .*LearningRateSchedule, ExponentialDecay, ",
        ),
        ("scratch.metrics", "Precision", "scratch.metrics has no Precision; it has .*, BinaryAccuracy, "),
        ("scratch.losses", "Huber", "scratch.losses has no Huber; it has BinaryCrossentropy, "),
        ("scratch.callbacks", "TensorBoard", "scratch.callbacks has no TensorBoard; it has BackupAndRestore, "),
        ("scratch.datasets", "cifar10", r"scratch.datasets has no cifar10; it has fashion_mnist, mnist\.$"),
        ("scratch.utils", "pad_sequences", "scratch.utils has no pad_sequences; it has PyDataset, .*, to_categorical"),
        ("scratch.backend", "variable", "scratch.backend has no variable; it has clear_session, "),
        ("scratch.ops", "mean", r"scratch.ops has no mean, as it is not keras.ops; use NumPy\.$"),
    ],
)
def test_a_name_that_a_module_does_not_have(module: str, name: str, message: str) -> None:
    found = importlib.import_module(module)
    with pytest.raises(AttributeError, match=f"^{message}"):
        getattr(found, name)
    with pytest.raises(ImportError, match=f"^{message}"):
        exec(f"from {module} import {name}")
    assert not hasattr(found, name)
    with pytest.raises(AttributeError, match=rf"^module '{module}' has no attribute '__{name}__'$"):
        getattr(found, f"__{name}__")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: new_model().fit(X, Y, nb_epoch=2), "fit has no argument 'nb_epoch'; Keras 3 calls it 'epochs'."),
        (lambda: Dense(output_dim=2), "Dense has no argument 'output_dim'; Keras 3 calls it 'units'."),
        (lambda: Dense(2, init="uniform"), "Dense has no argument 'init'; Keras 3 calls it 'kernel_initializer'."),
        (lambda: Dropout(p=0.5), "Dropout has no argument 'p'; Keras 3 calls it 'rate'."),
        (lambda: Dropout(0.5, activation="relu"), "scratch's Dropout has no argument 'activation'."),
        (lambda: Dense(3, comon=1), "scratch's Dense has no argument 'comon'."),
        (
            lambda: Dense(3, foo=1, kernel_regulariser=1),
            "scratch's Dense has no argument 'foo', 'kernel_regulariser'; it has 'kernel_regularizer'.",
        ),
        (lambda: type("Own", (Dense, dict), {})(3, nam=1), "scratch's Own has no argument 'nam'; it has 'name'."),
        (
            lambda: scratch.losses.MeanSquaredError(label_smoothing=0.1),
            "scratch's MeanSquaredError has no argument 'label_smoothing'.",
        ),
        (
            lambda: ReduceLROnPlateau(epsilon=0),
            "ReduceLROnPlateau has no argument 'epsilon'; Keras 3 calls it 'min_delta'.",
        ),
        (lambda: Dense(2, activaton="relu"), "scratch's Dense has no argument 'activaton'; it has 'activation'."),
        (
            lambda: Dropout(0.5, inputshape=(3,)),
            "scratch's Dropout has no argument 'inputshape'; it has 'input_shape'.",
        ),
        (lambda: scratch.optimizers.SGD(lr=0.1), "SGD has no argument 'lr'; Keras 3 calls it 'learning_rate'."),
    ],
)
def test_an_argument(call: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}$"):
        call()


@pytest.mark.parametrize("method", METHODS)
def test_a_method_of_a_model(method: str) -> None:
    model = new_model()
    message = rf"^'Sequential' object has no attribute '{method}'; Keras 3 has dropped it: use model\."
    with pytest.raises(AttributeError, match=message):
        getattr(model, method)
    assert not hasattr(model, method)
    with pytest.raises(AttributeError, match=r"^'Sequential' object has no attribute 'fir'$"):
        model.fir  # noqa: B018
    assert [layer.name for layer in copy.deepcopy(pickle.loads(pickle.dumps(model))).layers] == [model.layers[0].name]


def test_an_attribute_of_an_optimizer() -> None:
    optimizer = new_model().optimizer
    message = r"^SGD has no attribute 'lr'; Keras 3 calls it 'learning_rate'\.$"
    with pytest.raises(AttributeError, match=message):
        optimizer.lr = 0.5
    with pytest.raises(AttributeError, match=message):
        print(optimizer.lr)
    assert optimizer.learning_rate == 0.01


@pytest.mark.parametrize(
    ("base", "method", "parameters", "message"),
    [
        (Layer, "call", "self, x", "defines call, which scratch does not call; define forward"),
        (Dense, "call", "self, x", "defines call, which scratch does not call; define forward"),
        (
            Sequential,
            "test_step",
            "self, data",
            r"defines test_step, which scratch does not call; define evaluate\(x, y",
        ),
        (Sequential, "predict_step", "self, data", "defines predict_step, which scratch does not call; define predict"),
        (Sequential, "train_step", "self, data", r"train_step must be train_step\(self, x, y, sample_weight=None\)"),
    ],
)
def test_a_method_that_only_keras_would_call(base: type, method: str, parameters: str, message: str) -> None:
    """The class is refused, instead of computing what its base class computes."""
    with pytest.raises(TypeError, match=rf"^Mine(\.| ){message}"):
        type("Mine", (base,), {method: eval(f"lambda {parameters}: None")})


def test_a_layer_for_both_programs_may_have_both_methods() -> None:
    class Mine(Layer):
        def call(self, x: Any) -> Any:
            return 2 * x

        def forward(self, x: Any) -> Any:
            return self.activate(self.call(x))

    np.testing.assert_array_equal(Mine()(X), 2 * X)


def test_the_functional_interface_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Layer 'dense' needs a batch of numbers; got the layer 'input_layer': "):
        Dense(3, name="dense")(Input((8,), name="input_layer"))


@pytest.mark.parametrize(
    ("owner", "arguments"),
    [
        (ReLU, {}),
        (InputLayer, {"shape": (3,)}),
        *((owner, {}) for owner in (*LOSSES.values(), *METRICS.values(), Metric)),
        (schedules.ExponentialDecay, {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}),
        (schedules.PiecewiseConstantDecay, {"boundaries": [1], "values": [0.1, 0.01]}),
    ],
)
def test_an_unknown_argument_names_the_class(owner: type, arguments: dict[str, object]) -> None:
    with pytest.raises(TypeError, match=rf"^scratch's {owner.__name__} has no argument 'other'\.$"):
        owner(**arguments, other=6)


def test_an_argument_of_keras_has_its_default_only() -> None:
    with pytest.raises(TypeError, match=r"^scratch's ReLU has no argument 'max_value'\.$"):
        ReLU(max_value=6)


def test_a_key_of_the_history() -> None:
    history = new_model().fit(X, Y, validation_data=(X, Y), verbose=0).history
    for old, new in (("acc", "accuracy"), ("val_acc", "val_accuracy")):
        with pytest.raises(KeyError, match=f"Keras 3 calls '{old}' '{new}', unless the model is compiled with"):
            history[old]
    with pytest.raises(KeyError, match=r"^'mse'$"):
        history["mse"]
    assert "acc" not in history
    assert history == dict(history)
    model = new_model()
    model.compile("sgd", "categorical_crossentropy", metrics=["acc"])
    assert len(model.fit(X, Y, verbose=0).history["acc"]) == 1

"""Arguments that scratch and Keras both have, of every public class, function and method, have the same defaults."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import inspect
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import keras
import pytest

import keras_impl
import scratch

MODULES = (
    *("activations", "backend", "callbacks", "datasets.mnist", "datasets.fashion_mnist", "initializers", "layers"),
    *("losses", "metrics", "models", "optimizers", "optimizers.schedules", "regularizers", "utils"),
)
OTHERS = {  # on purpose: the default in scratch
    "metrics.Metric: name": "mean",  # the name of a metric that is a mean
    "datasets.mnist.load_data: path": None,  # MNIST_PATH, Keras's cache, or a download
}


def defaults(function: Any) -> dict[str, object]:
    """Return the arguments that have a default."""
    try:
        arguments = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a class or function without a signature
        return {}
    return {name: argument.default for name, argument in arguments.items() if argument.default is not argument.empty}


def common(ours: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the public classes, functions or methods that both have, by name."""
    for name in sorted(set(dir(ours)) & set(dir(theirs))):
        pair = getattr(ours, name, None), getattr(theirs, name, None)
        if name[0] != "_" and all(map(callable, pair)):
            yield name, *pair


@pytest.mark.parametrize("module", MODULES)
def test_defaults(module: str) -> None:
    found = {}
    for name, ours, theirs in common(*map(attrgetter(module), (scratch, keras))):
        members = common(ours, theirs) if inspect.isclass(ours) and inspect.isclass(theirs) else ()
        for path, mine, other in ((name, ours, theirs), *((f"{name}.{part}", *pair) for part, *pair in members)):
            expected = defaults(other)
            for argument, value in defaults(mine).items():
                if argument in expected and value != expected[argument]:
                    found[f"{module}.{path}: {argument}"] = value
    assert found == {name: value for name, value in OTHERS.items() if name.startswith(f"{module}.")}


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_those_of_scratch(module: str) -> None:
    """A name of Keras is no import from elsewhere, such as ``collections.abc.Sequence``."""
    for name, ours, _ in common(*map(attrgetter(module), (scratch, keras))):
        assert ours.__module__.partition(".")[0] == "scratch", name


def test_defaults_are_compared() -> None:
    """Keras's own defaults are found, also of a method and of a decorated function."""
    for program in (scratch, keras):
        assert defaults(program.Sequential.compile)["optimizer"] == "rmsprop"
        assert defaults(program.layers.LeakyReLU)["negative_slope"] == 0.3
        assert defaults(program.callbacks.EarlyStopping)["patience"] == 0
    assert len(list(common(scratch.layers, keras.layers))) > 10


def test_defaults_of_compile_and_names_of_metrics() -> None:
    for metrics in (None, [], ["accuracy"]):
        ours = scratch.Sequential([scratch.layers.Dense(3, "softmax", input_shape=(4,))])
        theirs = keras_impl.to_keras(ours)
        for model in (ours, theirs):
            model.compile(loss="mse", metrics=metrics)
        assert ours.metrics_names == theirs.metrics_names
        config = ours.optimizer.get_config()
        assert type(ours.optimizer).__name__ == type(theirs.optimizer).__name__
        expected = theirs.optimizer.get_config()
        for key in ("learning_rate", "rho", "momentum", "epsilon", "centered", "weight_decay", "clipnorm"):
            assert config[key] == (pytest.approx(expected[key], rel=1e-7) if expected[key] else expected[key])
    assert scratch.Sequential().metrics_names == keras.Sequential().metrics_names

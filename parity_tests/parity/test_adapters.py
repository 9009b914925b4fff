"""Adapters: right networks in many styles are examined without a false alarm."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from keras_impl.frameworks import FRAMEWORK
from parity_tests import needs_keras  # noqa: F401  (before anything that imports Keras)
from parity_tests.conftest import slow_except
from parity_tests.diagnosis.examine import Examination, examine
from parity_tests.diagnosis.formulas import Formulas, run
from parity_tests.diagnosis.observe import observe
from parity_tests.diagnosis.situations import situations
from parity_tests.implementations.adapters import adapt
from parity_tests.implementations.conventions import Conventions
from parity_tests.implementations.loading import load
from parity_tests.implementations.protocol import CannotRunError, offered
from parity_tests.implementations.skeleton import write_skeleton
from parity_tests.parity.networks import book, frameworks, plain

THREE, TWO = (20, 16, 12, 5), (20, 16, 5)
SUM_OF_LABELS = Conventions(loss="sum", targets="labels")
RIGHT: dict[str, Callable[[], Any]] = {
    "book, layers with references": lambda: adapt(book.LayeredNet, THREE),
    "book, layers with references, in float32": lambda: adapt(book.LayeredNet, THREE, Conventions(dtype="float32")),
    "book, functions, sigmoid": lambda: adapt(book.FunctionalNet, TWO),
    "book's second volume": lambda: adapt(book.SecondVolumeNet, TWO),
    "lists of weights and biases": lambda: adapt(plain.ListNet, THREE),
    "outputs with a cache": lambda: adapt(plain.CachingNet, THREE),
    "columns, tanh, only updates": lambda: adapt(plain.ColumnNet, THREE),
    "numbered attributes, tanh, logits": lambda: adapt(plain.AttributeNet, TWO),
    "class numbers, summed loss, fit": lambda: adapt(plain.LabelNet, THREE, SUM_OF_LABELS),
    "float32, sums in shuffled order": lambda: adapt(plain.Float32Net, THREE),
    "scratch, numpy": lambda: adapt(frameworks.scratch_model("numpy"), THREE),
    "scratch, numba": lambda: adapt(frameworks.scratch_model("numba"), THREE),
    "scratch, numpy, float64": lambda: adapt(frameworks.scratch_model("numpy", "float64"), THREE),
    "PyTorch": lambda: adapt(frameworks.torch_module(), THREE),
    "PyTorch, log-probabilities": lambda: adapt(frameworks.torch_module(log_probabilities=True), THREE),
    "JAX": lambda: adapt(frameworks.jax_function(), THREE),
}
if FRAMEWORK == "tensorflow":  # Keras on JAX and torch clips the probabilities of a softmax: its loss is another one
    RIGHT["Keras"] = lambda: adapt(frameworks.keras_model(), THREE)
PACKAGES = {"PyTorch": "torch", "JAX": "jax"}


def failures(examination: Examination) -> list[str]:
    """Return the comparisons with Keras that failed."""
    return [
        f"{row.name}: {comparison.failure}"
        for row in examination.rows
        for comparison in row.comparisons.values()
        if comparison.failure
    ]


@pytest.mark.parametrize(
    "name", slow_except(RIGHT, "book, layers with references", "lists of weights and biases", "scratch, numba")
)
def test_no_false_alarm(name: str) -> None:
    if package := PACKAGES.get(name.split(",")[0]):
        pytest.importorskip(package)
    factory = RIGHT[name]()
    examination = examine(factory)
    assert failures(examination) == []
    assert examination.diagnosis.explanations == ()
    assert not examination.diagnosis.unexplained
    assert all(not observation.errors and not observation.modified for observation in examination.observations)
    seen = {tensor for observation in examination.observations for tensor in observation.tensors}
    assert {"dense_0/dW", "dense_0/db"} <= seen
    assert ("loss" in seen) == ("loss" in offered(factory()))


@pytest.mark.slow
def test_only_the_clipped_loss_of_scikit_learn_is_reported() -> None:
    pytest.importorskip("sklearn")
    examination = examine(adapt(frameworks.mlp_classifier(), THREE))
    assert {line.split(": ")[1].split("[")[0] for line in failures(examination)} == {"loss"}
    (clipped,) = examination.diagnosis.explanations
    assert clipped.mistake.name == "probabilities_clipped"
    assert clipped.parameter == pytest.approx(np.finfo(float).eps)
    assert not examination.diagnosis.unexplained


def test_layers_see_the_weights_that_are_set() -> None:
    network = adapt(book.LayeredNet, THREE)()
    for dtype in ("float64", "float32"):
        weights = [np.full(W.shape, 0.5, dtype) for W in network.get_weights()]
        network.set_weights(weights)
        inside = network.network.network  # type: ignore[attr-defined]
        assert inside.layers["Affine2"].W is inside.params["W2"]
        assert inside.params["W2"].dtype == dtype
        assert network.outputs(np.ones((1, 20), dtype)).dtype == dtype


def test_networks_are_fresh() -> None:
    for factory in (adapt(book.LayeredNet, THREE), adapt(book.LayeredNet(20, [16], 5))):
        first, second = factory(), factory()
        first.set_weights([W + 1 for W in first.get_weights()])
        assert not any((a == b).any() for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def test_what_is_missing_is_not_offered() -> None:
    assert offered(adapt(plain.ColumnNet, THREE)()) == ("step",)
    assert offered(adapt(plain.AttributeNet, TWO)()) == ("loss", "step")
    assert offered(adapt(plain.Float32Net, THREE)()) == ("loss", "gradients", "step")


def test_conventions_are_recognised_and_undone() -> None:
    assert adapt(plain.ColumnNet, THREE)().conventions == Conventions(samples="columns", weights="units,inputs")  # type: ignore[attr-defined]
    x, t = np.ones((4, 20)), np.eye(5)[[0, 1, 2, 3]]
    mean, summed = (adapt(book.LayeredNet, THREE, Conventions(loss=loss))() for loss in ("mean", "sum"))
    assert mean.loss(x, t) == 4 * summed.loss(x, t)  # type: ignore[attr-defined]
    with pytest.raises(CannotRunError, match="convention loss must be 'mean' or 'sum'; got 'total'"):
        Conventions(loss="total")


class NoWeights:
    """A network without weights."""

    def predict(self, x):  # type: ignore[no-untyped-def]
        return x


class Particular:
    """A network whose constructor needs more than sizes."""

    def __init__(self, sizes, rate):  # type: ignore[no-untyped-def]
        raise AssertionError


@pytest.mark.parametrize(
    ("thing", "sizes", "message"),
    [
        (NoWeights, None, "NoWeights has no weights and biases that were found; looked for: a dict params with 'W1'"),
        (NoWeights(), None, "NoWeights has no weights and biases"),
        (Particular, THREE, r"Particular cannot construct a network of sizes \(20, 16, 12, 5\)"),
        (book.FunctionalNet, THREE, r"FunctionalNet\(20, \[16, 12\], 5\) raised TypeError"),
        (book.LayeredNet(20, [16], 5), THREE, r"sizes is \(20, 16, 12, 5\), but the network has \(20, 16, 5\)"),
        (3, None, "A network is expected, an object with weights and methods; got 3"),
    ],
)
def test_what_cannot_be_adapted_is_explained(thing: object, sizes: tuple[int, ...] | None, message: str) -> None:
    with pytest.raises(CannotRunError, match=message):
        adapt(thing, sizes)()


def test_new_adapter_is_right_as_it_is(tmp_path: Any) -> None:
    path = write_skeleton(tmp_path / "mine.py")
    assert len(path.read_text().splitlines()) <= 60
    examination = examine(adapt(load(f"{path}:Net")))
    assert failures(examination) == []
    assert examination.diagnosis.explanations == ()


def test_new_adapter_does_not_overwrite(tmp_path: Any) -> None:
    path = write_skeleton(tmp_path / "mine.py")
    before = path.read_text()
    with pytest.raises(CannotRunError, match="does not overwrite"):
        write_skeleton(path)
    assert path.read_text() == before
    with pytest.raises(CannotRunError, match=r"ends in \.py"):
        write_skeleton(tmp_path / "mine")
    with pytest.raises(CannotRunError, match="No such file or directory"):
        write_skeleton(tmp_path / "missing" / "mine.py")


def test_torch_module_with_its_own_loss_and_step() -> None:
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, inputs: int, hidden: int, classes: int) -> None:
            super().__init__()
            self.hidden, self.last = torch.nn.Linear(inputs, hidden), torch.nn.Linear(hidden, classes)

        def forward(self, x: Any) -> Any:
            return torch.softmax(self.last(torch.tanh(self.hidden(x))), dim=1)

    class Own(Module):
        def loss(self, x: Any, t: Any) -> Any:
            return torch.nn.functional.cross_entropy(self.last(torch.tanh(self.hidden(x))), t)

        def step(self, x: Any, t: Any, lr: float) -> None:
            gradients = torch.autograd.grad(self.loss(x, t), list(self.parameters()))
            with torch.no_grad():
                for p, gradient in zip(self.parameters(), gradients, strict=True):
                    p -= lr * gradient

    assert offered(adapt(Module, TWO)()) == ("backward",)  # cross_entropy would apply the softmax twice
    network = adapt(Own, TWO)()
    assert network.network.calls["step"] == "step(x, t, lr)"  # type: ignore[attr-defined]
    examination = examine(adapt(Own, TWO))
    assert failures(examination) == []
    assert examination.diagnosis.explanations == ()


def test_gradients_of_logits_without_a_loss() -> None:
    pytest.importorskip("jax")
    x, dout = np.random.default_rng(0).normal(size=(2, 4, 20))
    network, expected = adapt(frameworks.jax_function(), TWO)(), adapt(book.LayeredNet, TWO)()
    network.set_weights(expected.get_weights())
    gradients = network.backward(x, dout[:, :5])  # type: ignore[attr-defined]
    assert gradients[-1] == pytest.approx(dout[:, :5].sum(axis=0))
    assert gradients[-1].dtype == network.outputs(x).dtype == np.float64  # not JAX's float32


def test_uncompiled_model_is_refused() -> None:
    from scratch import Input, Sequential
    from scratch.layers import Dense

    with pytest.raises(CannotRunError, match="must be compiled with SGD and categorical cross-entropy"):
        adapt(Sequential([Input((3,)), Dense(2)]))


class PairNet:
    """In columns, trained on (x, t) pairs; an update replaces the lists, and backprop is that of one sample."""

    def __init__(self, sizes: list[int]):
        self.weights = [np.zeros((units, inputs)) for inputs, units in itertools.pairwise(sizes)]
        self.biases = [np.zeros((units, 1)) for units in sizes[1:]]

    def feedforward(self, x: np.ndarray) -> np.ndarray:
        return self.weights[0] @ x + self.biases[0]

    def backprop(self, x: np.ndarray, t: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        d = self.feedforward(x) - t
        return [d], [d @ x.T]

    def update_mini_batch(self, mini_batch: list[Any], eta: float) -> None:
        for x, t in mini_batch:
            (db,), (dW,) = self.backprop(x, t)
            self.biases, self.weights = [self.biases[0] - eta * db], [self.weights[0] - eta * dW]


def test_update_may_replace_the_lists_of_weights() -> None:
    network = adapt(PairNet, (3, 2))()
    assert offered(network) == ("step",)
    network.step(np.ones((1, 3)), np.array([[1.0, 0.0]]), 0.5)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(network.get_weights()[0], [[0.5, 0]] * 3)


def test_gradients_come_from_backward_without_a_loss() -> None:
    class Linear:
        def get_weights(self) -> list[np.ndarray]:
            return [self.W, self.b]

        def set_weights(self, weights: list[np.ndarray]) -> None:
            self.W, self.b = weights

        def outputs(self, x: np.ndarray) -> np.ndarray:
            return x @ self.W + self.b

        def backward(self, x: np.ndarray, dout: np.ndarray) -> list[np.ndarray]:
            return [x.T @ dout, dout.sum(axis=0)]

    at = situations((20, 5))[0]
    found = observe(Linear, at, "float64")
    expected = run(Formulas(), ["linear"], at.weights, at.x, at.t)
    assert found.methods["dense_0/dW"] == "backward"
    np.testing.assert_allclose(found.tensors["dense_0/dW"], expected["dense_0/dW"], atol=1e-12)

"""``trace`` and ``gradients``, and the gradient that the loss passes to the last layer, with and without a softmax."""

import numpy as np
import pytest

from parity_tests.unit.trainings import classifier, wrap
from scratch.layers import Activation, Dense, Flatten, Input, Softmax
from scratch.losses import CategoricalCrossentropy
from scratch.models import Sequential
from scratch.optimizers import SGD

Data = tuple[np.ndarray, np.ndarray]


def test_trace_names_and_values(blobs: Data) -> None:
    x, y = blobs
    model = classifier(dtype="float64")
    trace = model.trace(x, y)
    assert list(trace) == [
        "dense/out", "dense_1/out", "activation/out", "loss", "loss/dx",
        "activation/dx", "dense_1/dx", "dense_1/dW", "dense_1/db", "dense/dx", "dense/dW", "dense/db",
    ]  # fmt: skip
    W1, b1, W2, b2 = model.get_weights()
    h = np.maximum(x @ W1 + b1, 0)
    z = h @ W2 + b2
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    dz = (p - y) / 60
    expected = {
        "dense/out": h, "dense_1/out": z, "activation/out": p, "loss": -np.log(p[y == 1]).mean(),
        "loss/dx": dz, "activation/dx": dz, "dense_1/dx": dz @ W2.T, "dense_1/dW": h.T @ dz,
        "dense_1/db": dz.sum(axis=0), "dense/dx": (dz @ W2.T * (h > 0)) @ W1.T,
        "dense/dW": x.T @ (dz @ W2.T * (h > 0)), "dense/db": (dz @ W2.T * (h > 0)).sum(axis=0),
    }  # fmt: skip
    for name, tensor in trace.items():
        np.testing.assert_allclose(tensor, expected[name], rtol=1e-9, atol=1e-15, err_msg=name)
    loss, grads = model.gradients(x, y)
    assert loss == trace["loss"]
    for grad, name in zip(grads, ("dense/dW", "dense/db", "dense_1/dW", "dense_1/db"), strict=True):
        np.testing.assert_array_equal(grad, trace[name])


def test_trace_returns_copies(blobs: Data) -> None:
    model = classifier()
    trace = model.trace(*blobs)
    before = {name: tensor.copy() for name, tensor in trace.items()}
    model.fit(*blobs, verbose=0)
    for name, tensor in trace.items():
        np.testing.assert_array_equal(tensor, before[name])


def test_training_does_not_compute_dx_of_the_first_layer(blobs: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Sequential([Input((2, 2)), Flatten(), Dense(8, "relu"), Dense(3, "softmax")])
    model.compile(SGD(momentum=0.5), "categorical_crossentropy", run_eagerly=True)
    need_dx: list[bool] = []
    original = model.ops.dense_backward
    monkeypatch.setattr(model.ops, "dense_backward", lambda *args: need_dx.append(args[-1]) or original(*args))
    model.train_on_batch(blobs[0].reshape(-1, 2, 2), blobs[1])
    assert need_dx == [True, False]
    need_dx.clear()
    model.trace(blobs[0].reshape(-1, 2, 2), blobs[1])
    assert need_dx == [True, True]


def test_loss_after_a_softmax_is_computed_from_the_logits() -> None:
    """For a difference of 50 between the logits the loss is 50, in each spelling of the softmax layer."""
    for layers in ([Dense(2), Softmax()], [Dense(2), Activation("softmax")], [Dense(2, "softmax")]):
        model = Sequential([Input((1,)), *layers])
        model.compile(SGD(0.0), "categorical_crossentropy")
        model.set_weights([[[50.0, 0.0]], [0.0, 0.0]])
        x, wrong = [[1.0]], [[0.0, 1.0]]
        assert model.evaluate(x, wrong, verbose=0) == 50
        assert model.fit(x, wrong, verbose=0).history["loss"] == [50]
        np.testing.assert_allclose(model.gradients(x, wrong)[1][0], [[1, -1]])


class Tempered(Softmax):
    """Softmax of half the logits."""

    def activate(self, z: np.ndarray) -> np.ndarray:
        self.z, self.out = z, self.ops.softmax_forward(z / 2)
        return self.out

    def activate_backward(self, dout: np.ndarray) -> np.ndarray:
        return self.ops.softmax_backward(dout, self.out) / 2


def test_loss_after_an_overridden_softmax_is_computed_from_its_outputs(blobs: Data) -> None:
    x, y = blobs
    model = Sequential([Dense(3, input_shape=(4,)), Tempered()], dtype="float64")
    model.compile("sgd", "categorical_crossentropy")
    p = model(x)
    loss, (dW, db) = model.gradients(x, y)
    assert loss == pytest.approx(-np.log(p[y == 1]).mean(), rel=1e-12)
    np.testing.assert_allclose(db, ((p - y) / 2 / 60).sum(axis=0), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(dW, x.T @ ((p - y) / 2 / 60), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("method", ["activate", "activate_backward"])
def test_loss_after_a_softmax_with_a_replaced_method_is_computed_from_its_outputs(method: str, blobs: Data) -> None:
    x, y = blobs
    model = Sequential([Dense(3, "softmax", input_shape=(4,))], dtype="float64")
    model.compile("sgd", "categorical_crossentropy")
    p = model(x)
    np.testing.assert_allclose(model.trace(x, y)["loss/dx"], (p - y) / 60, rtol=1e-9)  # with respect to the logits
    wrap(model.layers[0], method, lambda method, *arguments: method(*arguments))
    np.testing.assert_allclose(model.trace(x, y)["loss/dx"], (1 - y / p) / 60, rtol=1e-9)


def test_loss_without_a_softmax_clips_the_probabilities() -> None:
    model = Sequential([Dense(2, input_shape=(1,))])
    model.compile("sgd", "categorical_crossentropy")
    model.set_weights([[[1.0, 0.0]], [0.0, 0.0]])
    assert model.evaluate([[1.0]], [[0.0, 1.0]], verbose=0) == pytest.approx(16.118, abs=1e-3)


def test_gradients_without_a_softmax(blobs: Data) -> None:
    """Logits with ``from_logits=True`` train as with a softmax; probabilities are rescaled as in Keras."""
    x, y = blobs
    softmax, logits = classifier(), Sequential([Dense(8, "relu", input_shape=(4,)), Dense(3)])
    logits.compile(SGD(0.1), CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    logits.set_weights(softmax.get_weights())
    options = {"epochs": 2, "shuffle": False, "verbose": 0}
    assert logits.fit(x, y, **options).history == softmax.fit(x, y, **options).history

    model = Sequential([Dense(3, "sigmoid")], dtype="float64")
    model.compile(SGD(0.1), "categorical_crossentropy")
    p = model(x)
    loss, (dW, _) = model.gradients(x, y)
    assert loss == pytest.approx(-np.log((p / p.sum(axis=1, keepdims=True))[y == 1]).mean(), rel=1e-12)
    W = model.get_weights()[0]
    assert model.train_on_batch(x, y) == loss
    np.testing.assert_array_equal(model.get_weights()[0], W - 0.1 * dW)


def test_backward_sends_a_gradient_with_respect_to_the_output_to_the_input() -> None:
    """By default it goes through the last activation, and the gradient with respect to the input is returned."""
    rng = np.random.default_rng(0)
    model = Sequential([Dense(5, "tanh"), Dense(3, "sigmoid")], dtype="float64", backend="numpy")
    x, dout = rng.normal(size=(4, 6)), rng.normal(size=(4, 3))
    model(x)
    out = model.forward(x)
    hidden = model.layers[0].out
    dz = dout * out * (1 - out)
    expected = (dz @ model.params["dense_1/W"].T * (1 - hidden**2)) @ model.params["dense/W"].T
    np.testing.assert_allclose(model.backward(dout), expected, rtol=1e-12)
    np.testing.assert_allclose(model.grads["dense_1/b"], dz.sum(axis=0), rtol=1e-12)

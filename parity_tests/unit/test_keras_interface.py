"""Keras's interface of models and layers: weights, introspection, ``run_eagerly``, and rejected assignments."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scratch.callbacks import LambdaCallback
from scratch.layers import Activation, Dense, Flatten, Softmax
from scratch.losses import SparseCategoricalCrossentropy
from scratch.metrics import CategoricalAccuracy, SparseCategoricalAccuracy
from scratch.models import Sequential
from scratch.ops import BACKENDS
from scratch.optimizers import SGD

X, Y = np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32), np.eye(3)[np.arange(24) % 3]


def classifier(backend: str = "numba", **options: Any) -> Sequential:
    model = Sequential([Dense(8, "relu", input_shape=(4,)), Dense(3), Activation("softmax")], backend=backend)
    model.compile(SGD(0.1), "categorical_crossentropy", metrics=["accuracy"], **options)
    return model


@pytest.fixture
def forward_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Batch sizes for which ``Dense.forward`` has been called."""
    calls: list[int] = []

    def forward(self: Dense, x: np.ndarray, original: Callable[..., Any] = Dense.forward) -> np.ndarray:
        calls.append(len(x))
        return original(self, x)

    monkeypatch.setattr(Dense, "forward", forward)
    return calls


@pytest.mark.parametrize("backend", BACKENDS)
def test_run_eagerly_calls_the_layers_for_every_batch(backend: str, forward_calls: list[int]) -> None:
    classifier(backend, run_eagerly=True).fit(X, Y, batch_size=10, epochs=2, verbose=0)
    assert forward_calls == [10, 10, 10, 10, 4, 4] * 2  # two Dense layers, three batches, two epochs


def test_run_eagerly_may_be_set_during_fit(forward_calls: list[int]) -> None:
    model = classifier()
    callback = LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(model, "run_eagerly", True))
    model.fit(X, Y, batch_size=10, epochs=2, verbose=0, callbacks=[callback])
    assert forward_calls == [10, 10, 10, 10, 4, 4]


def test_run_eagerly_gives_the_bits_of_the_compiled_core() -> None:
    results = []
    for eager in (False, True):
        model = classifier(run_eagerly=eager)
        model.set_weights([np.linspace(-1, 1, W.size).reshape(W.shape) for W in model.get_weights()])
        history = model.fit(X, Y, batch_size=10, epochs=3, shuffle=False, verbose=0).history
        assert (model.fused is None) is eager
        results.append((model.get_weights(), history))
    np.testing.assert_equal(*results)


def test_compile_resets_run_eagerly() -> None:
    model = classifier(run_eagerly=True)
    model.compile(SGD(0.1), "categorical_crossentropy")
    model.fit(X, Y, verbose=0)
    assert model.fused is not None


def test_repr() -> None:
    model = classifier()
    assert repr(model.layers[0]) == "<Dense dense: 4 → 8, relu>"
    assert repr(model.layers[2]) == "<Activation activation: 3 → 3, softmax>"
    assert repr(Dense(5)) == "<Dense dense_2: not built>"
    flatten = Flatten(input_shape=(28, 28))
    flatten.build((None, 28, 28))
    assert repr(flatten) == "<Flatten flatten: 28 × 28 → 784>"
    assert repr(model) == (
        "<Sequential sequential: 67 parameters, backend numba, layers [<Dense dense: 4 → 8, relu>, "
        "<Dense dense_1: 8 → 3>, <Activation activation: 3 → 3, softmax>]>"
    )
    assert repr(Sequential()) == "<Sequential sequential_1: not built, backend numba, layers []>"


def test_weights_of_layers_and_models() -> None:
    model = classifier()
    first = model.get_layer("dense")
    assert first is model.get_layer(index=0)
    assert first is model.layers[0]
    assert model.get_layer(index=-1) is model.layers[2]
    assert [W.shape for W in first.weights] == [(4, 8), (8,)]
    assert first.weights[0] is first.trainable_weights[0] is model.weights[0] is model.trainable_weights[0]
    assert first.count_params() == 40
    first.set_weights([np.ones((4, 8)), np.zeros(8)])
    assert (model.get_weights()[0] == 1).all()
    copies = first.get_weights()
    copies[0][:] = 5
    assert (model.weights[0] == 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: m.get_layer("other"),
            r"No such layer: 'other'. Existing layers are: \['dense', 'dense_1', 'activation'\]",
        ),
        (lambda m: m.get_layer(index=3), "No such layer: 3. Existing"),
        (lambda m: m.get_layer(), "Provide either a layer name or a layer index; got name=None, index=None"),
        (lambda m: m.get_layer("dense", 0), "Provide either a layer name or a layer index; got name='dense', index=0"),
        (lambda m: m.layers[0].set_weights([np.ones((4, 8))]), "Layer 'dense' has 2 weight arrays; got 1"),
        (lambda m: m.layers[0].set_weights([np.ones((4, 9)), np.ones(8)]), r"'W' has shape \(4, 8\); got .* \(4, 9\)"),
        (
            lambda m: setattr(m, "trainable", False),
            "Sequential 'sequential' must be trainable, .*; got trainable=False",
        ),
        (
            lambda m: setattr(m.layers[0], "trainable", False),
            "Dense 'dense' must be trainable, .*; got trainable=False",
        ),
        (lambda m: setattr(m.layers[0], "activation", "gelu"), "Unknown activation 'gelu'"),
        (
            lambda m: m.compile("sgd", "categorical_crossentropy", ["accuracy"]),
            "^scratch does not support loss_weights, the third argument as in "
            r"Keras; got \['accuracy'\]\. Pass metrics by name: metrics=\['accuracy'\]\.$",
        ),
        (lambda m: m.train_on_batch(X, Y, np.ones(23)), "sample_weight and y must hold the same number of samples"),
        (lambda m: m.train_on_batch(X, Y, class_weight={0: -1.0}), r"class_weight\[0\] must be a finite number, 0 or"),
        (lambda m: m.test_on_batch(X, Y, np.ones((24, 3))), r"sample_weight must hold one number per sample, \(24,\)"),
    ],
)
def test_rejected_calls_change_nothing(call: Callable[[Sequential], object], message: str) -> None:
    model = classifier()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        call(model)
    np.testing.assert_equal(model.get_weights(), before)


def test_layers_cannot_be_assigned() -> None:
    model = classifier()
    with pytest.raises(AttributeError, match=r"`Model\.layers` attribute is reserved"):
        model.layers = []
    model.layers.append(Dense(2))  # a copy of the list
    assert len(model.layers) == 3


def test_trainable_may_be_true() -> None:
    model = classifier()
    model.trainable = model.layers[0].trainable = True
    assert model.trainable
    assert model.layers[0].trainable


def test_activation_none_is_linear() -> None:
    layer = Dense(3, "relu")
    layer.activation = None
    assert layer.activation == "linear"


def test_stop_evaluating_and_predicting() -> None:
    model, batches = classifier(), []

    def stop(batch: int, logs: dict[str, Any]) -> None:
        batches.append(batch)
        model.stop_evaluating = model.stop_predicting = batch == 1

    callback = LambdaCallback(on_test_batch_end=stop, on_predict_batch_end=stop)
    loss, _ = model.evaluate(X, Y, batch_size=5, verbose=0, callbacks=[callback])
    assert loss == pytest.approx(model.evaluate(X[:10], Y[:10], verbose=0)[0])
    assert len(model.predict(X, batch_size=5, verbose=0, callbacks=[callback])) == 10
    assert batches == [0, 1, 0, 1]
    assert len(model.predict(X, batch_size=5, verbose=0)) == 24  # the flag is reset by the next call
    model.evaluate(X, Y, verbose=0)
    assert model.stop_evaluating is model.stop_predicting is False


def test_on_predict_batch_end_receives_the_outputs() -> None:
    outputs: list[np.ndarray] = []
    callback = LambdaCallback(on_predict_batch_end=lambda batch, logs: outputs.append(logs["outputs"]))
    result = classifier().predict(X, batch_size=5, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(np.concatenate(outputs), result)


def test_output_shapes_keep_the_batch_axis() -> None:
    assert Dense(8).compute_output_shape((1, 2)) == (1, 8)
    assert Flatten().compute_output_shape((5, 2, 3)) == (5, 6)
    assert Flatten().compute_output_shape((5, 2, None)) == (5, None)
    assert classifier().compute_output_shape((7, 4)) == (7, 3)


def test_accuracy_counts_every_prediction_of_a_batch() -> None:
    labels, y_pred = np.array([[2, 1]]), np.array([[[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]])
    sparse, one_hot = SparseCategoricalAccuracy(), CategoricalAccuracy()
    sparse.update_state(labels, y_pred)
    one_hot.update_state(np.eye(3)[labels], y_pred)
    assert sparse.result() == one_hot.result() == 0.5


def test_test_on_batch_takes_all_samples_in_one_batch(forward_calls: list[int]) -> None:
    classifier().test_on_batch(np.tile(X, (3, 1)), np.tile(Y, (3, 1)))
    assert forward_calls == [72, 72]  # two Dense layers; evaluate's default would be batches of 32


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_called_returns_numpy_arrays(backend: str) -> None:
    """A program in the style of TensorFlow's tutorial without ``.numpy()`` and ``tf.nn``; see the README."""
    model, x = Sequential([Flatten(input_shape=(4, 4)), Dense(3)], backend=backend), np.ones((5, 4, 4))
    logits = model(x[:1])
    probabilities, loss = Softmax()(logits), SparseCategoricalCrossentropy(from_logits=True)([2], logits)
    assert {type(logits), type(probabilities), type(loss)} == {np.ndarray}
    np.testing.assert_array_equal(logits, model.predict(x[:1], verbose=0))
    assert float(loss) == pytest.approx(-np.log(probabilities[0, 2]))
    assert float(probabilities.sum()) == pytest.approx(1)


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_of_one_array_is_the_array(kind: type) -> None:
    trained = [classifier(), classifier()]
    trained[1].set_weights(trained[0].get_weights())
    trained[0].fit(X, Y, shuffle=False, verbose=0)
    trained[1].fit(kind([X]), kind([Y]), shuffle=False, verbose=0)
    for a, b in zip(*(model.get_weights() for model in trained), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(trained[1].predict(kind([X]), verbose=0), trained[0].predict(X, verbose=0))


def test_a_list_of_samples_is_a_batch() -> None:
    """A list of one or more matrices that the model accepts as samples is not taken for an input."""
    model = Sequential([Flatten(), Dense(3)])
    samples = [np.ones((4, 2), np.float32), np.zeros((4, 2), np.float32)]
    assert model.predict(samples, verbose=0).shape == (2, 3)
    assert model.predict(samples[:1], verbose=0).shape == (1, 3)
    assert classifier().predict(list(X[:2]), verbose=0).shape == (2, 3)
    one = classifier()
    assert one.test_on_batch(X[:1], [Y[0]]) == one.test_on_batch([X[:1]], [Y[:1]]) == one.test_on_batch(X[:1], Y[:1])


@pytest.mark.parametrize("loss", [["categorical_crossentropy"], ("categorical_crossentropy",)])
@pytest.mark.parametrize(
    ("metrics", "names"),
    [([["accuracy"]], ["accuracy"]), ([("Accuracy", "mae")], ["Accuracy", "mae"]), (["MSE", "ACC"], ["ACC", "MSE"])],
)
def test_lists_of_losses_and_metrics(loss: Any, metrics: Any, names: list[str]) -> None:
    model = Sequential([Dense(3, "softmax")])
    model.compile("sgd", loss, metrics=metrics)
    assert list(model.evaluate(X, Y, verbose=0, return_dict=True)) == sorted([*names, "loss"])


def test_kernel_and_bias() -> None:
    layer = Dense(3)
    with pytest.raises(AttributeError, match=r"^Layer 'dense' has no weights yet: call it, or its model, on data"):
        layer.kernel  # noqa: B018
    layer(X)
    assert layer.kernel is layer.params["W"]
    assert layer.bias is layer.params["b"]
    layer = Dense(3, use_bias=False)
    assert layer.bias is None


def test_defaults_of_arguments_that_scratch_lacks() -> None:
    classifier(steps_per_execution=1, jit_compile="auto", auto_scale_loss=True)
    Dense(3, kernel_constraint=None, activity_regularizer=None)
    assert SGD(name="SGD", use_ema=False).get_config() == SGD().get_config()

"""``Sequential``: adding and removing layers, initial weights, copies."""

import copy
import pickle
from typing import ClassVar

import numpy as np
import pytest

from parity_tests.unit.trainings import classifier
from scratch.callbacks import LambdaCallback
from scratch.layers import Activation, Dense, Input
from scratch.models import Sequential
from scratch.utils import Shape, set_random_seed

Data = tuple[np.ndarray, np.ndarray]


def test_input_shape_may_be_given_or_taken_from_the_data(blobs: Data) -> None:
    models = []
    for first in (Dense(8, "relu"), Dense(8, "relu", input_shape=(4,))):
        set_random_seed(3)
        model = Sequential([first, Dense(3, "softmax")])
        model.compile("sgd", "categorical_crossentropy")
        model.fit(*blobs, verbose=0)
        models.append(model)
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)
    assert models[0].input_shape == models[1].input_shape == (None, 4)
    assert models[0].output_shape == (None, 3)


def test_add_and_pop() -> None:
    model = Sequential()
    model.add(Input((4,)))
    model.add(Dense(5))
    model.add(Dense(2))
    weights = model.get_weights()
    assert model.pop().name == "dense_1"
    model.add(Dense(3))
    assert [W.shape for W in model.get_weights()] == [(4, 5), (5,), (5, 3), (3,)]
    np.testing.assert_array_equal(model.get_weights()[0], weights[0])
    assert model.count_params() == 43


def test_pop_removes_the_input_shape_with_the_layer_that_declared_it() -> None:
    model = Sequential([Dense(5, input_shape=(4,)), Dense(2)])
    model.pop()
    assert model.input_shape == (None, 4)
    model.pop()
    assert model.input_shape is None
    model.add(Dense(3, input_shape=(7,)))
    assert model.input_shape == (None, 7)
    with_input = Sequential([Input((4,)), Dense(5)])
    with_input.pop()
    assert with_input.input_shape == (None, 4)  # the model still has the Input
    with_input.add(Dense(2))
    assert [W.shape for W in with_input.get_weights()] == [(4, 2), (2,)]


def test_initial_weights_depend_only_on_the_seed_at_creation(rng: np.random.Generator) -> None:
    """Each model has its own generator: models that are created before it is built do not change its weights."""
    first_weights = []
    for other_models in (0, 3):
        set_random_seed(1)
        model = Sequential([Dense(3)])
        for _ in range(other_models):
            Sequential([Dense(3, input_shape=(2,))])
        model(rng.normal(size=(1, 4)))
        first_weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(*first_weights)


def test_given_name_is_kept() -> None:
    assert Sequential([Dense(1)], name="mine").name == "mine"


def test_get_weights_and_set_weights_copy() -> None:
    model = classifier()
    weights = model.get_weights()
    weights[0][...] = 7
    assert not (model.get_weights()[0] == 7).any()
    zeros = [W * 0 for W in weights]
    model.set_weights(zeros)
    model.params["dense/W"][...] = 1
    assert not zeros[0].any()


def test_deepcopy_and_pickle_continue_the_training(blobs: Data) -> None:
    model = classifier(momentum=0.5)
    model.fit(*blobs, verbose=0)
    for duplicate in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        first, second = (m.train_on_batch(*blobs) for m in (copy.deepcopy(model), duplicate))
        assert first == second


def test_a_copied_optimizer_leaves_its_model_behind(blobs: Data) -> None:
    """It has the settings and the state, belongs to no model, and starts anew in another one, as in Keras."""
    model, other = classifier(momentum=0.5), classifier()
    model.fit(*blobs, verbose=0)
    for duplicate in (
        copy.deepcopy(model.optimizer),
        copy.copy(model.optimizer),
        pickle.loads(pickle.dumps(model.optimizer)),
    ):
        assert duplicate.owner is None
        assert (duplicate.momentum, duplicate.iterations, list(duplicate.v)) == (0.5, 2, list(model.optimizer.v))
        np.testing.assert_array_equal(duplicate.v["dense/W"], model.optimizer.v["dense/W"])
        other.compile(duplicate, "categorical_crossentropy")
        assert (duplicate.owner, duplicate.iterations, duplicate.v) == (other, 0, {})
    assert (model.optimizer.owner, model.optimizer.iterations, len(model.optimizer.v)) == (model, 2, 4)
    assert len(pickle.dumps(model.optimizer)) < len(pickle.dumps(model)) / 2


def test_a_copied_model_owns_its_optimizer(blobs: Data) -> None:
    model = classifier(momentum=0.5)
    model.fit(*blobs, verbose=0)
    pair = copy.deepcopy((model.optimizer, model))  # the optimizer is copied first
    for duplicate in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), pair[1]):
        assert duplicate.optimizer.owner is duplicate
        duplicate.compile(duplicate.optimizer, "categorical_crossentropy")
        assert (duplicate.optimizer.iterations, len(duplicate.optimizer.v)) == (2, 4)
        with pytest.raises(ValueError, match="The optimizer belongs to another model"):
            classifier().compile(duplicate.optimizer, "categorical_crossentropy")
    assert pair[0] is pair[1].optimizer
    assert copy.copy(model).optimizer.owner is model  # it is shared, not copied


def test_a_model_that_a_callback_copies_is_not_being_trained(blobs: Data) -> None:
    model, copies = classifier(momentum=0.5), []
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: copies.append(copy.deepcopy(model)))
    model.fit(*blobs, epochs=2, verbose=0, callbacks=keep, shuffle=False)
    assert [duplicate.fit_state for duplicate in copies] == [None, None]
    copies[0].fit(*blobs, verbose=0, shuffle=False)
    for a, b in zip(copies[0].get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_output_is_not_a_view_of_the_input() -> None:
    model, x = Sequential([Activation("linear")]), np.ones((2, 3), "float32")
    model(x)[...] = 7
    assert (x == 1).all()


class Counted(Dense):
    """A Dense layer that counts how often its name and the shape of its output are asked for."""

    calls: ClassVar[list[str]] = []

    @property
    def name(self) -> str:
        self.calls.append("name")
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.calls.append("shape")
        return super().compute_output_shape(input_shape)


@pytest.mark.parametrize("built", [False, True])
def test_the_time_of_add_does_not_depend_on_the_depth(built: bool) -> None:
    calls = []
    for depth in (20, 40):
        model = Sequential([Input((2,))] if built else None)
        Counted.calls.clear()
        for _ in range(depth):
            model.add(Counted(2))
        calls.append(len(Counted.calls))
        assert model.built is built
        assert model.output_shape == ((None, 2) if built else None)
    assert 20 <= calls[1] - calls[0] <= 20 * 6  # 20 more layers


def test_a_layer_whose_initializer_fails_leaves_the_model_unchanged() -> None:
    model, bad = classifier(), Dense(2, kernel_initializer=lambda shape, rng: np.ones(3))
    with pytest.raises(ValueError, match="The initializer of 'W'"):
        model.add(bad)
    assert (len(model.layers), model.output_shape, model.built) == (3, (None, 3), True)
    unbuilt = Sequential([Dense(4), bad])
    with pytest.raises(ValueError, match="The initializer of 'W'"):
        unbuilt.build((None, 5))
    assert (unbuilt.input_shape, unbuilt.output_shape, unbuilt.built) == (None, None, False)


def test_two_layers_of_one_name_are_rejected_also_if_one_was_renamed() -> None:
    model = Sequential([Dense(3, name="a", input_shape=(2,)), Dense(3, name="b")])
    assert model.pop().name == "b"
    model.add(Dense(4, name="b"))
    model.layers[0].name = "c"
    model.add(Dense(5, name="a"))
    with pytest.raises(ValueError, match="already has a layer named 'b'"):
        model.add(Dense(4, name="b"))
    model.layers[2].name = "b"
    with pytest.raises(ValueError, match="The model has two layers named 'b'; give each layer its own name"):
        model.predict(np.ones((1, 2)), verbose=0)


def test_the_output_shape_has_no_batch_size() -> None:
    layer = Dense(3)
    layer.build((32, 4))
    assert Sequential([Input((4,)), layer]).output_shape == (None, 3)


@pytest.mark.parametrize("method", ["forward", "compute_loss", "backward"])
def test_detached_model_has_layers_of_its_own_unless_a_method_is_replaced_on_the_object(method: str) -> None:
    """A replaced method is bound to the model, and runs the model's layers."""
    model = classifier()
    copy = model.detached()
    assert all(own is not layer for own, layer in zip(copy.layers, model.layers, strict=True))
    assert all(a is b for a, b in zip(copy.weights, model.weights, strict=True))
    setattr(model, method, getattr(model, method))
    assert all(own is layer for own, layer in zip(model.detached().layers, model.layers, strict=True))


def test_detached_model_has_metrics_of_its_own(blobs: Data) -> None:
    model = classifier()
    model.train_on_batch(*blobs)
    copy, values = model.detached(), model.metric_values()
    copy.reset_metrics()
    assert model.metric_values() == values
    assert [mean.name for mean in copy.running_means()] == ["loss", "accuracy"]

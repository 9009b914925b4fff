"""The lab's inspection: exact tensors, those that it adds to ``trace``, and where each value comes from."""

import copy

import numpy as np
import pytest

from scratch import Sequential
from scratch.lab.explanation import explain, ulps
from scratch.lab.inspection import Inspection, inspect
from scratch.lab.states import network_at, take_state
from scratch.lab.texts import LabError
from scratch.layers import Activation, BatchNormalization, Dense, Dropout, Flatten, Input
from scratch.optimizers import SGD

STYLES = {
    "separate": lambda: [Dense(6), Activation("relu"), Dense(4), Activation("softmax")],
    "inner": lambda: [Dense(6, "tanh"), Dense(5, "sigmoid"), Dense(4, "softmax")],
    "dropout": lambda: [Dense(6, "relu"), Dropout(0.4), Dense(4, "softmax")],
    "flatten": lambda: [Flatten(), Dense(6, "relu", use_bias=False), Dense(4, "softmax")],
}


def make_model(style: str, optimizer: SGD | None = None) -> Sequential:
    shape = (3, 5) if style == "flatten" else (15,)
    model = Sequential([Input(shape), *STYLES[style]()], backend="numpy")
    model.compile(optimizer or SGD(0.1), "categorical_crossentropy")
    return model


def inspected(model: Sequential, samples: int = 1) -> Inspection:
    rng = np.random.default_rng(0)
    shape = model.input_shape[1:]
    x = (rng.uniform(size=(samples, *shape)) * rng.integers(2, size=shape)).astype(np.float32)
    return inspect(model, take_state(model, 0, 0, 0), x, np.eye(4)[rng.integers(4, size=samples)])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_the_tensors_are_those_of_trace_and_of_a_training_step(style: str, backend: str) -> None:
    model = make_model(style)
    twin = Sequential([Input(model.input_shape[1:]), *STYLES[style]()], backend=backend)
    twin.compile(SGD(0.1), "categorical_crossentropy")
    twin.set_weights(model.get_weights())
    found = inspected(twin)
    x, t = found["x"], found["t"]
    for name, tensor in twin.trace(x, t).items():
        assert found[name].tobytes() == tensor.tobytes(), name
    before = dict(zip(found.network.params, twin.get_weights(), strict=True))
    twin.train_on_batch(x, t)
    after = dict(zip(found.network.params, twin.get_weights(), strict=True))
    keys = [(layer.name, key) for layer in found.network.layers for key in layer.params]
    for (layer, key), old, new in zip(keys, before.values(), after.values(), strict=True):
        assert found[f"{layer}/{key}"].tobytes() == old.tobytes()
        assert found[f"{layer}/{key}_new"].tobytes() == new.tobytes()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("samples", [1, 3])
def test_every_value_is_explained_by_the_numbers_before_it(style: str, samples: int) -> None:
    found = inspected(make_model(style), samples)
    formulas = set()
    for name, tensor in found.tensors.items():
        if name == "loss" and samples > 1:
            continue  # a tab looks at one digit
        for index in np.ndindex(tensor.value.shape):
            result, arrays = explain(found, name, index)
            formulas.add(result["formula"])
            assert result["value"] == float(tensor.value[index])
            if result["float64_sum"] is not None:
                bound = 16 * (1 + len(arrays["products"]))  # roundings of the operation and of its inputs' magnitudes
                scale = max(abs(result["float64_sum"]), float(np.abs(arrays["products"]).max(initial=0)), 1e-3)
                assert abs(result["value"] - result["float64_sum"]) <= bound * scale * 2**-24, (name, index)
            if len(arrays["products"]) and result["formula"] != "softmax":
                np.testing.assert_array_equal(arrays["products"], arrays["left"] * arrays["right"])
                total = arrays["running"][-1] + sum(o["value"] for o in result["operands"])
                np.testing.assert_allclose(total, result["float64_sum"], rtol=1e-12, atol=1e-15)
    assert "other" not in formulas
    assert {"dense_forward", "dense_dx", "dW", "update", "softmax", "loss_gradient", "passed"} <= formulas


def test_a_pixel_that_is_zero_has_no_gradient_and_the_explanation_shows_the_factor() -> None:
    found = inspected(make_model("separate"))
    pixel = int(np.flatnonzero(found["x"][0] == 0)[0])
    name = f"{found.network.layers[0].name}/dW"
    result, arrays = explain(found, name, (pixel, 2))
    assert result["value"] == 0
    assert arrays["left"].tolist() == [0.0]
    assert result["left"] == ["x", [None, pixel]]
    assert arrays["right"][0] == found[result["right"][0]][0, 2]


def test_an_optimizer_with_velocities_updates_as_its_own_step_does() -> None:
    model = make_model("separate", SGD(0.1, momentum=0.9))
    rng = np.random.default_rng(1)
    model.fit(rng.uniform(size=(8, 15)), np.eye(4)[rng.integers(4, size=8)], batch_size=4, verbose=0)
    found = inspected(model)
    twin = copy.deepcopy(model)
    twin.train_on_batch(found["x"], found["t"])
    assert [found[f"{n}_new"].tobytes() for n in model.params] == [W.tobytes() for W in twin.get_weights()]
    result, _ = explain(found, f"{next(iter(model.params))}_new", (0, 0))
    assert result["formula"] == "update_other"


def test_inspecting_changes_neither_the_model_nor_a_state() -> None:
    model = make_model("inner")
    state = take_state(model, 0, 0, 0)
    weights = model.get_weights()
    model.set_weights([W + 1 for W in weights])
    network = network_at(model, state)
    assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), weights, strict=True))
    network.set_weights([W * 0 for W in weights])
    assert all(np.array_equal(a, b + 1) for a, b in zip(model.get_weights(), weights, strict=True))


def test_a_gradient_with_a_penalty_is_not_explained_by_the_sum_alone() -> None:
    model = Sequential([Input((15,)), Dense(6, "relu", kernel_regularizer="l2"), Dense(4, "softmax")])
    model.compile(SGD(0.1), "categorical_crossentropy")
    found = inspected(model)
    name = model.layers[0].name
    entries = (f"{name}/dW", (0, 0)), (f"{name}/db", (0,)), ("loss", ())
    formulas = [explain(found, tensor, index)[0]["formula"] for tensor, index in entries]
    assert formulas == ["other", "db", "other"]


def test_a_layer_without_formulas_is_shown_and_not_explained() -> None:
    model = Sequential([Input((15,)), Dense(6), BatchNormalization(), Activation("relu"), Dense(4, "softmax")])
    model.compile(SGD(0.1), "categorical_crossentropy")
    found = inspected(model, samples=3)
    name = model.layers[1].name
    for tensor in (f"{name}/out", f"{name}/dx"):
        assert explain(found, tensor, (0, 0))[0]["formula"] == "other"
    gamma = next(iter(model.layers[1].params))
    assert explain(found, f"{name}/d{gamma}", (0,))[0]["formula"] == "other"
    assert explain(found, f"{name}/{gamma}_new", (0,))[0]["formula"] == "update"


@pytest.mark.parametrize(
    ("name", "index"), [("dense/out", (0,)), ("x", (0, 15)), ("x", (0, -1)), ("nothing", (0,)), (7, ())]
)
def test_an_entry_that_does_not_exist_is_one_sentence(name: object, index: tuple[int, ...]) -> None:
    found = inspected(make_model("separate"))
    if name == "dense/out":
        name = f"{found.network.layers[0].name}/out"
    with pytest.raises(LabError, match=r"The indices must be|There is no tensor"):
        explain(found, name, index)


def test_ulps() -> None:
    one = np.float32(1)
    assert ulps(one, 1.0) == 0
    assert ulps(np.nextafter(one, np.float32(2)), 1.0) == 1
    assert ulps(np.float32(0), 0.0) == 0
    assert ulps(np.float32("nan"), 1.0) == np.inf

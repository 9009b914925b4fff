"""``Adam``, ``RMSprop`` and ``Adagrad``: updates calculated by hand, the options of all optimizers, their state."""

import copy
import inspect
import pickle
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from scratch import optimizers
from scratch.kernels import STATE_ARRAYS, UPDATE_RULES, Rule
from scratch.layers import Dense
from scratch.models import Sequential
from scratch.optimizers import SGD, Adagrad, Adam, Optimizer, RMSprop, get
from scratch.optimizers.optimizer import State

ALL: dict[str, Callable[[], Optimizer]] = {
    "SGD": lambda: SGD(0.1, momentum=0.9),
    "Adam": lambda: Adam(0.1),
    "amsgrad": lambda: Adam(0.1, amsgrad=True),
    "RMSprop": lambda: RMSprop(0.1),
    "centered": lambda: RMSprop(0.1, momentum=0.5, centered=True),
    "Adagrad": lambda: Adagrad(0.1),
}
every_optimizer = pytest.mark.parametrize("new", ALL.values(), ids=ALL)


def steps(optimizer: Optimizer, gradients: Iterable[float], w: float = 1.0) -> list[float]:
    """Return the value of one weight after each update."""
    W, values = np.array([w]), []
    for gradient in gradients:
        optimizer.update({"W": W}, {"W": np.array([gradient])})
        values.append(float(W[0]))
    return values


def test_adam() -> None:
    # Whatever the size of the first gradient, bias correction makes the first step η.
    assert steps(Adam(0.1, epsilon=0.0), [4.0]) == pytest.approx([0.9])
    assert steps(Adam(0.1, epsilon=0.0), [-0.001]) == pytest.approx([1.1])
    # Step 2: m = 0.5·0.5 + 0.5·(-1) = -0.25, v = 0.75·0.25 + 0.25·1 = 0.4375, α = 0.1·√(1 - 0.75²) / (1 - 0.5²).
    alpha = 0.1 * np.sqrt(0.4375) / 0.75
    assert steps(Adam(0.1, 0.5, 0.75, epsilon=0.0), [1.0, -1.0]) == pytest.approx(
        [0.9, 0.9 + 0.25 * alpha / 0.4375**0.5]
    )
    assert steps(Adam(0.1, 0.5, 0.75, epsilon=0.5), [1.0]) == pytest.approx([1 - 0.1 * 0.5 * 0.5 / 0.5 / (0.5 + 0.5)])


def test_amsgrad_divides_by_the_largest_mean_square() -> None:
    """The first v, 0.25·4², is larger than the next, 0.75·4 + 0.25·0."""
    m, alpha = 0.5 * 2, 0.1 * np.sqrt(0.4375) / 0.75
    for amsgrad, v in ((False, 3.0), (True, 4.0)):
        found = steps(Adam(0.1, 0.5, 0.75, epsilon=0.0, amsgrad=amsgrad), [4.0, 0.0])
        assert found[0] - found[1] == pytest.approx(alpha * m / np.sqrt(v))


def test_rmsprop() -> None:
    # v = 0.25·2² = 1, then 0.75·1 + 0.25·1² = 1.
    assert steps(RMSprop(0.1, rho=0.75, epsilon=0.0), [2, -1]) == pytest.approx([0.8, 0.9])
    assert steps(RMSprop(0.1, rho=0.75, epsilon=3.0), [2]) == pytest.approx([1 - 0.2 / 2])
    # u = 0.2, then 0.5·0.2 - 0.1 = 0.
    assert steps(RMSprop(0.1, rho=0.75, momentum=0.5, epsilon=0.0), [2, -1]) == pytest.approx([0.8, 0.8])
    # a = 0.25·2 = 0.5, v - a² = 0.75.
    assert steps(RMSprop(0.1, rho=0.75, epsilon=0.0, centered=True), [2]) == pytest.approx([1 - 0.2 / 0.75**0.5])


def test_adagrad() -> None:
    # h = 0.36 + 0.8² = 1, then 1 + 1.
    optimizer = Adagrad(0.1, initial_accumulator_value=0.36, epsilon=0.0)
    assert steps(optimizer, [0.8, -1]) == pytest.approx([0.92, 0.92 + 0.1 / 2**0.5])
    assert steps(Adagrad(0.1, 0.0, epsilon=3.0), [1]) == pytest.approx([0.95])


def test_defaults_are_those_of_keras() -> None:
    common = {"weight_decay": None, "clipnorm": None, "clipvalue": None, "global_clipnorm": None}
    assert get("adam").get_config() == common | {
        "learning_rate": 0.001,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "amsgrad": False,
    }
    assert get("rmsprop").get_config() == common | {
        "learning_rate": 0.001,
        "rho": 0.9,
        "momentum": 0.0,
        "epsilon": 1e-7,
        "centered": False,
    }
    assert get("adagrad").get_config() == common | {
        "learning_rate": 0.001,
        "initial_accumulator_value": 0.1,
        "epsilon": 1e-7,
    }
    assert get("sgd").get_config() == common | {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}


def test_names() -> None:
    for name in ("SGD", "Adam", "RMSprop", "Adagrad"):
        assert type(get(name)) is type(get(name.lower())) is type(get(name.upper())) is getattr(optimizers, name)
    with pytest.raises(ValueError, match=r"^Unknown optimizer 'nadam': choose one of sgd, adam, rmsprop, "):
        get("nadam")


@pytest.mark.parametrize("cls", [Adam, RMSprop, Adagrad])
def test_clipping_and_weight_decay_come_before_the_rule(cls: type[Adam]) -> None:
    """First the weights decay, by W·λ·η, then they are updated with the clipped gradient."""
    optimizer, plain = cls(0.1, weight_decay=0.5, clipvalue=0.5), cls(0.1)
    move = steps(plain, [0.5, -0.5], w=0.0)
    assert steps(optimizer, [3.0], w=2.0) == pytest.approx([2 * 0.95 + move[0]])
    assert steps(cls(0.1, clipvalue=0.5), [3.0, -3.0], w=0.0) == pytest.approx(move)
    params = {"a": np.zeros(2), "b": np.zeros(1)}
    same = {"a": np.zeros(2), "b": np.zeros(1)}
    cls(0.1, global_clipnorm=1.0).update(params, {"a": np.array([3.0, 4.0]), "b": np.array([12.0])})
    cls(0.1).update(same, {"a": np.array([3.0, 4.0]) / 13, "b": np.array([12.0]) / 13})
    for key in params:
        np.testing.assert_allclose(params[key], same[key], rtol=1e-12)


@every_optimizer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_update_is_in_place_and_keeps_the_dtype(new: Callable[[], Optimizer], dtype: str) -> None:
    rng = np.random.default_rng(0)
    W, dW = rng.normal(size=(3, 2)).astype(dtype), rng.normal(size=(3, 2)).astype(dtype)
    before, gradient = W.copy(), dW.copy()
    optimizer, params = new(), {"W": W}
    for _ in range(3):
        optimizer.update(params, {"W": dW})
    assert params["W"] is W
    assert (before != W).all()
    np.testing.assert_array_equal(dW, gradient)
    arrays = optimizer.state_arrays(params)
    assert arrays
    assert {array.dtype.name for array in arrays} == {W.dtype.name} == {dtype}
    assert optimizer.iterations == 3


@every_optimizer
def test_rejected_gradient_changes_nothing(new: Callable[[], Optimizer]) -> None:
    optimizer, params = new(), {"W": np.ones((2, 3)), "b": np.ones(3)}
    with pytest.raises(ValueError, match=r"^The parameter 'b' needs a gradient of shape \(3,\); got none\.$"):
        optimizer.update(params, {"W": np.ones((2, 3))})
    for W in params.values():
        np.testing.assert_array_equal(W, 1)
    assert (optimizer.iterations, optimizer.state) == (0, {})


@every_optimizer
def test_nan_stays_in_its_entry(new: Callable[[], Optimizer]) -> None:
    """As in Keras, the entry is lost for good; the others go on as if nothing had happened."""
    optimizer, other = new(), new()
    W, V = np.ones(2, "float32"), np.ones(1, "float32")
    for gradient in (np.nan, 1.0):
        optimizer.update({"W": W}, {"W": np.array([gradient, 0.5], "float32")})
        other.update({"W": V}, {"W": np.array([0.5], "float32")})
    assert np.isnan(W[0])
    assert W[1] == V[0]


@every_optimizer
def test_a_new_shape_starts_from_the_initial_state(new: Callable[[], Optimizer]) -> None:
    optimizer, fresh = new(), new()
    optimizer.update({"W": np.zeros(3)}, {"W": np.ones(3)})
    optimizer.iterations = 0
    W, V = np.zeros(4), np.zeros(4)
    optimizer.update({"W": W}, {"W": np.ones(4)})
    fresh.update({"W": V}, {"W": np.ones(4)})
    np.testing.assert_array_equal(W, V)


@every_optimizer
def test_restored_state_continues_with_the_same_bits(new: Callable[[], Optimizer]) -> None:
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    gradients = [{key: rng.normal(size=W.shape) for key, W in params.items()} for _ in range(4)]
    optimizer = new()
    for dW in gradients[:2]:
        optimizer.update(params, dW)
    restored, copies = type(optimizer).from_config(optimizer.get_config()), copy.deepcopy(params)
    restored.set_state_arrays(params, [array.copy() for array in optimizer.state_arrays(params)])
    restored.iterations = optimizer.iterations
    pickled = pickle.loads(pickle.dumps(optimizer))
    third = copy.deepcopy(params)
    for dW in gradients[2:]:
        optimizer.update(params, dW)
        restored.update(copies, dW)
        pickled.update(third, dW)
    for key in params:
        np.testing.assert_array_equal(copies[key], params[key])
        np.testing.assert_array_equal(third[key], params[key])


def test_state_of_another_size_is_rejected() -> None:
    params = {"W": np.zeros((3, 2))}
    optimizer = Adam()
    optimizer.update(params, {"W": np.ones((3, 2))})
    before = optimizer.state
    for arrays in ([np.zeros((3, 2))], [np.zeros((3, 2))] * 3, [np.zeros((3, 2)), np.zeros(5)]):
        with pytest.raises(ValueError, match=r"."):
            optimizer.set_state_arrays(params, arrays)
        assert optimizer.state is before
    optimizer.set_state_arrays(params, [])
    assert optimizer.state == {}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Adam(-1.0), "learning_rate must be a finite number, 0 or more; got -1.0"),
        (lambda: Adam(beta_1=1.0), "beta_1 must be a finite number, 0 or more and below 1; got 1.0"),
        (lambda: Adam(beta_2=1.0), "beta_2 must be"),
        (lambda: Adam(beta_1=-0.1), "beta_1 must be"),
        (lambda: Adam(epsilon=-1e-7), "epsilon must be a finite number, 0 or more"),
        (lambda: RMSprop(rho=1.5), "rho must be a finite number, between 0 and 1; got 1.5"),
        (lambda: RMSprop(momentum=-0.5), "momentum must be"),
        (lambda: RMSprop(epsilon=np.nan), "epsilon must be"),
        (lambda: Adagrad(initial_accumulator_value=-0.1), "initial_accumulator_value must be"),
        (lambda: Adagrad(epsilon="a"), "epsilon must be"),
        (lambda: Adam(clipnorm=1.0, clipvalue=1.0), "Only one of clipnorm, clipvalue and global_clipnorm can be set"),
    ],
)
def test_argument_out_of_range(call: Callable[[], Optimizer], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


def test_unknown_arguments() -> None:
    with pytest.raises(TypeError, match=r"^Adam has no argument 'lr'; Keras 3 calls it 'learning_rate'\.$"):
        Adam(lr=0.1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^RMSprop has no argument 'use_ema'; leave it out\.$"):
        RMSprop(use_ema=True)  # type: ignore[call-arg]


class SignDescent(Optimizer):
    """An optimizer of the user, with a state array of its own."""

    def state_order(self, keys: Iterable[str]) -> list[tuple[str, str]]:
        return [("steps", key) for key in keys]

    def update_step(self, W: np.ndarray, dW: np.ndarray, learning_rate: float, state: State) -> None:
        state["steps"] += 1
        W -= learning_rate * np.sign(dW)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_own_optimizer_trains_a_model(backend: str) -> None:
    model = Sequential([Dense(3, "softmax", input_shape=(4,))], backend=backend)
    model.compile(SignDescent(0.5), "categorical_crossentropy")
    before = model.get_weights()
    model.fit(np.eye(4), np.eye(3)[[0, 1, 2, 0]], epochs=2, batch_size=4, verbose=0)
    for name, W, V in zip(model.params, model.get_weights(), before, strict=True):
        moves = (W - V) / 0.5
        assert moves.any()
        np.testing.assert_allclose(moves, np.round(moves), atol=1e-5)
        np.testing.assert_array_equal(model.optimizer.state["steps"][name], 2)


def test_the_rules_of_the_compiled_core() -> None:
    """What a rule does not read is 0."""
    expected = {
        "adam": (Adam(beta_1=0.5, beta_2=0.25, epsilon=0.125), (0.5, 0.25, 0.125)),
        "amsgrad": (Adam(beta_1=0.5, beta_2=0.25, epsilon=0.125, amsgrad=True), (0.5, 0.25, 0.125)),
        "rmsprop": (RMSprop(rho=0.5, epsilon=0.125), (0.0, 0.5, 0.125)),
        "rmsprop_momentum": (RMSprop(rho=0.5, epsilon=0.125, momentum=0.25), (0.25, 0.5, 0.125)),
        "rmsprop_centered": (RMSprop(rho=0.5, epsilon=0.125, centered=True), (0.0, 0.5, 0.125)),
        "rmsprop_centered_momentum": (
            RMSprop(rho=0.5, epsilon=0.125, momentum=0.25, centered=True),
            (0.25, 0.5, 0.125),
        ),
        "adagrad": (Adagrad(epsilon=0.125), (0.0, 0.0, 0.125)),
    }
    for name, (optimizer, numbers) in expected.items():
        kind = UPDATE_RULES.index(name)
        assert optimizer.fused_rule == Rule(kind, *numbers, False, 0.0, 0.0, 0.0, 0.0)
        assert STATE_ARRAYS[kind] == len(optimizer.state_order("W"))


def test_a_base_class_has_no_rule() -> None:
    with pytest.raises(NotImplementedError, match=r"^Optimizer must override update_step\.$"):
        Optimizer(0.1).update({"W": np.ones(2)}, {"W": np.ones(2)})


@pytest.mark.parametrize("cls", [SGD, Adam, RMSprop, Adagrad])
def test_options_by_position_follow_in_the_order_of_keras(cls: type[Adam]) -> None:
    own = len(inspect.signature(cls).parameters) - 2  # besides *positional and **options
    defaults = [parameter.default for parameter in inspect.signature(cls).parameters.values()][:own]
    optimizer = cls(*defaults, 0.5, None, 0.25)
    assert (optimizer.weight_decay, optimizer.clipnorm, optimizer.clipvalue) == (0.5, None, 0.25)


def test_centered_rmsprop_by_hand() -> None:
    optimizer, params = RMSprop(0.5, rho=0.75, centered=True, epsilon=0.25), {"W": np.array([1.0])}
    v = a = 0.0
    W = 1.0
    for g in (2.0, -1.0, 4.0):
        optimizer.update(params, {"W": np.array([g])})
        v, a = 0.75 * v + 0.25 * g * g, 0.75 * a + 0.25 * g
        W -= 0.5 * g / np.sqrt(v - a * a + 0.25)
        assert params["W"][0] == pytest.approx(W, rel=1e-12)


def test_momentum_of_rmsprop_is_at_most_1() -> None:
    with pytest.raises(ValueError, match=r"^momentum must be a finite number, between 0 and 1; got 1\.5"):
        RMSprop(momentum=1.5)
    assert RMSprop().state_order(["W"]) == [("velocity", "W")]

"""Run a network under test in every situation, and record what it returns under the names of ``model.trace``."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from parity_tests.diagnosis.formulas import Formulas
from parity_tests.diagnosis.situations import BATCH, SHORT, Situation, draw_batch, draw_weights
from parity_tests.implementations.loading import raised
from parity_tests.implementations.protocol import CannotRunError, NotOffered

Array = np.ndarray
Tensors = dict[str, Array]
STEPS = 100
DIVERGED = 100.0  # from here on weights have no significant digits: rounding errors grow with every step
OBSERVED = ("loss", "gradients", "trace")  # optional methods of a network
LEARNING_RATES = (0.1, 0.05, 0.2)  # in turn, each for three steps: some mistakes show when the rate changes


class Modified(NamedTuple):
    """An argument that a method changed in place, ``x`` or ``t``, or the ``weights`` that it must not change."""

    array: str
    method: str


@dataclass(frozen=True)
class Observation:
    """What a network returned in one situation.

    Attributes:
        situation: the weights and the batch.
        tensors: what it offers, in float64, by name.
        dtypes: the dtype of each of them as it was returned.
        modified: the arguments and weights that its methods changed.
        not_offered: what it does not offer in this situation, with the reason.
        errors: what raised, and the exception.
        methods: the method that returned each tensor; ``step`` if gradients were read off a training step.
        called: the method that was called for each of outputs, loss, gradients and trace; see ``source_of``.
    """

    situation: Situation
    tensors: Tensors
    dtypes: dict[str, str]
    modified: tuple[Modified, ...] = ()
    not_offered: tuple[str, ...] = ()
    errors: tuple[tuple[str, BaseException], ...] = ()
    methods: Mapping[str, str] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)

    @property
    def from_step(self) -> bool:
        """Whether gradients were read off a training step with learning rate 1."""
        return any(self.methods.get(name) == "step" for name in self.tensors)


@dataclass(frozen=True)
class Step:
    """One training step: the weights before and after it, the batch, and the learning rate."""

    before: list[Array]
    x: Array
    t: Array
    rate: float
    after: list[Array]


def observe(factory: Callable[[], Any], situation: Situation, dtype: str) -> Observation:
    """Run fresh networks in a situation, one for each method, with all numbers in the given dtype."""
    given = situation.astype(dtype)
    tensors: Tensors = {}
    methods: dict[str, str] = {}
    called: dict[str, str] = {}
    modified, missing, errors = [], [], []
    for method in ("outputs", *OBSERVED):
        x, t = given.x.copy(), given.t.copy()
        try:
            network = factory()
            called[method] = source_of(network, method)
            raw, changed = _call(network, method, called[method], given, x, t)
        except NotOffered as reason:
            missing.append(f"{method}: {reason}")
            continue
        except (Exception, SystemExit) as error:  # whatever the user's code raises is a result
            errors.append((method, error))
            continue
        found = named(method, raw, len(given.weights) // 2)
        tensors |= found
        methods |= dict.fromkeys(found, called[method])
        pairs = (("x", x, given.x), ("t", t, given.t))
        modified += [Modified(name, method) for name, now, before in pairs if not same(now, before)]
        modified += [Modified("weights", method)] * changed
    dtypes = {name: str(tensor.dtype) for name, tensor in tensors.items()}
    doubles = {name: np.asarray(tensor, np.float64) for name, tensor in tensors.items()}
    results = tuple(modified), tuple(missing), tuple(errors)
    return Observation(situation, doubles, dtypes, *results, methods, called)


def _call(network: Any, method: str, source: str, given: Situation, x: Array, t: Array) -> tuple[Any, bool]:
    """Return what a method returns after the earlier batches of the situation, and whether it changed the weights."""
    call = getattr(network, method, None) or partial(READ_OFF[source], network)
    network.set_weights([W.copy() for W in given.weights])
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x_before, t_before in given.earlier:
            call(x_before) if method == "outputs" else call(x_before, t_before)
        network.set_weights([W.copy() for W in given.weights])
        before = [np.array(W) for W in network.get_weights()]
        result = call(x) if method == "outputs" else call(x, t)
        return result, not all(map(same, before, network.get_weights()))


def source_of(network: Any, method: str) -> str:
    """Return the method of a network that is called for ``method``: gradients may come from a step or from backward.

    Raises:
        NotOffered: if there is none.
    """
    others = tuple(READ_OFF) if method == "gradients" else ()
    source = next((name for name in (method, *others) if hasattr(network, name)), None)
    if source is None:
        raise NotOffered("there is no such method")
    return source


def same(a: Array, b: Array) -> bool:
    """Return whether two arrays are equal, NaN included."""
    return bool(np.array_equal(a, b, equal_nan=True))


def gradients_from_step(network: Any, x: Array, t: Array) -> list[Array]:
    """Return the gradients of a network that only trains: what one step with learning rate 1 subtracts."""
    before = [W.copy() for W in network.get_weights()]
    network.step(x, t, 1.0)
    gradients = [a - b for a, b in zip(before, network.get_weights(), strict=True)]
    network.set_weights(before)
    return gradients


def gradients_from_backward(network: Any, x: Array, t: Array) -> list[Array]:
    """Return the gradients of a network without a loss: Keras's gradient of its logits, sent back through it."""
    out = np.asarray(network.outputs(x))
    if (out >= 0).all() and np.allclose(out.sum(axis=1), 1, atol=1e-4):
        raise NotOffered("backward is tested with networks that return logits")
    dout = Formulas().loss_gradient(out.astype(np.float64), out, t) / len(x)
    return list(network.backward(x, dout.astype(out.dtype)))


READ_OFF = {"step": gradients_from_step, "backward": gradients_from_backward}


def named(method: str, result: Any, layers: int) -> Tensors:
    """Return the result of a method under the names of the tensors."""
    if method == "outputs":
        return {f"dense_{layers - 1}/out": np.asarray(result)}
    if method == "loss":
        return {"loss": np.asarray(result)}
    if method == "trace":
        return {name: np.asarray(tensor) for name, tensor in dict(result).items()}
    names = [f"dense_{i}/d{key}" for i in range(layers) for key in "Wb"]
    return {name: np.asarray(gradient) for name, gradient in zip(names, result, strict=True)}


def observe_steps(factory: Callable[[], Any], sizes: Sequence[int], dtype: str, seed: int = 0) -> list[Step]:
    """Train a fresh network until its weights diverge; every eighth batch is a short one.

    Raises:
        NotOffered: if its ``step`` raises it.
        CannotRunError: if its ``step`` raises something else.
    """
    network, rng = factory(), np.random.default_rng([seed, 1, *sizes])
    network.set_weights([W.astype("float32").astype(dtype) for W in draw_weights(rng, sizes)])
    steps = []
    for i in range(STEPS):
        x, t = (a.astype("float32").astype(dtype) for a in draw_batch(rng, sizes, SHORT if i % 8 == 7 else BATCH))
        before = [np.array(W, np.float64) for W in network.get_weights()]
        rate = LEARNING_RATES[i // 3 % 3]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                network.step(x.copy(), t.copy(), rate)
            except NotOffered:
                raise
            except (Exception, SystemExit) as error:  # whatever the user's code raises
                situation = f"training step {i + 1}, on a batch of {len(x)} samples"
                raise CannotRunError(raised("step", situation, error)) from error
        after = [np.array(W, np.float64) for W in network.get_weights()]
        if steps and not all(np.abs(W).max(initial=0) < DIVERGED for W in after):
            break
        steps.append(Step(before, x.astype(np.float64), t.astype(np.float64), rate, after))
    return steps

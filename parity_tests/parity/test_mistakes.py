"""Every mistake of the dictionary can be found: the reference network with it is diagnosed as having it."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from parity_tests.diagnosis.evidence import BatchScene, stage_of
from parity_tests.diagnosis.examine import examine
from parity_tests.diagnosis.formulas import (
    STAGES,
    Array,
    Formulas,
    Pass,
    Settings,
    Tensors,
    forward,
    layers_of,
    run,
    sgd,
)
from parity_tests.diagnosis.mistakes import MISTAKES, Mistake
from parity_tests.diagnosis.observe import Observation
from parity_tests.diagnosis.situations import situations

SIZES = (20, 16, 12, 5)
EQUIVALENT = {  # mistakes that give the same numbers
    "gradients_zero": {"gradient_zero"},  # the gradients of the weights, or that of the loss, from which they follow
    "momentum_missing": {"velocity_forgotten"},  # v starts at 0 in every step
    "learning_rate_scaled": {"updated_twice"},  # the factor 2
}
SHOWN_BY = {"inputs_as_given": ("inputs_scaled",)}  # mistakes that change nothing without another one
BY_NAME = {mistake.name: mistake for mistake in MISTAKES}
QUICK = (
    "bias_missing",
    "loss_summed",
    "gradient_divided_by_constant",
    "slope_of_other_layer",
    "softmax_sum_shifted",
    "inputs_as_given",
    "weight_gradient_before_slope",
    "inputs_before_activation",
    "slope_of_sigmoid",
)


class ReferenceNetwork:
    """The reference network as an implementation under test."""

    def __init__(self, formulas: Formulas, activations: Sequence[str]):
        self.formulas, self.activations = formulas, activations
        self.weights = [a for i, o in pairwise(SIZES) for a in (np.zeros((i, o)), np.zeros(o))]
        self.states: list[dict[str, Array]] = [{} for _ in self.weights]
        self.earlier: list[Array] = [np.zeros(()) for _ in self.weights]  # the sum of earlier gradients
        self.first: list[Pass] = []

    def get_weights(self) -> list[Array]:
        return list(self.weights)

    def set_weights(self, weights: Sequence[Array]) -> None:
        self.weights = list(weights)

    def tensors(self, x: Array, t: Array, rate: float = 0.0) -> Tensors:
        if not self.first or len(self.first[0].x) != len(x):
            self.first = forward(self.formulas, layers_of(self.activations), self.weights, x)
        return run(self.formulas, self.activations, self.weights, x, t, self.first, rate)

    def outputs(self, x: Array) -> Array:
        targets = np.eye(SIZES[-1])[np.zeros(len(x), int)]
        return self.tensors(x, targets)[f"dense_{len(SIZES) - 2}/out"]

    def loss(self, x: Array, t: Array) -> float:
        return float(self.tensors(x, t)["loss"])

    def gradients(self, x: Array, t: Array, rate: float = 0.0) -> list[Array]:
        tensors = self.tensors(x, t, rate)
        now = [tensors[f"dense_{i}/d{key}"] for i in range(len(self.activations)) for key in "Wb"]
        earlier, self.earlier = self.earlier, [a + b for a, b in zip(self.earlier, now, strict=True)]
        return [self.formulas.accumulate(dW, summed) for dW, summed in zip(now, earlier, strict=True)]

    def step(self, x: Array, t: Array, rate: float) -> None:
        layers, gradients = layers_of(self.activations), self.gradients(x, t, rate)
        for i, (dW, state) in enumerate(zip(gradients, self.states, strict=True)):
            state["samples"] = np.asarray(len(x))
            W = self.weights[i]
            self.weights[i] = self.formulas.update(layers[i // 2], "Wb"[i % 2], W, dW, state, rate)


def names_found(mistake: Mistake, settings: Settings = Settings()) -> set[str]:  # noqa: B008 (immutable)
    """Return what is found in a reference network with a mistake in all layers, and with those that make it show."""
    hidden = next((kind for kind in ("sigmoid", "tanh") if mistake.name.startswith(f"{kind}_")), "relu")
    hidden = "relu" if "softmax" in mistake.name else "sigmoid" if mistake.name == "slope_of_relu" else hidden
    right = Formulas(update=sgd(**settings._asdict()), settings=settings)
    wrong = right
    for name in (*SHOWN_BY.get(mistake.name, ()), mistake.name):
        made = BY_NAME[name]
        wrong = made.applied(wrong, *made.values[:1])
    declared = settings._asdict() if settings != Settings() else {}
    diagnosis = examine(lambda: ReferenceNetwork(wrong, (hidden, hidden, "softmax")), **declared).diagnosis
    assert not diagnosis.unexplained
    return {explanation.mistake.name for explanation in diagnosis.explanations}


def settings_for(mistake: Mistake) -> Settings:
    """Return the settings of SGD that a mistake in declared settings needs."""
    if not mistake.change.__module__.endswith("declared"):
        return Settings()
    return Settings(0.9, nesterov=mistake.name == "nesterov_ignored", weight_decay=0.1 * ("decay" in mistake.name))


@pytest.mark.parametrize(
    "mistake",
    [pytest.param(m, id=m.name, marks=[] if m.name in QUICK else pytest.mark.slow) for m in MISTAKES],
)
def test_mistake_is_found(mistake: Mistake) -> None:
    found = names_found(mistake, settings_for(mistake))
    others = SHOWN_BY.get(mistake.name, ())
    assert len(found) == 1 + len(others)
    assert found <= {mistake.name, *others} | EQUIVALENT.get(mistake.name, set())


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_changes_nothing_before_its_stage(mistake: Mistake) -> None:
    """The search does not try it for earlier stages."""
    settings = settings_for(mistake)
    right = Formulas(update=sgd(**settings._asdict()), settings=settings)
    activations = ("relu", "sigmoid", "softmax")
    stages = STAGES[: STAGES.index(mistake.stage)]
    for case in situations(SIZES):
        scene = BatchScene(Observation(case, {}, {}), {}, activations)
        before = scene.predict(right)
        names = [name for name in before if stage_of(name) in stages]
        for parameter in mistake.values or (None,):
            after = scene.predict(mistake.applied(right, parameter))
            assert all(np.array_equal(after[name], before[name], equal_nan=True) for name in names)


def test_dictionary() -> None:
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES)
    for mistake in MISTAKES:
        for sentence in (mistake.what, mistake.remedy):
            assert sentence.format(p=0.1).endswith("."), sentence

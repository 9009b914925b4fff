"""Every mistake of the dictionary can be found: the reference network with it is diagnosed as having it."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import numpy as np
import pytest

from parity_tests.conftest import slow_except
from parity_tests.diagnosis.evidence import BatchScene, stage_of
from parity_tests.diagnosis.examine import examine
from parity_tests.diagnosis.formula_network import FormulaNetwork
from parity_tests.diagnosis.formulas import STAGES, Formulas, Settings, sgd
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
QUICK = ("loss_summed", "gradient_divided_by_constant", "weight_gradient_before_slope", "inputs_before_activation")


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
    diagnosis = examine(lambda: FormulaNetwork(wrong, SIZES, (hidden, hidden, "softmax")), **declared).diagnosis
    assert not diagnosis.unexplained
    return {explanation.mistake.name for explanation in diagnosis.explanations}


def settings_for(mistake: Mistake) -> Settings:
    """Return the settings of SGD that a mistake in declared settings needs."""
    if not mistake.change.__module__.endswith("declared"):
        return Settings()
    return Settings(0.9, nesterov=mistake.name == "nesterov_ignored", weight_decay=0.1 * ("decay" in mistake.name))


@pytest.mark.parametrize("mistake", slow_except(MISTAKES, *QUICK, name=lambda mistake: mistake.name))
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

"""The search for mistakes is bounded, and says so."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import pytest

from parity_tests.diagnosis import search
from parity_tests.diagnosis.examine import Examination, examine
from parity_tests.diagnosis.findings import findings
from parity_tests.parity.foreign_faults import factory

MASK = "dx = dout * self.mask"


def examined(*edits: tuple[str, str]) -> Examination:
    """Return the examination of the book-style network with edits."""
    return examine(factory("book_style", edits))


def remedies(examination: Examination) -> dict[str, str]:
    """Return the remedies of what is unexplained, by stage."""
    return {f.stage: f.remedy for f in findings(examination)[0] if f.name == "unexplained"}


@pytest.mark.slow
def test_no_pair_is_tried_for_tensors_that_are_computed_from_unexplained_ones() -> None:
    found = examined((MASK, "dx = dout * np.sin(self.out)"))
    assert found.diagnosis.limits == {"steps": search.DERIVED}
    assert remedies(found)["gradients"] == "Nothing in the dictionary of mistakes explains this."
    assert "it may follow from what is unexplained before" in remedies(found)["steps"]


@pytest.mark.slow
def test_the_search_for_pairs_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without time for pairs, a single mistake is still found, and the report says that the search was stopped."""
    monkeypatch.setattr(search, "PAIR_SECONDS", -1.0)
    found = examined((MASK, "dx = dout * np.sin(self.out)"))
    assert found.diagnosis.limits["gradients"] == search.STOPPED
    assert "the search for pairs of mistakes was stopped after" in remedies(found)["gradients"]
    assert [e.mistake.name for e in examined((MASK, "dx = dout")).diagnosis.explanations] == ["slope_left_out"]


@pytest.mark.slow
def test_a_coincidence_in_one_scene_is_no_explanation() -> None:
    """Outputs with four digits: with saturated logits, the right ones without a bias have the same digits."""
    found = examined(("return softmax(self.predict(x))", "return np.round(softmax(self.predict(x)), 4)"))
    assert not found.diagnosis.explanations


def test_budget() -> None:
    budget = search.Budget(60.0)
    assert list(budget.limited([(), ()])) == [(), ()]
    assert not budget.exhausted
    assert list(search.Budget(0).limited([()])) == []


@pytest.mark.slow
def test_partial_explanations_are_found_in_the_short_scenes() -> None:
    """Biases that are not updated explain a part of the steps, and are kept although the rest is unexplained."""
    update = "            grad = self.grads[key]\n"
    found = examined((update, update + "            grad = 0 * grad if key[0] == 'b' else np.sign(grad)\n"))
    assert [e.mistake.name for e in found.diagnosis.explanations] == ["bias_not_updated"]
    assert {name.split("/")[-1] for _, name in found.diagnosis.unexplained} == {"W"}

"""The suite is tested too: every bug of the catalogue must be caught, and the test says by which check."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import pytest

from parity_tests.faults.catalogue import BUGS, Bug
from parity_tests.checks.compare import first_fault
from parity_tests.checks.training_checks import FAST, run
from scratch import training
from scratch.ops import BACKENDS, get, numpy_ops


@pytest.fixture(scope="module", autouse=True)
def _clean_before() -> None:
    """Without a bug nothing is caught: what Keras says is computed now.  Nor after all: ``test_parity`` comes next."""
    for check in FAST:
        for backend in BACKENDS:
            fault = first_fault(run(check, backend))
            assert fault is None, f"{check}, {backend}: {fault}"


def caught_by(bug: Bug, backend: str, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """The first check that fails, or breaks down, with the bug in place; and what it says."""
    monkeypatch.setattr(get(backend) if bug.where is numpy_ops else bug.where, bug.attribute, bug.wrong)
    for check in FAST:
        try:
            fault = first_fault(run(check, backend))
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        if fault:
            return f"{check}: {fault}"
    return None


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
@pytest.mark.filterwarnings("ignore")
def test_the_bug_is_caught(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    caught = caught_by(bug, "numpy", monkeypatch)
    assert caught, f"no check catches: {bug.name}"
    print(f"{bug.name} ← {caught[:150]}")  # pytest -s shows it


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.where is numpy_ops], ids=lambda bug: bug.name)
@pytest.mark.filterwarnings("ignore")
def test_the_bug_is_caught_in_a_compiled_operation(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "fused_step", lambda *_: None)  # it has them compiled in
    if bug.attribute[0] != "_":  # the product's inside is another there
        assert caught_by(bug, "numba", monkeypatch), f"no check catches: {bug.name}"


def test_there_are_many_bugs_with_names_of_their_own() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 40

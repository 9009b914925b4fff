"""Every check on every backend, and tests of the suite itself: the check that a planted fault names must catch it.

Both are in one module, because Keras's results are computed once in a process, and a module is tested in one process.
``python -m pytest -s -k planted_fault parity_tests/parity/test_checks.py`` prints what each fault makes a check say.
"""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import inspect
import re
from collections.abc import Collection
from typing import Any

import pytest

from parity_tests.checks.registry import CHECKS, SHARED, run, runs
from parity_tests.comparison import assert_all, first_failure
from parity_tests.faults import FAULTS, KernelFault, PlantedFault, catalogue, switched
from scratch.kernels import gemm
from scratch.kernels.fused_step import FusedStep

OF_NETWORKS = {name for name in CHECKS if CHECKS[name].numerical or CHECKS[name].fused} | {"layers", "epoch reports"}
PASSED: set[tuple[str, str]] = set()  # the runs of checks that have passed without faults in this process
PLANTED = [(fault, backend) for fault in FAULTS for backend in fault.backends]
IDS = [f"{fault.name}-{backend}" for fault, backend in PLANTED]


@pytest.fixture
def fused_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the calls of the fused training step."""
    calls: list[str] = []
    train = FusedStep.train

    def recorded(*args: Any, **kwargs: Any) -> Any:
        calls.append("train")
        return train(*args, **kwargs)

    monkeypatch.setattr(FusedStep, "train", recorded)
    return calls


@pytest.mark.parametrize(("name", "backend"), runs())
def test_check(name: str, backend: str, fused_calls: list[str]) -> None:
    rows = list(run(name, backend))
    assert rows
    assert_all(rows)
    if name in OF_NETWORKS:  # a failure says which network, batch and seed it is about
        assert all(re.search(r"batch(es of)? \d+.*seed \d", row.name) for row in rows)
    assert bool(fused_calls) == (CHECKS[name].code(backend) == "fused step")  # what the report says of this row
    PASSED.add((name, backend))


def assert_no_failures(names: set[str], passed: Collection[tuple[str, str]] = ()) -> None:
    """Raise an ``AssertionError`` if one of these checks fails, although no fault is planted.

    Args:
        names: the checks.
        passed: runs, each of them a check and a backend, that are not repeated.
    """
    for name, backend in runs():
        if name in names and (name, backend) not in passed:
            failure = first_failure(run(name, backend))
            assert failure is None, f"{name}, {backend}: {failure}"


@pytest.fixture(scope="module")
def _checks_pass_without_faults() -> None:
    """Run the checks before the first fault, which also caches Keras's results."""
    assert_no_failures({fault.caught_by for fault in FAULTS}, PASSED)


def failure_of(name: str, backend: str) -> str | None:
    """Return what the check reports first, or the exception that it raises.

    Raises:
        TypeError, AttributeError, NameError: if the replacement no longer fits the code that calls it.  Such a fault
            would count as caught, whatever it does.
    """
    try:
        return first_failure(run(name, SHARED if CHECKS[name].shared else backend))
    except (TypeError, AttributeError, NameError):
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(("fault", "backend"), PLANTED, ids=IDS)
@pytest.mark.usefixtures("_checks_pass_without_faults")
@pytest.mark.filterwarnings("ignore")
def test_planted_fault_is_caught(fault: PlantedFault | KernelFault, backend: str) -> None:
    with fault.planted(backend):
        failure = failure_of(fault.caught_by, backend)
    assert failure, f"the check {fault.caught_by!r} does not catch {fault.name}"
    print(f"{fault.name}, {backend}: {fault.mistake} ← {fault.caught_by}: {failure[:150]}")


@pytest.mark.usefixtures("_checks_pass_without_faults")
def test_compiled_core_with_switched_off_faults_passes() -> None:
    """Show that a fault of the compiled core is caught for its mistake, not because the core was compiled again."""
    with switched.planted(catalogue.kernel_replacements(), 0):
        for name in {fault.caught_by for fault in FAULTS if isinstance(fault, KernelFault)}:
            assert failure_of(name, "numba") is None


@pytest.mark.slow
@pytest.mark.usefixtures("_checks_pass_without_faults")
@pytest.mark.filterwarnings("ignore")
def test_nothing_is_left_of_a_fault() -> None:
    """The checks pass again after faults have been planted; otherwise, one fault could be caught for another.

    All faults are planted, and each check runs with the last of those that it must catch.
    """
    caught_by = {(fault.caught_by, backend): fault for fault, backend in PLANTED}
    for fault, backend in PLANTED:
        with fault.planted(backend):
            assert fault is not caught_by[fault.caught_by, backend] or failure_of(fault.caught_by, backend)
    assert_no_failures({fault.caught_by for fault in FAULTS})


def test_lines_that_a_kernel_no_longer_has_cannot_be_replaced() -> None:
    with pytest.raises(ValueError, match=r"gemm must contain these lines once, not 0 times: no such line"):
        switched.source_with_faults(gemm, [switched.Replacement(gemm, "no such line", "pass")])


def test_catalogue() -> None:
    assert len(FAULTS) >= 200
    assert len([fault for fault in FAULTS if "numpy" not in fault.backends]) >= 20  # in the compiled core
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    for fault in FAULTS:
        assert fault.caught_by in CHECKS
        assert fault.mistake.endswith(".")


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if isinstance(fault, PlantedFault)], ids=lambda f: f.name)
def test_a_replacement_takes_the_arguments_of_the_original(fault: PlantedFault) -> None:
    original = inspect.signature(getattr(fault.target, fault.attribute), follow_wrapped=False).parameters.values()
    positional = [p.name for p in original if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = {p.name: p.default for p in original if p.kind is p.KEYWORD_ONLY}
    inspect.signature(fault.replacement, follow_wrapped=False).bind(*positional, **by_name)

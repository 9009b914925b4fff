"""Check a network of your own against Keras: ``check_implementation``, and ``parametrize_with_checks`` for pytest."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import keras
from threadpoolctl import threadpool_limits

from parity_tests.checks.networks import OwnNetworks
from parity_tests.checks.registry import CHECKS as CHECKS_OF_THE_SUITE
from parity_tests.comparison import Comparison, equal, first_failure
from parity_tests.diagnosis.digits import train_on_digits
from parity_tests.diagnosis.evidence import stage_of
from parity_tests.diagnosis.examine import Examination, examine
from parity_tests.diagnosis.findings import SIDE_EFFECTS
from parity_tests.diagnosis.formulas import STAGES
from parity_tests.diagnosis.own_gradient import check_own_gradient
from parity_tests.diagnosis.report import Report, make_report, with_checks
from parity_tests.diagnosis.reproduction import source_of
from parity_tests.diagnosis.situations import situations
from parity_tests.implementations.adapters import adapt
from parity_tests.implementations.conventions import Conventions
from parity_tests.implementations.protocol import CannotRunError, NotOffered, offered
from scratch.datasets.mnist import Dataset

CHECKS = (*STAGES, "own gradient", "side effects")
# Checks of the suite that any implementation must pass, and the optional methods that they need.
NUMERICAL: dict[str, tuple[str, ...]] = {
    "trace": (),
    "state": (),
    "lock-step": ("step",),
    "gradients": ("loss", "gradients"),
}


def check_implementation(
    implementation: Any,
    sizes: Sequence[int] | None = None,
    *,
    activations: Sequence[str] | None = None,
    conventions: Conventions | None = None,
    digits: Dataset | None = None,
    on_fail: str = "return",
    seed: int = 0,
    **settings: Any,
) -> Report:
    """Compare a network with Keras in every situation, and name the mistakes that explain where it differs.

    Args:
        implementation: a class, an instance, or a function that returns a fresh network; see ``implementations``.
        sizes: inputs, hidden units, classes; for a class or function (20, 16, 12, 5) if not given, or (20, 16, 5).
        activations: the activation of each layer; recognised from the outputs if not given.
        conventions: what the network does otherwise than Keras on purpose, for example ``Conventions(loss="sum")``.
        digits: MNIST, to train a network (784-50-10 if ``sizes`` is not given) for two epochs beside Keras as well.
        on_fail: ``"return"``, or ``"raise"``: raise an ``AssertionError`` if something differs.
        seed: seed of weights and batches.
        settings: settings of SGD that the network's own ``step`` uses, for example ``momentum=0.9``.

    Returns:
        the report: ``.findings``, ``.rows``, ``.to_json()``; a notebook shows it as a page.

    Raises:
        AssertionError: if something differs and ``on_fail`` is ``"raise"``; the message is the report.
        ValueError: if the network can't be run (``CannotRunError``), or an argument is something else.
    """
    if on_fail not in ("return", "raise"):
        raise ValueError(f"on_fail must be 'return' or 'raise'; got {on_fail!r}.")
    conventions = conventions or Conventions()
    with threadpool_limits(1):  # the search multiplies small matrices: several threads would wait for one another
        factory = adapt(implementation, sizes, conventions)
        examination = examine(factory, activations, seed, **settings)
        architecture = examination.architecture
        own_gradient = check_own_gradient(factory, situations(architecture.sizes, seed)[0], architecture.dtype)
        numerical = numerical_checks(implementation, conventions, examination) if not settings else {}
        trained = train_on_digits(implementation, sizes, conventions, architecture, digits) if digits else None
    versions = {"keras": keras.__version__, "framework": keras.backend.backend()}
    source = source_of(implementation, architecture.sizes, conventions)
    report = make_report(name_of(implementation), examination, own_gradient, source, seed, **versions)
    report = with_checks(report, numerical, trained)
    if on_fail == "raise" and not report.agrees:
        raise AssertionError(f"\n{report!r}")
    return report


def numerical_checks(
    implementation: Any, conventions: Conventions, examination: Examination
) -> dict[str, list[Comparison]]:
    """Run the suite's own numerical checks with networks of an implementation: those of its activations and dtypes."""
    architecture = examination.architecture
    hidden = set(architecture.activations[:-1])
    if len(hidden) != 1:
        return {}
    dtypes = {architecture.dtype, *examination.float32_dtypes.values()}
    kinds = (hidden.pop(), architecture.activations[-1])
    networks = OwnNetworks(lambda sizes: adapt(implementation, sizes, conventions)(), kinds, tuple(dtypes))
    found: dict[str, list[Comparison]] = {}
    methods = set(offered(networks.factory(architecture.sizes)))
    for name in [name for name, needed in NUMERICAL.items() if methods.issuperset(needed)]:
        try:
            with suppress(NotOffered, CannotRunError):
                rows = list(CHECKS_OF_THE_SUITE[name].compare(networks))
                if rows:  # none: the implementation has no network of any case
                    found[name] = rows
        except (Exception, SystemExit) as error:  # whatever the user's code raises is a result
            found[name] = [equal(f"an exception in the check {name!r}", f"{type(error).__name__}: {error}", None)]
    return found


def name_of(implementation: Any) -> str:
    """Return the name of a class or function, or of an object's class."""
    return str(getattr(implementation, "__name__", type(implementation).__name__))


def parametrize_with_checks(
    implementations: Sequence[Any], *, expected_failed_checks: Mapping[str, str] | None = None, **options: Any
) -> Callable[[Any], Any]:
    """Decorate a pytest function ``test(implementation, check)`` that calls ``check(implementation)``.

    Args:
        implementations: what ``check_implementation`` takes.
        expected_failed_checks: checks that are known to fail, by name (one of ``CHECKS``), each with the reason; pytest
            shows them as xfail, and fails if one of them passes.
        options: further arguments of ``check_implementation``, for example ``sizes``.

    Raises:
        ValueError: if an expected failure is no check.
    """
    import pytest  # the command works without it

    expected = dict(expected_failed_checks or {})
    if unknown := set(expected) - set(CHECKS):
        raise ValueError(f"expected_failed_checks must be among {', '.join(CHECKS)}; got {', '.join(sorted(unknown))}.")
    report = cache(lambda i: check_implementation(implementations[i], **options))

    def parameters() -> Iterator[Any]:
        for i, implementation in enumerate(implementations):
            for name in CHECKS:
                marks = [pytest.mark.xfail(reason=expected[name], strict=True)] if name in expected else []

                def check(implementation: Any, name: str = name, i: int = i) -> None:
                    assert_check(report(i), name)

                yield pytest.param(implementation, check, id=f"{name_of(implementation)}-{name}", marks=marks)

    return pytest.mark.parametrize(("implementation", "check"), list(parameters()))


def assert_check(report: Report, name: str) -> None:
    """Raise an ``AssertionError`` if a check of the report failed, and skip the test if it is not offered."""
    import pytest

    found = [f"{finding.what} {finding.remedy}" for finding in report.findings]
    if name == "own gradient":
        if report.own_gradient.agrees is None:
            pytest.skip(report.own_gradient.text)
        assert report.own_gradient.agrees, report.own_gradient.text
    elif name == "side effects":
        effects = [f.what for f in report.findings if f.name in SIDE_EFFECTS]
        assert not effects, effects[0]
    else:
        comparisons = [c for row in report.rows for n, c in row.comparisons.items() if stage_of(n) == name]
        if not comparisons:
            pytest.skip("not offered")
        failure = first_failure(comparisons)
        assert failure is None, "\n".join([str(failure), *found])

"""The results of a run of ``python -m parity_tests``, without any formatting."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from keras_impl.frameworks import FRAMEWORK
from parity_tests.checks import full_runs
from parity_tests.checks.accuracy import keras_rms_errors, own_rms_errors
from parity_tests.checks.networks import ScratchNetworks
from parity_tests.checks.registry import CHECKS, SHARED, run, runs
from parity_tests.comparison import Comparison, compare_traces, first_failure
from parity_tests.reference.cases import ARTICLE, SEED, Case, bounded_trace, keras_trace
from parity_tests.report.environment import environment
from scratch import gradient_check
from scratch.datasets import mnist
from scratch.ops import BACKENDS

GRADIENTS = Case((6, 5, 4), ("relu", "tanh", "softmax"), batch=9, features=7, separate=True)
FEWER_TRAIN, FEWER_TEST, FEWER_EPOCHS = 4000, 1000, 5  # without --slow


@dataclass
class CheckResult:
    """The comparisons of one check on one backend.

    Attributes:
        check: name of the check.
        backend: a backend of scratch, or ``'shared'``.
        code: which code the check exercises there.
        comparisons: its comparisons.
        seed: the seed it ran with.
        options: further options of the command that runs it: those of a training.
    """

    check: str
    backend: str
    code: str
    comparisons: list[Comparison]
    seed: int = SEED
    options: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command that runs this check alone; trainings on MNIST run with all checks only."""
        backend = "" if self.backend == SHARED else f" --backend {self.backend}"
        only = f" --only {shlex.quote(self.check)}" if self.check in CHECKS else ""
        return " ".join([f"python -m parity_tests{only}{backend} --seed {self.seed}", *map(shlex.quote, self.options)])

    @property
    def worst(self) -> Comparison:
        """The comparison that comes closest to its bound, or exceeds it most."""
        return max(self.comparisons, key=lambda comparison: comparison.ratio)

    @property
    def failure(self) -> str | None:
        """The message of the first comparison that failed, or None."""
        return first_failure(self.comparisons)


@dataclass
class Report:
    """Everything that a run finds.

    Attributes:
        results: the checks, in the order in which they ran.
        histories: history by program, of trainings on the same batches from the same weights.
        accuracies: final test accuracies by program, from independent initial weights; empty without ``--slow``.
        p_values: p-values of the tests that these accuracies come from one distribution, by name of the test.
        is_complete: whether the tensors and gradients of single networks are reported beside the checks.
    """

    results: list[CheckResult] = field(default_factory=list)
    histories: dict[str, full_runs.History] = field(default_factory=dict)
    accuracies: dict[str, list[float]] = field(default_factory=dict)
    p_values: dict[str, float] = field(default_factory=dict)
    is_complete: bool = True

    @property
    def first_divergence(self) -> str | None:
        """The first failure, with the check and the backend it was found in, or None."""
        return next((f"{r.check} ({r.backend}): {r.failure}" for r in self.failed), None)

    @property
    def failed(self) -> list[CheckResult]:
        """The results of the checks that failed."""
        return [result for result in self.results if result.failure]

    @property
    def verdict(self) -> str:
        """One sentence that says whether the programs agree."""
        if self.first_divergence:
            return f"They differ. First divergence: {self.first_divergence}. Run it alone: {self.failed[0].command}"
        count = sum(len(result.comparisons) for result in self.results)
        return f"They agree: {count:,} comparisons, each within its bound."


def plan(
    report: Report,
    digits: mnist.Dataset | None,
    slow: bool = False,
    only: Sequence[str] | None = None,
    backend: str | None = None,
    data: str | None = None,
) -> list[tuple[str, Callable[[], None]]]:
    """Return the steps of a run in order: a name, and a function that adds its results to the report.

    Args:
        report: takes the results.
        digits: MNIST, or part of it; None for the checks without the trainings on it.
        slow: whether to train for ten epochs on all digits instead of five epochs on a few.
        only: names of the checks to run; all if not given.
        backend: the only backend to run on.
        data: where the digits come from, as ``--data`` names it; None for the default.
    """
    steps: list[tuple[str, Callable[[], None]]] = []

    def add(name: str, backend: str, code: str, compare: Callable[[], Iterable[Comparison]], *options: str) -> None:
        def step() -> None:
            report.results.append(CheckResult(name, backend, code, list(compare()), options=options))

        steps.append((f"{name}, {backend}", step))

    for name, b in runs():
        if (only is None or name in only) and (backend is None or b in (backend, SHARED)):
            add(name, b, CHECKS[name].code(b), lambda name=name, b=b: run(name, b))
    report.is_complete = digits is not None
    if digits is None:
        return steps
    few = mnist.Dataset(_first(digits.train, FEWER_TRAIN), _first(digits.test, FEWER_TEST), "the first digits")
    used, epochs = (digits, full_runs.EPOCHS) if slow else (few, FEWER_EPOCHS)
    options = [*(["--slow"] if slow else []), *(["--data", data] if data else [])]

    def check_epochs(backend: str) -> list[Comparison]:
        rows, histories = full_runs.check_epochs(backend, used, epochs)
        report.histories = report.histories or histories  # those of the first backend
        return rows

    def check_accuracies() -> list[Comparison]:
        rows, report.p_values, report.accuracies = full_runs.check_accuracies(digits)
        return rows

    for b in [backend] if backend else BACKENDS:
        code = "fused step" if b == "numba" else "layer by layer"
        if slow:
            add("every step of an epoch", b, code, lambda b=b: full_runs.check_every_step(b, digits), *options)
        add(f"{epochs} epochs", b, code, lambda b=b: check_epochs(b), *options)
    if slow:
        add("final accuracies", "numba", "fused step", check_accuracies, *options)
    return steps


def _first(samples: tuple[np.ndarray, np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
    return samples[0][:n], samples[1][:n]


@lru_cache
def tensor_results(backend: str) -> list[tuple[Comparison, float, float]]:
    """Return, for each tensor of the article's network, its comparison with Keras and the RMS errors of both."""
    trace = ARTICLE.scratch_model(backend).trace(ARTICLE.x, ARTICLE.y)
    ours, theirs = own_rms_errors(ScratchNetworks(backend), ARTICLE), keras_rms_errors(ARTICLE)
    rows = compare_traces(trace, keras_trace(ARTICLE), bounded_trace(ARTICLE))
    return [(row, ours[row.name], theirs[row.name]) for row in rows]


@lru_cache
def gradient_results(backend: str) -> dict[str, tuple[float, float]]:
    """Return, for each gradient of a small network, two relative differences.

    They are those between central differences and the backward pass (float64), and between the backward pass and
    Keras's automatic differentiation (float64 where Keras has it).
    """
    case = replace(GRADIENTS, dtype="float64" if FRAMEWORK == "tensorflow" else "float32")
    precise = replace(GRADIENTS, dtype="float64")
    automatic, found = keras_trace(case), {}
    backward = precise.scratch_model(backend).trace(case.x, case.y)
    for key, error in gradient_check(precise.scratch_model(backend), precise.x, precise.y).items():
        name = f"{precise.layer_specs()[0].name}/dx" if key == "dx" else "/d".join(key.split("/"))
        scale = np.abs(automatic[name]).max()
        found[name] = error, float(np.abs(backward[name] - automatic[name]).max() / scale) if scale else 0.0
    return found


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as numbers and texts that ``json.dumps`` takes, with the same keys whatever is found."""
    return {
        "agrees": not report.failed,
        "verdict": report.verdict,
        "environment": environment(),
        "checks": [_check_json(result) for result in report.results],
        "tensors": [
            {"backend": backend, "tensor": row.name} | row.to_json() | {"rms": ours, "keras_rms": theirs}
            for backend in (BACKENDS if report.is_complete else ())
            for row, ours, theirs in tensor_results(backend)
        ],
        "gradients": [
            {"backend": backend, "gradient": name, "central_differences": central, "automatic": automatic}
            for backend in (BACKENDS if report.is_complete else ())
            for name, (central, automatic) in gradient_results(backend).items()
        ],
        "histories": report.histories,
        "accuracies": report.accuracies,
        "p_values": report.p_values,
    }


def _check_json(result: CheckResult) -> dict[str, Any]:
    """Return a check on one backend: its size, the comparison closest to its bound, and all failures."""
    return {
        "check": result.check,
        "backend": result.backend,
        "code": result.code,
        "seed": result.seed,
        "command": result.command,
        "comparisons": len(result.comparisons),
        "worst": {"name": result.worst.name} | result.worst.to_json(),
        "failures": [row.failure for row in result.comparisons if row.failure],
    }

"""Test the question ``variants``: the order of the measurements, and that table and picture show the same ratios."""

import time
from typing import Any

import numpy as np
import pytest

from benchmarks.measurement.ratios import Times
from benchmarks.measurement.results import Results
from benchmarks.measurement.runner import LocalRunner
from benchmarks.measurement.worker import WorkerError
from benchmarks.peers.registry import KERAS, KERAS_JAX, SCRATCH
from benchmarks.questions import variants as question
from benchmarks.questions.session import Session
from benchmarks.reports.sections import VARIANT_HEAD, sections
from benchmarks.reports.table import markdown, warnings
from benchmarks.reports.variants import draw_variants, variant_ratios
from benchmarks.tasks import Task, article_task
from benchmarks.variants import PLAIN, VARIANTS, VERBATIM, Variant

MEASURED: dict[str, Times] = {
    PLAIN.name: {SCRATCH: [1.0, 2.0, 1.0], KERAS: [8.0, 16.0, 8.0], KERAS_JAX: [3.5, 7.0, 3.5]},
    "momentum 0.9": {SCRATCH: [1.2, 2.4, 1.2], KERAS: [9.0, 18.0, 9.0], KERAS_JAX: [2.0, 4.0, 2.0]},
    "batch 32": {SCRATCH: [1.0, 2.8, 1.4], KERAS_JAX: [5.6, 5.6]},
    "integer labels": {SCRATCH: [1.0]},
}


def test_table_of_variants() -> None:
    """Only measurements of one round are divided, also if the run ended within a round."""
    (section,) = sections(Results(raw={"variants": MEASURED}, environment={}))
    assert section.head == VARIANT_HEAD
    plain, momentum, batch, labels = (line.cells for line in section.lines)
    assert plain[2:5] == ["", "", ""]
    assert plain[5:] == ["8.00 × (8.00 to 8.00)", "3.50 × (3.50 to 3.50)", "3 × (4 ×)", "yes"]
    assert momentum[:5] == ["momentum 0.9", "1.20 s", "1.20 × (1.20 to 1.20)", "1.25 × (1.1 ×)", "yes"]
    assert momentum[6:] == ["1.67 × (1.67 to 1.67)", "2 × (3 ×)", "no"]
    assert batch[2:4] == ["1.40 × (1.00 to 1.40)", "1.35 × (1.2 ×)"]
    assert batch[4:7] == ["no", "not measured", "3.80 × (2.00 to 5.60)"]
    assert labels[2:] == ["1.00 ×", "1.05 ×", "yes", "not measured", "not measured", "2 × (3 ×)", "?"]
    assert section.lines[1].missed == ["momentum 0.9, Keras on JAX"]
    assert section.lines[2].missed == ["batch 32 ÷ plain"]
    assert section.lines[2].wide == ["batch 32 ÷ plain", "batch 32, Keras on JAX"]


def test_variants_are_part_of_the_markdown_and_the_warnings() -> None:
    results = Results(raw={"variants": MEASURED}, environment={"cores": 2})
    assert markdown(results).count("\n") == 6
    assert "for: batch 32 ÷ plain; batch 32, Keras on JAX." in warnings(results)[0]


def test_picture_and_table_of_variants_show_the_same_ratios() -> None:
    figure = draw_variants(MEASURED, "a machine")
    assert figure is not None
    left, right = ([text.get_text().strip() for text in axes.texts] for axes in figure.axes)
    (section,) = sections(Results(raw={"variants": MEASURED}, environment={}))
    table = [[cell.split(" (")[0] for cell in line.cells] for line in section.lines]
    assert left == [cells[2] for cells in table[1:]]
    assert right == [cells[5] for cells in table[:2]] + [cells[6] for cells in table[:3]]
    assert draw_variants({}, "a machine") is None


def test_unmeasured_variants_are_left_out() -> None:
    assert variant_ratios({variant.name: {} for variant in VARIANTS}) == []
    (only,) = variant_ratios({"momentum 0.9": {SCRATCH: [1.0]}})
    assert (only.plain, only.keras) == (None, {})


class FixedWorker:
    """A worker that records which variants it measures."""

    def __init__(self, kind: str, log: list[tuple[str, str]]) -> None:
        self.kind, self.log = kind, log

    def select(self, variant: Variant) -> None:
        self.variant = variant

    def measure(self, workload: str) -> float:
        assert workload == "epoch"
        self.log.append((self.kind, self.variant.name))
        return float(len(self.log))


def test_each_round_measures_every_variant_of_every_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[tuple[str, str]] = []
    workers: Any = {kind: FixedWorker(kind, log) for kind in (SCRATCH, KERAS)}
    programs = {SCRATCH: list(VARIANTS[:3]), KERAS: list(VARIANTS[:2])}
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(question, "_verified", lambda session, workers: programs)
    monkeypatch.setattr(Session, "workers", lambda self, kinds: FixedWorkers(workers))
    session = Session(article=None, quick=True, results=Results(environment={}))  # type: ignore[arg-type]
    question.measure_variants(session)
    names = [variant.name for variant in VARIANTS[:3]]
    scratch, keras = [(SCRATCH, name) for name in names], [(KERAS, name) for name in names[:2]]
    rotated = scratch[1:] + scratch[:1]
    assert log[:5] == scratch + keras
    assert log[5:10] == keras[::-1] + rotated
    assert len(log) == 15
    found = session.results.raw["variants"]
    assert found[names[0]] == {SCRATCH: [10.0, 12.0], KERAS: [7.0, 14.0]}  # without the warm-up
    assert found[names[2]] == {SCRATCH: [9.0, 11.0]}


class RunnerThatIgnoresMomentum(LocalRunner):
    """A runner that trains another variant than the selected one, if that has momentum."""

    def select(self, variant: Variant) -> None:
        super().select(variant._replace(optimizer={}) if "momentum" in variant.optimizer else variant)


class RunnerThatFails(LocalRunner):
    """A runner whose process has ended."""

    def open(self, task: Task) -> None:
        raise WorkerError("the process ended")


def test_variant_that_differs_from_the_reference_is_not_measured(
    few_digits: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(question, "VARIANTS", VARIANTS[:4])
    images, labels = (np.repeat(array, 5, axis=0) for array in few_digits)
    session = Session(article_task(images, labels), results=Results(environment={}))
    workers: Any = {SCRATCH: RunnerThatIgnoresMomentum(SCRATCH), KERAS: RunnerThatFails(KERAS)}
    programs = question._verified(session, workers)
    assert programs == {SCRATCH: [PLAIN, VERBATIM]}
    failure, first, _ = session.results.remarks
    assert failure == "the process ended"
    assert "weights 0 after training differs" in first
    assert "on the article's network, momentum 0.9" in first


class FixedWorkers:
    """A context manager that returns workers."""

    def __init__(self, workers: Any) -> None:
        self.workers = workers

    def __enter__(self) -> Any:
        return self.workers

    def __exit__(self, *error: object) -> None:
        pass

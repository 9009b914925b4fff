"""Test the variants of the article's training: every peer trains the same, and an ignored option is detected."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.measurement.runner import LocalRunner
from benchmarks.measurement.same import DifferentError, check_outputs, reference_outputs
from benchmarks.measurement.worker import Worker
from benchmarks.peers.registry import KERAS, KERAS_JAX, SCRATCH, create_peer, other_framework
from benchmarks.tasks import Task, article_task, first_samples, vary
from benchmarks.variants import PLAIN, VARIANTS, VERBATIM, Variant
from scratch.layers import Dropout

BY_NAME = {variant.name: variant for variant in VARIANTS}
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)


@pytest.fixture(scope="module")
def task() -> Task:
    """The article's network on 300 random images with as many zeros as digits have."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(300, 28, 28)) * (rng.random((300, 28, 28)) < 0.19)
    return article_task(images.astype(np.uint8), np.arange(300, dtype=np.uint8) % 10)


def check_variant(kind: str, task: Task, variant: Variant) -> None:
    """Compare a peer that trains a variant with the reference, as the question does."""
    runner = LocalRunner(kind)
    runner.open(task)
    runner.select(variant)
    check_outputs(kind, vary(task, variant), runner.outputs(), reference_outputs(kind, vary(task, variant)))


@each_variant
def test_scratch_trains_every_variant(task: Task, variant: Variant) -> None:
    check_variant(SCRATCH, task, variant)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [KERAS, KERAS_JAX])
@pytest.mark.parametrize(
    "name",
    [
        VERBATIM.name,
        "Nesterov momentum 0.9",
        "Adam",
        "RMSprop",
        "Dropout 0.2",
        "global_clipnorm",
        "callback on each batch",
        "integer labels",
        "Flatten of (N, 28, 28)",
    ],
)
def test_keras_trains_the_same(task: Task, require_peer: Callable, kind: str, name: str) -> None:
    require_peer(kind)
    if sentence := other_framework(kind):
        pytest.skip(sentence)
    check_variant(kind, task, BY_NAME[name])


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.optimizer], ids=lambda variant: variant.name)
def test_ignored_option_of_the_optimizer_is_detected(task: Task, variant: Variant) -> None:
    varied = vary(task, variant)
    outputs = create_peer(SCRATCH, vary(task, PLAIN)).outputs()
    with pytest.raises(DifferentError, match="weights 0 after training differs"):
        check_outputs(SCRATCH, varied, outputs, reference_outputs(SCRATCH, varied))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3])
def test_another_rate_of_dropout_is_detected(task: Task, rate: float) -> None:
    varied = vary(task, BY_NAME["Dropout 0.2"])
    outputs = create_peer(SCRATCH, vary(task, BY_NAME["Dropout 0.2"]._replace(dropout=rate))).outputs()
    with pytest.raises(DifferentError, match="weights 0 after training differs"):
        check_outputs(SCRATCH, varied, outputs, reference_outputs(SCRATCH, varied))


def test_dropout_without_its_factor_is_detected(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    varied = vary(task, BY_NAME["Dropout 0.2"])
    expected = reference_outputs(SCRATCH, varied)
    monkeypatch.setattr(Dropout, "factor", 1.0)
    with pytest.raises(DifferentError, match="weights 0 after training differs"):
        check_outputs(SCRATCH, varied, create_peer(SCRATCH, varied).outputs(), expected)


def test_callback_that_misses_a_batch_is_detected(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    varied = vary(task, BY_NAME["callback on each batch"])
    peer: Any = create_peer(SCRATCH, varied)
    monkeypatch.setattr(peer, "callbacks", [])
    with pytest.raises(DifferentError, match=r"expected loss read by the callback of shape \(3,\); got \(0,\)"):
        check_outputs(SCRATCH, varied, peer.outputs(), reference_outputs(SCRATCH, varied))


def test_loss_that_differs_is_detected(task: Task) -> None:
    outputs = reference_outputs(SCRATCH, task)
    with pytest.raises(DifferentError, match="loss after training differs"):
        check_outputs(SCRATCH, task, outputs | {"loss after training": outputs["loss after training"] * 1.002}, outputs)


@each_variant
def test_inputs_and_targets(task: Task, variant: Variant) -> None:
    varied = vary(task, variant)
    assert len(varied.x) == len(varied.targets) == (288 if variant.batch_size == 32 else 300)
    assert varied.x.dtype == (np.float64 if variant is VERBATIM else np.float32)
    assert varied.targets.dtype == (np.int64 if variant.sparse else varied.x.dtype)
    assert varied.x.shape[1:] == ((28, 28) if variant.inputs == "images" else (784,))
    assert np.count_nonzero(varied.x) > 0.99 * varied.x.size or variant.inputs != "random"
    assert varied.inputs == 784
    shares_memory = np.shares_memory(varied.x, task.x)
    assert shares_memory == (variant.inputs in ("float32", "images"))


def test_random_inputs_do_not_depend_on_their_number(task: Task) -> None:
    """The reference is computed on the first samples only."""
    variant = BY_NAME["dense random input"]
    few = vary(first_samples(task, 200), variant)
    np.testing.assert_array_equal(few.x, vary(task, variant).x[:200])


def test_worker_trains_variants_in_turns(task: Task) -> None:
    with Worker(SCRATCH) as worker:
        worker.open(task)
        for variant in (PLAIN, VERBATIM, PLAIN):
            worker.select(variant)
            assert 0 < worker.measure("epoch") < 60
        check_outputs(SCRATCH, vary(task, PLAIN), worker.outputs(), reference_outputs(SCRATCH, vary(task, PLAIN)))


def test_runner_keeps_the_peers_of_selected_variants(task: Task) -> None:
    runner = LocalRunner(SCRATCH)
    with pytest.raises(ValueError, match=r"has no task; call open\(task\) first"):
        runner.select(PLAIN)
    runner.open(task)
    runner.select(PLAIN)
    first = runner.peer
    runner.select(VERBATIM)
    assert runner.peer is not first
    runner.select(PLAIN)
    assert runner.peer is first
    runner.open(task)
    assert runner.variants == {}

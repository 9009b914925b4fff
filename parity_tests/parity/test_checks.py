"""Every check on every backend, and the trace of random networks."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from keras_impl.frameworks import FRAMEWORK
from parity_tests.checks.registry import CHECKS, run, runs
from parity_tests.checks.networks import ScratchNetworks
from parity_tests.checks.traces import check_trace
from parity_tests.comparison import assert_all
from parity_tests.reference.cases import ARTICLE, INPUTS, Case
from parity_tests.reference.losses import LOSSES
from scratch.kernels.fused_step import FusedStep
from scratch.layers import ACTIVATIONS
from scratch.ops import BACKENDS

OF_NETWORKS = {name for name in CHECKS if CHECKS[name].numerical or CHECKS[name].fused} | {"layers", "epoch reports"}
EXAMPLES = 100 if FRAMEWORK != "jax" else 5  # JAX compiles every operation for every shape


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


def test_trace_with_several_blas_threads() -> None:
    """All other comparisons have one thread: see ``conftest``."""
    with threadpool_limits(4, user_api="blas"):
        assert_all(check_trace(ScratchNetworks("numpy"), ARTICLE))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw any network that scratch can build."""
    depth = draw(st.integers(1, 5))
    widths = draw(st.lists(st.integers(1, 300), min_size=depth, max_size=depth))
    widths[-1] = max(widths[-1], 2)  # a loss over one class is always 0, and Keras warns
    return Case(
        tuple(widths),
        tuple(draw(st.lists(st.sampled_from(sorted(ACTIVATIONS)), min_size=depth, max_size=depth))),
        features=draw(st.integers(1, 300)),
        batch=draw(st.integers(1, 257)),
        dtype=draw(st.sampled_from(["float32", "float64"] if FRAMEWORK == "tensorflow" else ["float32"])),
        use_bias=draw(st.booleans()),
        separate=draw(st.booleans()),
        inputs=draw(st.sampled_from(INPUTS)),
        loss=draw(st.sampled_from(sorted(LOSSES))),
        seed=draw(st.integers(0, 1000)),
    )


@pytest.mark.filterwarnings("ignore:(?s).*You are using a softmax over axis -1 of a tensor of shape")  # of width 1
@settings(max_examples=EXAMPLES)
@given(cases().filter(lambda case: case.comparable))
def test_trace_of_random_networks(case: Case) -> None:
    for backend in BACKENDS:
        assert_all(check_trace(ScratchNetworks(backend), case))

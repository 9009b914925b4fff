"""The trace of random networks, and with several threads of BLAS."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from keras_impl.frameworks import FRAMEWORK
from parity_tests.checks.networks import ScratchNetworks
from parity_tests.checks.traces import check_trace
from parity_tests.comparison import assert_all
from parity_tests.reference.cases import ARTICLE, INPUTS, Case
from parity_tests.reference.losses import LOSSES
from scratch.layers import ACTIVATIONS
from scratch.ops import BACKENDS

EXAMPLES = 100 if FRAMEWORK != "jax" else 5  # JAX compiles every operation for every shape


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:(?s).*You are using a softmax over axis -1 of a tensor of shape")  # of width 1
@settings(max_examples=EXAMPLES)
@given(cases().filter(lambda case: case.comparable))
def test_trace_of_random_networks(case: Case) -> None:
    for backend in BACKENDS:
        assert_all(check_trace(ScratchNetworks(backend), case))

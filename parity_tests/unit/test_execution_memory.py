"""``execution``: the compiled core, which accesses parameters by address, trains those whose memory it can use."""

from functools import partial

import numpy as np
import pytest

from parity_tests.unit.trainings import Training, results
from scratch.layers import Dense
from scratch.models import Sequential


def fortran_order(model: Sequential) -> None:
    model.layers[0].params["W"] = np.asfortranarray(model.layers[0].params["W"])


def strided_bias(model: Sequential) -> None:
    model.layers[0].params["b"] = np.linspace(0, 1, 16, dtype=np.float32)[::2]


def in_one_array(model: Sequential, b_start: int) -> None:
    """Store W (5, 8) and b (8,) of the first layer in one array: W from index 0, b from another index."""
    array, params = np.linspace(-1, 1, 48, dtype=np.float32), model.layers[0].params
    params["W"], params["b"] = array[:40].reshape(5, 8), array[b_start : b_start + 8]


def tie_weights(model: Sequential) -> None:
    model.layers[1].params["W"] = model.layers[0].params["W"]


LAYER_BY_LAYER = {
    "Fortran-ordered W": Training(prepare=fortran_order),
    "strided b": Training(prepare=strided_bias),
    "one W in two layers": Training(lambda: [Dense(5), Dense(5, "relu"), Dense(3, "softmax")], prepare=tie_weights),
    "W and b that overlap": Training(prepare=partial(in_one_array, b_start=39)),
    "b within W": Training(prepare=partial(in_one_array, b_start=8)),
}


@pytest.mark.parametrize("training", LAYER_BY_LAYER.values(), ids=LAYER_BY_LAYER)
def test_fit_runs_layer_by_layer(training: Training) -> None:
    default = training.run()
    assert results(default) == results(training.run(run_eagerly=True))
    assert default.fused is None


def test_parameters_side_by_side_in_one_array_train_in_the_compiled_core() -> None:
    training = Training(prepare=partial(in_one_array, b_start=40))
    default = training.run()
    assert results(default) == results(training.run(run_eagerly=True))
    assert default.fused is not None

"""Spellings of public programs that Keras accepts: scratch understands the same by them."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

import keras
import pytest

import scratch


@pytest.mark.parametrize("name", ["normal", "uniform", "one", "zero"])
def test_short_names_of_initializers(name: str) -> None:
    ours, theirs = (program.initializers.get(name) for program in (scratch, keras))
    assert type(ours).__name__ == type(theirs).__name__
    assert ours.get_config() == theirs.get_config()

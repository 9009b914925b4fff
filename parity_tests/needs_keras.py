"""Skips the test file that imports this, with one line for all of them, where Keras is not installed."""

from importlib.util import find_spec

import pytest

if find_spec("keras") is None:  # with Keras but without its framework the tests fail, as they should
    pytest.skip("the comparison needs Keras: python -m pip install -e '.[keras]'", allow_module_level=True)

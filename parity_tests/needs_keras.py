"""Skips the test file that imports this, with one line for all of them, where Keras is not installed."""

import pytest

pytest.importorskip("keras", reason="the comparison needs Keras: python -m pip install -e '.[keras]'")

"""Skip the test module that imports this module if Keras is not installed."""

from importlib.util import find_spec

import pytest

if find_spec("keras") is None:  # if only its framework is missing, the tests fail
    pytest.skip("the comparison needs Keras: python -m pip install -e '.[keras]'", allow_module_level=True)

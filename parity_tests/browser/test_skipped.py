"""Without Playwright, as after ``pip install '.[test]'``, the browser tests are skipped, and none is an error."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import pytest
sys.modules["playwright"] = None
options = ["-q", "-rs", "-n0", "-p", "no:cacheprovider", "--collect-only", "-m", "slow"]
sys.exit(pytest.main([*options, "parity_tests/browser"]))
"""


def test_without_playwright_the_tests_are_skipped() -> None:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert "SKIPPED [6] parity_tests/browser/needs_browser.py" in found.stdout
    assert "error" not in found.stdout.lower()

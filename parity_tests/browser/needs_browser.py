"""Skips a module that imports this one where Playwright, axe, the lab's packages or Chromium are missing."""

import os
import shutil

import pytest

pytest.importorskip("playwright", reason="The browser tests need Playwright: pip install '.[browser]'.")
pytest.importorskip("axe_playwright_python", reason="The browser tests need axe: pip install '.[browser]'.")
pytest.importorskip("uvicorn", reason="The browser tests need the lab's packages: pip install '.[lab]'.")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("The browser tests need Chromium: apt-get install chromium.", allow_module_level=True)

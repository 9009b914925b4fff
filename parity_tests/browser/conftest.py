"""Fixtures of the browser tests; they are skipped where Playwright or Chromium is missing."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from parity_tests.conftest import save_some
from scratch.datasets import mnist

if TYPE_CHECKING:  # needs_browser skips the tests that import it where Playwright or Chromium is missing
    from playwright.sync_api import Browser, Page

    from parity_tests.browser.lab_page import Lab

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIME_LIMIT = 120_000  # milliseconds: the machine may be busy, and the first start compiles kernels


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    from parity_tests.browser.needs_browser import CHROMIUM

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def data_file(digits: mnist.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a small part of MNIST."""
    return Path(save_some(digits, tmp_path_factory.mktemp("digits") / "digits.npz", train=2000, test=500))


@pytest.fixture(scope="session")
def data(data_file: Path) -> mnist.Dataset:
    return mnist.load(data_file)


@pytest.fixture(scope="module")
def lab(data_file: Path) -> Iterator["Lab"]:
    """A lab that the tests of a module share; ``page`` restarts its training."""
    from parity_tests.browser.lab_page import Lab

    lab = Lab(data_file)
    yield lab
    lab.end()


@pytest.fixture
def page(browser: "Browser", lab: "Lab") -> Iterator["Page"]:
    """The lab's page in a fresh profile; a request to another host, or an error on the page, fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True, locale="en-GB")
    context.set_default_timeout(TIME_LIMIT)
    page = context.new_page()
    problems: list[str] = []

    home = f"http://127.0.0.1:{lab.port}/"
    page.on("console", lambda message: problems.append(message.text) if is_error(message.type) else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if is_foreign(request.url) else None)

    def is_error(kind: str) -> bool:
        return kind == "error" and not lab.may_be_down

    def is_foreign(url: str) -> bool:
        return not url.startswith((home, f"blob:{home}"))

    page.goto(lab.url)
    page.locator("body[data-connection=open]").wait_for()
    page.evaluate("async () => (await import('/static/state.js')).lab.connection.request('train.restart', {seed: 0})")
    yield page
    context.close()
    assert not problems

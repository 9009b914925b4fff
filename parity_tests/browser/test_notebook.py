"""The page in a frame of a notebook: another page of this machine that embeds it, on a model of this process."""

import parity_tests.browser.needs_browser  # noqa: F401, I001  (before anything that imports Playwright)

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from parity_tests.browser.lab_page import fitted
from scratch.datasets import mnist
from scratch.lab import Page, show

pytestmark = pytest.mark.slow  # minutes, of one process that waits for the page


@pytest.fixture
def shown(data: mnist.Dataset) -> Iterator[Page]:
    page = show(fitted(data), data, lang="en")
    yield page
    page.close()


@pytest.fixture
def notebook(shown: Page) -> Iterator[str]:
    """Return the address of a page that contains what a notebook shows below the cell."""

    class Notebook(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<!doctype html><title>Notebook</title>{shown._repr_html_()}".encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(body if self.path == "/" else b"")

        def log_message(self, *words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Notebook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # localhost is another site than the page's 127.0.0.1
def test_a_notebook_shows_the_digits_probabilities(
    browser: Browser, shown: Page, notebook: str, data: mnist.Dataset, host: str
) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, locale="en-GB")
    page, problems = context.new_page(), list[str]()
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(notebook.replace("127.0.0.1", host))
    frame = page.frame_locator("iframe[title='Study lab']")
    frame.locator(".network[data-traces='1']").wait_for()
    x = data.test[0][:1].reshape(1, 784) / np.float32(255)
    probabilities = shown.model.predict(x, verbose=0)[0]
    assert frame.locator(".says").get_attribute("data-prediction") == str(probabilities.argmax())
    expect(frame.locator(".bars .best b")).to_have_text(f"{100 * probabilities.max():.1f}\xa0%")
    frame.get_by_role("radio", name="Dark").click()
    assert frame.locator("html").get_attribute("data-theme") == "dark"
    context.close()
    assert problems == []


def test_another_site_must_not_show_the_page(browser: Browser, notebook: str) -> None:
    page, problems = browser.new_page(), list[str]()
    page.on("console", lambda message: problems.append(message.text))
    page.goto(notebook.replace("127.0.0.1", "evil.localhost"))  # Chromium resolves it to this machine
    page.locator("iframe").wait_for()
    assert ["frame-ancestors" in text for text in problems if "Framing" in text] == [True]
    assert page.frames[1].url == "chrome-error://chromewebdata/"
    page.close()

"""A lab on a small part of MNIST, and its page as a person uses it: clicks, keys, and what can be read."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from playwright.sync_api import Page

from scratch import Sequential
from scratch.article import build_model, compile_model, prepare_floats
from scratch.datasets import mnist
from scratch.utils import Array, clear_session, set_random_seed

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=[\w-]+")
STEPS = 20  # of an epoch


class Lab:
    """A running ``python -m scratch lab``.

    Args:
        data: an ``.npz`` of digits.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self.may_be_down = False  # set while a test stops the server
        self.start("--port", "0")

    def start(self, *options: str) -> None:
        """Start the server, and read the address that it prints."""
        command = [sys.executable, "-m", "scratch", "lab", "--no-browser", "--data", str(self.data), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = ADDRESS.search(line)
        assert found, f"The command printed no address: {line!r}"
        self.url, self.port = found[0], found[1]

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        self.process.kill()
        self.process.communicate(timeout=20)

    def end(self) -> None:
        """Stop the server as Ctrl-C does."""
        self.process.terminate()
        self.process.communicate(timeout=20)


def initial_model(seed: int = 0) -> Sequential:
    """Return the article's model as the lab begins with it."""
    set_random_seed(seed)
    clear_session()
    model = build_model()
    compile_model(model)
    return model


def fitted(data: mnist.Dataset, epochs: int = 1) -> Sequential:
    """Return the article's model after ``fit``, without a lab."""
    model = initial_model()
    model.fit(*prepare_floats(*data.train, 10), batch_size=100, epochs=epochs, verbose=0)
    return model


def open_view(page: Page, name: str) -> None:
    """Choose a tab, and wait until the page is connected."""
    page.locator("body[data-connection=open]").wait_for()
    page.locator(f"#tab-{name}").click()


def wait_for_trace(page: Page, number: int) -> None:
    """Wait until that many traces, or more, have been shown since the page was opened."""
    page.wait_for_function("n => Number(document.querySelector('.network').dataset.traces ?? 0) >= n", arg=number)


def traces(page: Page) -> int:
    return int(page.locator(".network").get_attribute("data-traces") or 0)


def value_at(page: Page, name: str, index: Sequence[int]) -> np.float32:
    """Return the number that the page shows for the entry under the cursor, once it is explained."""
    page.locator(f".explain[data-state=ready][data-explained='{name}[{','.join(map(str, index))}]']").wait_for()
    return np.float32(page.locator(".explain .value").get_attribute("data-value"))


def go_to(page: Page, name: str, index: Sequence[int]) -> np.float32:
    """Open a tensor by its picture, type an index, and return the number there."""
    page.locator(f"#panel-look .tile[data-tensor='{name}']").click()
    page.locator(f".explain .tensor[data-tensor='{name}']").wait_for()
    for field, i in zip(page.locator(".explain .index:visible").all(), index, strict=True):
        field.fill(str(i))
        field.press("Enter")
    return value_at(page, name, index)


def drawing(page: Page) -> Array:
    """Return the grey levels of the drawing sheet, 280×280."""
    levels = page.evaluate(
        """() => {
          const canvas = document.querySelector(".sheet canvas");
          return Array.from(canvas.getContext("2d").getImageData(0, 0, 280, 280).data.filter((_, i) => i % 4 === 0));
        }"""
    )
    return np.array(levels, np.uint8).reshape(280, 280)


def wait_paused(page: Page, epoch: int, step: int) -> None:
    page.locator(f".train[data-state=paused][data-place='{epoch},{step}']").wait_for()


def record_errors(page: Page) -> None:
    """Keep the sentences of the errors that the page shows from now on; the next answer removes one from the page."""
    page.evaluate(
        """async () => {
          window.errors = [];
          const { lab } = await import("/static/state.js");
          lab.addEventListener("problem", ({ detail }) => detail && window.errors.push(detail));
        }"""
    )


def wait_for_error(page: Page, sentence: str) -> None:
    page.wait_for_function("sentence => window.errors.includes(sentence)", arg=sentence)


def violations(page: Page) -> list[str]:
    """Return what axe finds on the page: rule and element."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]]

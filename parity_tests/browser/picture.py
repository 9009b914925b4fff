"""``python -m parity_tests.browser.picture FILE.png``: the picture of the study lab that the README shows."""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from parity_tests.browser.conftest import ARGUMENTS
from parity_tests.browser.lab_page import Lab, go_to, open_view, traces, wait_for_trace
from parity_tests.browser.needs_browser import CHROMIUM
from parity_tests.conftest import save_some
from scratch.datasets import mnist

SIZE = {"width": 1600, "height": 1220}
UNIT = 9  # of the first layer


def main(path: Path) -> None:
    """Train the article's network for an epoch, and write a picture of one digit's step."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        data = save_some(mnist.load(), Path(folder, "digits.npz"), train=60_000, test=10_000)
        lab = Lab(Path(data))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{lab.url}&lang=en#train")
        page.locator(".train[data-state=paused]").wait_for()
        page.get_by_role("button", name="To the end of the epoch").click()
        page.locator(".train[data-state=paused]:not([data-place='0,0'])").wait_for()
        open_view(page, "look")
        wait_for_trace(page, 1)
        before = traces(page)
        page.locator("[data-field=index]").fill("7")
        page.keyboard.press("Enter")
        wait_for_trace(page, before + 1)
        go_to(page, "dense/out", (0, UNIT))
        page.evaluate(
            "document.activeElement.blur(); document.querySelector('.notice').replaceChildren(); scrollTo(0, 0)"
        )
        Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(path, optimize=True)
        browser.close()
        lab.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The exported run: one file that shows the recorded numbers without a server and without a request."""

import parity_tests.browser.needs_browser  # noqa: F401, I001  (before anything that imports Playwright)

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from parity_tests.browser.lab_page import go_to, initial_model, open_view, violations, wait_for_trace, wait_paused
from scratch.datasets import mnist
from scratch.lab.methods import call
from scratch.lab.recording import recording
from scratch.lab.session import Session, View
from scratch.layers import Dense, Dropout
from scratch.models import Sequential
from scratch.utils import set_random_seed

pytestmark = pytest.mark.slow  # minutes, of one process that waits for the page

ENTRIES = {  # one of each formula
    "x": (0, 300),
    "dense/W": (400, 3),
    "dense/out": (0, 17),
    "activation/out": (0, 5),
    "activation_2/out": (0, 3),
    "t": (0, 2),
    "loss": (),
    "loss/dx": (0, 2),
    "activation_2/dx": (0, 4),
    "dense_2/dx": (0, 9),
    "dense_2/dW": (7, 3),
    "dense_2/db": (3,),
    "activation/dx": (0, 6),
    "dense_2/W_new": (7, 3),
    "dense_2/b_new": (0,),
}


def explanation(page: Page, name: str) -> list[str]:
    """Return what the page says about an entry: value, formula, sentence, the largest terms."""
    value = go_to(page, name, ENTRIES[name])
    parts = [page.locator(f".explain {part}").all_inner_texts() for part in (".formulas", ".meaning", ".terms")]
    return [repr(value), *(text for part in parts for text in part)]


def test_an_exported_page_shows_the_same_numbers_without_a_server(browser: Browser, page: Page, tmp_path: Path) -> None:
    open_view(page, "train")
    wait_paused(page, 0, 0)
    page.get_by_role("button", name="To the end of the epoch").click()
    wait_paused(page, 1, 0)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as a page").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "digits-epoch-1-step-0.html"
    assert path.stat().st_size < 20e6
    open_view(page, "look")
    wait_for_trace(page, 2)
    live = {name: explanation(page, name) for name in ENTRIES}

    size = {"width": 1400, "height": 1000}  # without motion: axe does not see colours between those of two themes
    context = browser.new_context(viewport=size, locale="en-GB", offline=True, reduced_motion="reduce")
    recorded, problems = context.new_page(), list[str]()
    recorded.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    recorded.on("pageerror", lambda error: problems.append(str(error)))
    recorded.on("request", lambda request: problems.append(request.url) if is_foreign(request.url) else None)

    def is_foreign(url: str) -> bool:
        return not url.startswith(("data:", "blob:", path.as_uri()))

    recorded.goto(path.as_uri())
    wait_for_trace(recorded, 1)
    assert (
        recorded.locator(".notice")
        .inner_text()
        .startswith("A recording. Network 784–256–100–10 · 2,000 + 500 images. To draw")
    )
    assert {name: explanation(recorded, name) for name in ENTRIES} == live
    for theme in ("Dark", "Light"):
        recorded.get_by_role("radio", name=theme).click()
        assert violations(recorded) == []
    assert recorded.get_by_role("tab").all_inner_texts() == ["Look inside", "Training"]
    assert not recorded.get_by_role("heading", name="Draw a digit").is_visible()

    open_view(recorded, "train")
    recorded.locator("svg.representation[data-shown=now]").wait_for()
    assert recorded.locator(".confusion td").all_inner_texts() == page.locator(".confusion td").all_text_contents()
    assert not recorded.get_by_role("button", name="Play").is_visible()
    recorded.locator("[data-field=snapshot]").focus()
    recorded.keyboard.press("Home")
    recorded.locator(".scrubber[data-shown='0']").wait_for()
    open_view(recorded, "look")
    weight = go_to(recorded, "dense/W", (300, 7))
    recorded.get_by_role("radio", name="日本語").click()
    assert "記録したページです" in recorded.locator(".notice").inner_text()
    context.close()
    assert weight == np.float32(initial_model().get_weights()[0][300, 7])
    assert problems == []


def test_an_exported_page_tells_zeros_that_dropout_kept_from_dropped_ones(
    browser: Browser, data: mnist.Dataset, tmp_path: Path
) -> None:
    set_random_seed(0)
    layers = [Dense(64, "relu", input_shape=(784,), name="hidden"), Dropout(0.5, name="dropout"), Dense(10, "softmax")]
    model = Sequential(layers)
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    session = Session(model, data)
    view, path = View(session), tmp_path / "run.html"
    call(view, {"method": "digit.pick", "set": "test", "index": 0})
    path.write_bytes(recording(view, call))
    found = view.inspection(session.training.snapshots.kept[-1].id)
    session.close()
    layer = found.network.layers[1]
    assert isinstance(layer, Dropout)
    assert layer.keep is not None

    context = browser.new_context(locale="en-GB", offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    wait_for_trace(page, 1)
    for is_kept, meaning in ((True, "This unit was kept"), (False, "This unit was dropped")):
        zeros = np.flatnonzero((found["hidden/out"][0] == 0) & (layer.keep[0] == is_kept))
        assert go_to(page, "dropout/out", (0, int(zeros[-1]))) == 0
        assert page.locator(".explain .meaning").inner_text().startswith(meaning)
    page.evaluate("async () => (await import('lab/state.js')).lab.ask('save')")
    assert page.locator(".notice").inner_text().startswith("The recording does not contain this")
    context.close()

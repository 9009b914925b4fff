"""Train in the page: the bits of ``fit`` after any pause, look back, reload, and a lost connection."""

import parity_tests.browser.needs_browser  # noqa: F401, I001  (before anything that imports Playwright)

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from parity_tests.browser.lab_page import (
    STEPS,
    Lab,
    fitted,
    go_to,
    initial_model,
    open_view,
    record_errors,
    traces,
    wait_for_error,
    wait_for_trace,
    wait_paused,
)
from scratch import Sequential
from scratch.datasets import mnist
from scratch.lab import running
from scratch.models import load_model

pytestmark = pytest.mark.slow  # minutes, of one process that waits for the page


def saved(page: Page, folder: Path) -> Sequential:
    """Return the model that the button saves."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the model").click()
    path = folder / "digits.keras"
    download.value.save_as(path)
    return load_model(path)


def assert_same_bits(model: Sequential, expected: Sequential) -> None:
    for ours, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def press(page: Page, name: str, by: str) -> None:
    """Use a button with the mouse or with the keyboard."""
    button = page.get_by_role("button", name=name, exact=True)
    if by == "mouse":
        button.click()
    else:
        button.focus()
        page.keyboard.press("Enter")


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_an_epoch_ends_with_the_bits_of_fit(page: Page, data: mnist.Dataset, tmp_path: Path, by: str) -> None:
    open_view(page, "train")
    wait_paused(page, 0, 0)
    press(page, "To the end of the epoch", by)
    wait_paused(page, 1, 0)
    expected = fitted(data)
    assert_same_bits(saved(page, tmp_path), expected)
    says = expected.predict(data.test[0].reshape(-1, 784) / np.float32(255), verbose=0).argmax(axis=1)
    page.locator(f"text=500 test digits, {100 * (says == data.test[1]).mean():.1f}").wait_for()
    open_view(page, "look")
    wait_for_trace(page, 2)
    assert go_to(page, "dense_2/W", (3, 4)) == expected.get_weights()[4][3, 4]


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_look_back_in_a_pause_leaves_the_training_as_it_is(
    page: Page, data: mnist.Dataset, tmp_path: Path, by: str
) -> None:
    wait_for_trace(page, 1)
    open_view(page, "train")
    wait_paused(page, 0, 0)
    page.locator("[data-field=speed]").select_option("100")
    press(page, "Play", by)
    page.locator(".train[data-state=playing]").wait_for()
    press(page, "Pause", by)
    page.locator(".train[data-state=paused]").wait_for()
    place = page.locator(".train").get_attribute("data-place")
    press(page, "One step", by)
    page.locator(f".train[data-state=paused]:not([data-place='{place}'])").wait_for()
    # A busy machine may take longer than an epoch from Play to Pause.
    epochs = int((page.locator(".train").get_attribute("data-place") or "").partition(",")[0]) + 1
    page.locator(".scrubber:not([data-count='1'])").wait_for()
    slider = page.locator("[data-field=snapshot]")
    if by == "mouse":
        box = slider.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 3, box["y"] + box["height"] / 2)
    else:
        slider.focus()
        page.keyboard.press("Home")
    page.locator(".scrubber[data-shown='0']").wait_for()
    wait_for_trace(page, 2)  # the view of the values follows
    before = traces(page)
    open_view(page, "look")
    wait_for_trace(page, before + 1)
    assert go_to(page, "dense/W", (300, 7)) == initial_model().get_weights()[0][300, 7]
    open_view(page, "train")
    press(page, "To the end of the epoch", by)  # returns to the present
    wait_paused(page, epochs, 0)
    page.locator(".scrubber[data-snapshot='']").wait_for()
    assert_same_bits(saved(page, tmp_path), fitted(data, epochs))


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_training_goes_on_after_a_reload(page: Page, data: mnist.Dataset, tmp_path: Path, by: str) -> None:
    open_view(page, "train")
    for step in range(1, 4):
        wait_paused(page, 0, step - 1)
        press(page, "One step", by)
    wait_paused(page, 0, 3)
    page.reload()
    wait_paused(page, 0, 3)  # the same view, at the same place
    page.locator(".chart .line").nth(1).wait_for(state="attached")  # the curves so far are drawn again
    press(page, "To the end of the epoch", by)
    wait_paused(page, 1, 0)
    assert STEPS == 20
    assert_same_bits(saved(page, tmp_path), fitted(data))


def test_the_digits_are_drawn_as_points_when_the_view_is_opened(page: Page) -> None:
    open_view(page, "train")
    page.locator("svg.representation[data-shown=now]").wait_for()
    assert page.locator("svg.representation text").count() == 500


def test_a_loss_that_is_nan_stops_the_training_and_names_the_tensor(page: Page) -> None:
    open_view(page, "train")
    wait_paused(page, 0, 0)
    page.get_by_label("Learning rate").fill("100000")
    page.get_by_label("Learning rate").press("Enter")
    press(page, "To the end of the epoch", "mouse")
    page.locator(".train[data-state='stopped']").wait_for()
    assert "dense" in page.locator(".controls .bad").inner_text()
    page.get_by_label("Learning rate").fill("0.01")
    page.get_by_label("Learning rate").press("Enter")
    press(page, "Restart with new weights", "mouse")
    wait_paused(page, 0, 0)


def test_a_learning_rate_or_seed_that_is_empty_or_refused_is_replaced_by_that_in_force(page: Page) -> None:
    open_view(page, "train")
    wait_paused(page, 0, 0)
    rate, seed = page.get_by_label("Learning rate"), page.get_by_label("Seed")
    record_errors(page)
    for typed, shown in (("0.5", "0.5"), ("", "0.5"), ("-1", "0.5")):
        rate.fill(typed)
        rate.press("Enter")
        expect(rate).to_have_value(shown)
    wait_for_error(page, "Learning rate must be from 0 to 1000000; got -1.")
    in_force = page.evaluate("async () => (await import('/static/state.js')).lab.training.learning_rate")
    assert in_force == np.float32(0.5)
    seed.fill("")
    seed.press("Enter")
    expect(seed).to_have_value("0")
    seed.fill("-1")
    press(page, "Restart with new weights", "mouse")
    wait_for_error(page, "Seed must be from 0 to 4294967295; got -1.")
    expect(seed).to_have_value("0")
    rate.fill("0.01")
    rate.press("Enter")
    expect(page.locator(".notice")).to_have_attribute("data-kind", "fine")


def test_the_page_connects_again_to_a_lab_that_was_killed(page: Page, lab: Lab) -> None:
    wait_for_trace(page, 1)
    lab.may_be_down = True
    lab.kill()
    page.locator("body[data-connection=lost]").wait_for()
    assert "connection to the lab's server is lost" in page.locator(".notice").inner_text()
    lab.start("--port", lab.port)
    page.locator("body[data-connection=open]").wait_for()
    lab.may_be_down = False
    wait_for_trace(page, 2)
    assert go_to(page, "dense/W", (300, 7)) == initial_model().get_weights()[0][300, 7]
    assert page.locator(".notice").get_attribute("data-kind") == "fine"


def test_another_lab_at_the_same_port_is_named(page: Page, lab: Lab) -> None:
    wait_for_trace(page, 1)
    lab.may_be_down = True
    lab.end()
    running.forget(int(lab.port))
    lab.start("--port", lab.port)
    page.locator("body[data-connection=replaced]").wait_for()
    assert "open the address" in page.locator(".notice").inner_text()
    page.goto(lab.url)
    page.locator("body[data-connection=open]").wait_for()
    lab.may_be_down = False

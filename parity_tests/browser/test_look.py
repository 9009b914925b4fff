"""Draw a digit and read values of the network: what the page shows equals ``trace`` to the last bit."""

import parity_tests.browser.needs_browser  # noqa: F401, I001  (before anything that imports Playwright)

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from parity_tests.browser.lab_page import (
    drawing,
    go_to,
    initial_model,
    record_errors,
    traces,
    value_at,
    wait_for_error,
    wait_for_trace,
)
from scratch.datasets import mnist
from scratch.images import prepare
from scratch.utils import Array, to_categorical

pytestmark = pytest.mark.slow  # minutes, of one process that waits for the page


def traced(after: Array, label: int | None = None) -> dict[str, Array]:
    """Return the trace of the lab's first network for a prepared digit; the target is its own answer if not given."""
    model = initial_model()
    x = (after.reshape(1, 784) / np.float32(255)).astype(np.float32)
    label = int(model.predict(x, verbose=0).argmax()) if label is None else label
    return model.trace(x, to_categorical([label], 10))


def prepared(page: Page) -> Array:
    after = prepare(drawing(page))
    assert after is not None
    return after


def test_a_digit_drawn_with_the_mouse_has_the_values_of_trace(page: Page) -> None:
    wait_for_trace(page, 1)
    before = traces(page)
    box = page.locator(".sheet").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 80, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 60, steps=5)
    page.mouse.move(box["x"] + 110, box["y"] + 230, steps=5)
    page.mouse.up()
    page.locator("[data-field=label][data-source=drawing]").wait_for()
    wait_for_trace(page, before + 1)
    trace = traced(prepared(page))
    assert go_to(page, "dense/out", (0, 17)) == trace["dense/out"][0, 17]
    assert go_to(page, "dense_1/dW", (40, 3)) == trace["dense_1/dW"][40, 3]
    # A value under the mouse: entry 9 of the ten probabilities, which are one row.
    page.locator("#panel-look .tile[data-tensor='activation_2/out']").click()
    page.locator(".explain .tensor[data-tensor='activation_2/out']").wait_for()
    picture = page.locator(".explain .picture").bounding_box()
    assert picture is not None
    page.mouse.move(picture["x"] + 0.95 * picture["width"], picture["y"] + 0.5 * picture["height"])
    assert value_at(page, "activation_2/out", (0, 9)) == trace["activation_2/out"][0, 9]


def test_a_digit_drawn_with_the_keyboard_has_the_values_of_trace(page: Page) -> None:
    wait_for_trace(page, 1)
    before = traces(page)
    page.locator(".sheet").focus()
    for key in (" ", *["ArrowDown"] * 14, *["Shift+ArrowRight"] * 2, " "):
        page.keyboard.press(key)
    page.locator("[data-field=label][data-source=drawing]").wait_for()
    wait_for_trace(page, before + 1)
    page.locator("[data-field=label]").focus()
    page.keyboard.press("6")  # what the drawing is: chosen in the list by its first letter
    wait_for_trace(page, before + 2)
    trace = traced(prepared(page), 6)
    page.locator("#panel-look .tile[data-tensor='dense/out']").focus()
    page.keyboard.press("ArrowRight")  # the next picture of the network: dense/dx
    page.keyboard.press("Enter")
    page.locator(".explain .tensor[data-tensor='dense/dx']").wait_for()
    page.locator(".explain .picture").focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    assert value_at(page, "dense/dx", (0, 282)) == trace["dense/dx"][0, 282]


def test_the_page_explains_why_a_pixel_that_is_0_has_no_gradient(page: Page, data: mnist.Dataset) -> None:
    wait_for_trace(page, 1)
    assert go_to(page, "dense/dW", (0, 5)) == 0
    assert "input of this weight is 0" in page.locator(".explain .meaning").inner_text()
    before, step = go_to(page, "dense_2/W", (7, 3)), go_to(page, "dense_2/dW", (7, 3))
    after = go_to(page, "dense_2/W_new", (7, 3))
    assert after == before - np.float32(0.01) * step
    assert "goes against the gradient" in page.locator(".explain .meaning").inner_text() or step == 0


def test_the_cursor_begins_at_a_pixel_that_is_not_0_and_stays_in_tensors_of_one_shape(page: Page) -> None:
    wait_for_trace(page, 1)
    tensor = page.locator(".explain .tensor")
    for name in ("dense/W", "dense/dW", "dense/W_new"):
        page.locator(f"#panel-look .tile[data-tensor='{name}']").click()
        page.locator(f".explain .tensor[data-tensor='{name}']").wait_for()
        if name == "dense/W":
            pixel = int(page.locator(".explain .index").first.input_value())
            page.locator(".explain .picture").press("ArrowRight")
        assert tensor.locator(".value").get_attribute("data-index") == f"{pixel},1"
    assert go_to(page, "x", (0, pixel)) > 0


def test_an_update_can_be_checked_to_the_last_digit(page: Page) -> None:
    wait_for_trace(page, 1)
    before, step, after = (go_to(page, f"dense_2/{name}", (7, 3)) for name in ("W", "dW", "W_new"))
    numbers = page.locator(".explain .formulas math").nth(1).text_content() or ""
    left, right = numbers.replace("−", "-").split("=")
    assert np.float32(left) == after == before - np.float32(0.01) * step
    assert np.float32(right.split("-0.01·")[0]) == before
    assert go_to(page, "dense_2/db", (3,)) != 0
    assert page.locator(".explain .terms caption").inner_text() == "The only product"
    loss = page.locator("#panel-look .tile[data-tensor=loss]").get_attribute("aria-label") or ""
    assert loss.startswith("loss, one number: ")
    go_to(page, "dense_2/b_new", (3,))
    assert page.locator(".explain .formulas math").first.text_content() == "bnew=b−η·db"
    assert "the bias was" in page.locator(".explain .meaning").inner_text()
    go_to(page, "dense_2/out", (0, 3))
    assert "≈" in (page.locator(".explain .formulas math").nth(1).text_content() or "")


def test_a_number_field_shows_where_the_view_is(page: Page) -> None:
    wait_for_trace(page, 1)
    go_to(page, "dense/W", (300, 7))
    row = page.locator(".explain .index").first
    for typed, shown in (("999", "783"), ("-1", "0"), ("2.5", "2"), ("", "2")):
        row.fill(typed)
        row.press("Enter")
        expect(row).to_have_value(shown)
        value_at(page, "dense/W", (int(shown), 7))


def test_a_number_of_a_digit_that_is_empty_or_refused_is_replaced_by_that_in_force(page: Page) -> None:
    wait_for_trace(page, 1)
    record_errors(page)
    number = page.locator("[data-field=index]")
    for typed, shown in (("3", "3"), ("", "3"), ("1.5", "3"), ("99999999999999999999999", "3")):
        number.fill(typed)
        number.press("Enter")
        expect(number).to_have_value(shown)
    wait_for_error(page, "Number must be a whole number; got 1.5.")
    wait_for_error(page, "Number must be from 0 to 499; got 99999999999999991611392.")
    page.get_by_role("button", name="Next").click()
    expect(number).to_have_value("4")


def test_predict_first_hides_a_value_until_one_is_typed(page: Page) -> None:
    wait_for_trace(page, 1)
    page.set_viewport_size({"width": 1600, "height": 1000})  # the explanation is a column of its own
    go_to(page, "dense/out", (0, 3))
    page.get_by_label("Predict first").check()
    assert page.locator(".explain .value").inner_text() == "?"
    assert page.locator(".explain .source").inner_text() == ""
    page.get_by_label("Your prediction").fill("12")
    page.get_by_role("button", name="Check").click()
    verdict = page.locator(".guess output")
    assert "12 is off by" in verdict.inner_text()
    boxes = [verdict.bounding_box(), page.locator(".explain .formulas").bounding_box()]
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    assert page.locator(".explain .value").inner_text() != "?"


def test_the_mistakes_are_those_of_the_network(page: Page, data: mnist.Dataset) -> None:
    wait_for_trace(page, 1)
    page.get_by_role("button", name="Show the mistakes").click()
    first = page.locator(".mistakes button").first
    index = int(first.get_attribute("data-index") or -1)
    before = traces(page)
    first.click()
    wait_for_trace(page, before + 1)
    probabilities = traced(data.test[0][index], int(data.test[1][index]))["activation_2/out"][0]
    assert probabilities.argmax() != data.test[1][index]
    assert page.locator(".says").get_attribute("data-prediction") == str(probabilities.argmax())

"""Everyone can use the page: axe finds nothing in any view, theme and language; widths from 400 to 1,600 pixels fit."""

import parity_tests.browser.needs_browser  # noqa: F401, I001  (before anything that imports Playwright)

import pytest
from playwright.sync_api import Page

from parity_tests.browser.lab_page import open_view, violations, wait_for_trace

pytestmark = pytest.mark.slow  # minutes, of one process that waits for the page

VIEWS = ("look", "train", "compare", "hunt", "diagnose")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_nothing(page: Page, theme: str) -> None:
    page.get_by_role("radio", name=theme).click()
    wait_for_trace(page, 1)
    page.get_by_role("button", name="Show the mistakes").click()
    page.locator(".mistakes button").first.wait_for()
    page.get_by_role("button", name="Show as a table").click()
    for view in VIEWS:
        open_view(page, view)
        page.locator(f"#panel-{view}[data-state=ready]").wait_for()
        assert violations(page) == [], view


def test_the_language_and_the_theme_are_kept(page: Page) -> None:
    page.get_by_role("radio", name="日本語").click()
    page.get_by_role("radio", name="ダーク").click()
    page.reload()
    page.locator("html[lang=ja][data-theme=dark]").wait_for()
    wait_for_trace(page, 1)
    assert "ネットワークの答え" in page.locator(".says").inner_text()
    page.get_by_role("radio", name="English").click()
    assert "The network says" in page.locator(".says").inner_text()


def test_no_view_is_wider_than_the_window_and_no_card_wider_than_its_place(page: Page) -> None:
    wait_for_trace(page, 1)
    for view in VIEWS:
        open_view(page, view)
        page.locator(f"#panel-{view}[data-state=ready]").wait_for()
        for width in (400, 800, 1120, 1160, 1500, 1600):  # the columns of Look inside change below 800, 1140 and 1580
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view
            cards = page.locator(f"#panel-{view} .card")
            assert cards.evaluate_all("all => all.every((card) => card.scrollWidth <= card.clientWidth)"), (view, width)
    page.set_viewport_size({"width": 400, "height": 900})
    for tab in page.get_by_role("tab").all():
        box = tab.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 400


def test_the_tabs_are_chosen_with_the_arrow_keys(page: Page) -> None:
    page.locator("#tab-look").focus()
    for view in (*VIEWS[1:], VIEWS[0]):
        page.keyboard.press("ArrowRight")
        page.locator(f"#tab-{view}[aria-selected=true]").wait_for()
        assert page.locator(f"#panel-{view}").is_visible()

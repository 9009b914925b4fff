"""What needs Keras in a process of its own: the comparison, the bug hunt, the diagnosis of one's own file."""

import parity_tests.browser.needs_browser  # noqa: F401, I001  (before anything that imports Playwright)

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from parity_tests.browser.lab_page import go_to, open_view, violations, wait_for_trace

pytest.importorskip("keras", reason="pip install '.[keras]'")
pytestmark = pytest.mark.slow  # minutes, of one process that waits for the page
STARTING = 180_000  # milliseconds: TensorFlow starts slowly on a busy machine

NETWORK = """
import numpy as np


class Net:
    def __init__(self, inputs, hidden, classes):
        self.params = {"W1": np.random.randn(inputs, hidden) * 0.1, "b1": np.zeros(hidden)}
        self.params |= {"W2": np.random.randn(hidden, classes) * 0.1, "b2": np.zeros(classes)}

    def predict(self, x):
        self.h = np.maximum(np.dot(x, self.params["W1"]) + self.params["b1"], 0)
        z = np.dot(self.h, self.params["W2"]) + self.params["b2"]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def gradient(self, x, t):
        dout = (self.predict(x) - t) / len(x)
        grads = {"W2": np.dot(self.h.T, dout), "b2": np.sum(dout)}
        dout = np.dot(dout, self.params["W2"].T) * (self.h > 0)
        return grads | {"W1": np.dot(x.T, dout), "b1": np.sum(dout, axis=0)}
"""


def shown(page: Page, view: str, tensor: str) -> list[np.float32]:
    """Return the numbers under the linked cursors of a view's pictures."""
    page.locator(f"#panel-{view} [data-opened='{tensor}']").wait_for()
    values = page.locator(f"#panel-{view} .linked:visible .value").all()
    return [np.float32(value.get_attribute("data-value")) for value in values]


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_every_tensor_agrees_with_keras_within_its_bound(page: Page, by: str) -> None:
    wait_for_trace(page, 1)
    value = go_to(page, "dense_1/out", (0, 3))
    open_view(page, "compare")
    start = page.get_by_role("button", name="Compare this step with Keras")
    if by == "mouse":
        start.click()
    else:
        start.focus()
        page.keyboard.press("Enter")
    page.locator(".compare[data-rows]").wait_for(timeout=STARTING)
    assert page.locator(".comparison tbody tr").count() == 26
    assert page.locator(".comparison tr[data-light=ok]").count() == 26
    assert page.locator(".verdict").inner_text().endswith(", for test digit 0, a 7.")
    page.set_viewport_size({"width": 400, "height": 800})
    page.locator(".comparison button[data-name='dense_1/out']").click()
    shown(page, "compare", "dense_1/out")
    expect(page.locator("#panel-compare .linked:visible").first).to_be_in_viewport()  # it is below the table
    page.set_viewport_size({"width": 1400, "height": 1000})
    first = page.locator("#panel-compare .picture").first
    first.scroll_into_view_if_needed()
    if by == "mouse":  # 100 values in 10 rows of 10: value 3 is in the first row
        box = first.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 0.35 * box["width"], box["y"] + 0.05 * box["height"])
    else:
        first.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
    page.locator("#panel-compare .linked:last-child [data-index='0,3']").wait_for()
    ours, keras, ratio = shown(page, "compare", "dense_1/out")
    assert ours == value
    assert abs(ours - keras) <= 1e-5 * abs(ours)
    assert 0 <= ratio <= 1
    assert violations(page) == []


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_hunt_is_solved_by_comparing_the_tensors_in_order(page: Page, by: str) -> None:
    open_view(page, "hunt")
    page.get_by_role("button", name="Start the hunt").click()
    page.locator(".hunt[data-hunt='1,1'] .rows[data-state=ready]").wait_for(timeout=STARTING)
    for tensor in ("x", "dense/W", "dense/b", "dense/out"):
        tile = page.locator(f".hunt .tile[data-tensor='{tensor}']")
        if by == "mouse":
            tile.click()
        else:
            tile.focus()
            page.keyboard.press("Enter")
        wrong, right, difference = shown(page, "hunt", tensor)
        assert difference == wrong - right
        assert page.get_by_text("Identical: every value").is_visible() == (tensor != "dense/out")
        if wrong != right:
            break
    assert tensor == "dense/out"
    mark = page.get_by_role("button", name="This is the first wrong tensor")
    cause = page.get_by_label("The bias is not added.")
    answer = page.get_by_role("button", name="Answer")
    if by == "mouse":
        for element in (mark, cause, answer):
            element.click()
    else:
        mark.focus()
        page.keyboard.press("Enter")
        cause.focus()
        page.keyboard.press(" ")
        answer.focus()
        page.keyboard.press("Enter")
    page.locator(".hunt [data-solved=true]").wait_for()
    marked = page.locator(".hunt pre").first.locator("mark").all_inner_texts()
    assert marked == ["    return dense_forward(x, W, None)\n"]
    for width in (400, 1000, 1600):
        page.set_viewport_size({"width": width, "height": 1000})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator(".hunt pre").evaluate_all("all => all.every((pre) => pre.scrollWidth <= pre.clientWidth)")
    assert violations(page) == []


def test_a_wrong_answer_is_corrected(page: Page) -> None:
    open_view(page, "hunt")
    page.get_by_role("button", name="Start the hunt").click()
    page.locator(".hunt[data-hunt='1,1'] .rows[data-state=ready]").wait_for(timeout=STARTING)
    page.locator(".hunt .tile[data-tensor='dense_1/out']").click()
    shown(page, "hunt", "dense_1/out")
    page.get_by_role("button", name="This is the first wrong tensor").click()
    page.get_by_label("The bias is added twice.").check()
    page.get_by_role("button", name="Answer").click()
    page.locator(".hunt [data-solved=false]").wait_for()
    assert "the first wrong one is dense/out" in page.locator(".hunt [data-solved]").inner_text()
    page.get_by_label("Level").select_option("2")  # the hunt of level 1 is not shown under another level
    assert page.locator(".hunted").count() == 0


def test_the_mistake_in_ones_own_file_is_named(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "my_network.py"
    path.write_text(NETWORK, encoding="utf-8")
    open_view(page, "diagnose")
    page.get_by_label("File and class").fill(f"{path}:Net")
    page.keyboard.press("Enter")
    page.locator(".diagnose[data-findings='1']").wait_for(timeout=STARTING)
    finding = page.locator(".diagnose article")
    page.get_by_text("A program that shows it").click()
    page.set_viewport_size({"width": 400, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.set_viewport_size({"width": 1400, "height": 1000})
    assert "db is one number" in finding.inner_text()
    assert violations(page) == []
    page.get_by_role("radio", name="日本語").click()
    assert (
        "db が 1 つの数 np.sum(dout) になっています。この間違いは 2 層のうち第 2 層だけにあります。"
        in finding.inner_text()
    )
    assert "普通のバッチ: dense_1/db[" in finding.inner_text()
    assert page.locator(".diagnose th").all_inner_texts()[:4] == ["出力", "損失", "勾配", "ステップ"]
    assert "1 による" in page.locator(".diagnose td").all_inner_texts()
    page.get_by_role("radio", name="English").click()
    assert "db is one number" in finding.inner_text()
    page.get_by_label("File and class").fill(str(tmp_path / "missing.py"))
    page.keyboard.press("Enter")
    page.locator(".notice[data-kind=problem]").wait_for()
    assert "missing.py" in page.locator(".notice").inner_text()
    assert finding.count() == 0
    page.get_by_role("radio", name="日本語").click()
    notice = page.locator(".notice .sentence")
    for file, sentence in (
        (tmp_path / "my_networks.py", f"ファイル {tmp_path / 'my_networks.py'} がありません。{path} のことですか？"),
        (f"{path}:Nett", f"{path} に Nett はありません。あるのは Net です。"),
    ):
        page.get_by_label("ファイルとクラス").fill(str(file))
        page.keyboard.press("Enter")
        expect(notice).to_have_text(sentence)

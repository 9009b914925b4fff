"""What the tests of the report pages check in every page."""

from html.parser import HTMLParser
from typing import Any

VOID = ("meta", "br", "hr", "img", "link", "input", "path", "use", "rect", "circle", "line")


class Page(HTMLParser):
    """The structure of a page: tags, anchors, links, and text outside of scripts and styles.

    Attributes:
        tags: the name of each element, in order.
        ids: the anchors.
        links: the targets of links in the page.
        external: attributes that refer to other files.
        text: the text of the page.
    """

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.external: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href", "data", "action"):
                (self.links if value.startswith("#") else self.external).append(value)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def check_page(content: str) -> Page:
    """Check what every page and fragment must be: well-formed, self-contained, with anchors that are unique."""
    page = Page(content)
    assert not page.open
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert not page.external
    assert "http" not in content
    assert "@import" not in content
    assert "script" not in page.tags
    assert "prefers-color-scheme: dark" in content
    return page

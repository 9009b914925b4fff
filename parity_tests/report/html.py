"""HTML for all report pages: one style, for light and dark, and the parts that pages are put together from.

A page is one file without references to others.  A fragment, for notebooks, has the same style, which is limited to the
fragment.
"""

import html
import re
from collections.abc import Collection, Iterable, Sequence

STYLE = """
.parity { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d0d7de; --soft: #f3f5f7; --faint: #57606a;
  --link: #0550ae; --good: #0b5394; --good-soft: #e3f0fb; --bad: #a33b00; --bad-soft: #fdebdd;
  color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif; padding: .6rem; }
@media (prefers-color-scheme: dark) { .parity { --ink: #e6e9ec; --paper: #14171b; --line: #3a4149; --soft: #1f242a;
  --faint: #a3acb6; --link: #79b8ff; --good: #8cc4ff; --good-soft: #14304a; --bad: #ffab70; --bad-soft: #46260f; } }
.parity.page { max-width: 70rem; margin: 0 auto; padding: 1rem; }
.parity h1 { margin: .5rem 0; font-size: 1.6rem; overflow-wrap: anywhere; }
.parity h2 { margin: 2.2rem 0 .5rem; font-size: 1.25rem; }
.parity h3 { margin: 0 0 .3rem; font-size: 1rem; overflow-wrap: anywhere; }
.parity a { color: var(--link); }
.parity a.self { text-decoration: none; color: var(--faint); } .parity td a.self { color: inherit; }
.parity nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: 1rem 0; padding: 0; list-style: none; }
.parity .scroll { overflow-x: auto; margin: .5rem 0 1rem; }
.parity table { border-collapse: collapse; font-variant-numeric: tabular-nums; color: inherit; }
.parity th, .parity td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left; }
.parity th { vertical-align: bottom; } .parity td { white-space: nowrap; }
.parity th:first-child, .parity td:first-child { position: sticky; left: 0; background: var(--paper); padding-left: 0; }
.parity tr.bad td { background: var(--bad-soft); }
.parity tr:target td, .parity .card:target { outline: 2px solid var(--link); outline-offset: -2px; }
.parity .good { color: var(--good); } .parity .bad { color: var(--bad); } .parity .faint { color: var(--faint); }
.parity .verdict, .parity .card { padding: .7rem 1rem; border-radius: .4rem; overflow-wrap: anywhere; }
.parity .verdict { font-weight: 600; } .parity .verdict.good { background: var(--good-soft); }
.parity .verdict.bad { background: var(--bad-soft); }
.parity .card { border: 1px solid var(--line); border-left: .3rem solid var(--bad); margin: .8rem 0; }
.parity .card p { margin: .3rem 0; }
.parity pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .6rem .8rem; border-radius: .3rem;
  background: var(--soft); color: inherit; }
.parity code { font: .9em ui-monospace, monospace; }
.parity dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .5rem 0; }
.parity dt { font-weight: 600; } .parity dd { margin: 0; overflow-wrap: anywhere; }
.parity figure { margin: 0; } .parity svg { display: block; width: 100%; height: auto; }
.parity svg text { font-family: system-ui, sans-serif !important; }
@media (max-width: 600px) { .parity dl { display: block; } .parity dd { margin-bottom: .5rem; }
  .parity th:first-child, .parity td:first-child { white-space: normal; max-width: 9rem; overflow-wrap: break-word; }
  .parity th, .parity td { padding: .25rem .45rem; } .parity.page { padding: .6rem; } }
"""
PAGE_STYLE = ":root { color-scheme: light dark; } body { margin: 0; background: #fff; } \
@media (prefers-color-scheme: dark) { body { background: #14171b; } }"


class Markup(str):
    """A text that is HTML already; ``escape`` leaves it as it is."""

    __slots__ = ()


def escape(text: object) -> Markup:
    """Return a text as HTML; texts from a user's code have no effect but to be shown."""
    return text if isinstance(text, Markup) else Markup(html.escape(str(text)))


def anchor(*words: str) -> str:
    """Return words as an identifier that a link can name."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def link(target: str, text: object) -> Markup:
    """Return a link to an anchor of the same page."""
    return Markup(f'<a href="#{target}">{escape(text)}</a>')


def section(title: str, *parts: str, prefix: str = "") -> Markup:
    """Return a section with a heading that can be linked to."""
    name = prefix + anchor(title)
    heading = f'<h2>{escape(title)} <a class="self" href="#{name}" aria-label="link to this section">#</a></h2>'
    return Markup(f'<section id="{name}">{heading}\n{"".join(parts)}</section>')


def contents(titles: Iterable[str]) -> Markup:
    """Return a table of contents of the sections with these titles."""
    entries = "".join(f"<li>{link(anchor(title), title)}</li>" for title in titles)
    return Markup(f'<nav aria-label="contents"><ul>{entries}</ul></nav>')


def table(
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    name: str = "",
    failed: Collection[int] = (),
) -> Markup:
    """Return a table that scrolls in its own container if it is too wide.

    Args:
        head: a text for each column.
        rows: their cells.
        name: if given, each row has an anchor: this name and the row's first cell, which links to it.
        failed: indices of the rows that are marked as failures.
    """
    lines = []
    for i, row in enumerate(rows):
        cells, target = list(row), anchor(name, str(row[0]))
        if name:
            cells[0] = Markup(f'<a class="self" href="#{target}">{escape(row[0])}</a>')
        attributes = f' id="{target}"' if name else ""
        attributes += ' class="bad"' if i in failed else ""
        lines.append(f"<tr{attributes}>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    body = "\n".join(lines)
    scroll = '<div class="scroll" tabindex="0">'  # the keyboard can scroll what has the focus
    return Markup(f"{scroll}<table><thead><tr>{titles}</tr></thead>\n<tbody>{body}</tbody></table></div>")


def definitions(entries: Iterable[tuple[str, object]], prefix: str = "") -> Markup:
    """Return a list of terms, each with an anchor, and what they mean."""
    lines = [f'<dt id="{prefix + anchor(term)}">{escape(term)}</dt><dd>{escape(text)}</dd>' for term, text in entries]
    return Markup(f"<dl>{''.join(lines)}</dl>")


def fragment(*parts: str, page: bool = False) -> Markup:
    """Return parts with their style, for a notebook or as the body of a page."""
    return Markup(f'<div class="parity{" page" if page else ""}"><style>{STYLE}</style>\n{"".join(parts)}</div>')


def document(title: str, *parts: str) -> str:
    """Return a page that needs no other file."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{escape(title)}</title><style>{PAGE_STYLE}</style></head>
<body>{fragment(*parts, page=True)}</body></html>
"""

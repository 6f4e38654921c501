"""Pages: whole, escaped, without any address of a network."""

import json
import re
from html.parser import HTMLParser

import pytest

from multiace.report import Page, Section, Text
from multiace.report.page import render_page

from .sample import table


class Reader(HTMLParser):
    """Collects tags, ids and what could be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.tags.append(tag)
        self.ids += [named["id"]] if "id" in named else []
        self.addresses += [named[name] for name in ("src", "href") if name in named]


@pytest.fixture(scope="module")
def html(written) -> str:
    return written.read_text(encoding="utf-8")


def test_every_block_is_there_and_ids_are_unique(html):
    reader = Reader()
    reader.feed(html)
    assert len(set(reader.ids)) == len(reader.ids)
    for name in ("errors", "learning", "parity", "scan", "worst", "figures", "data", "theme"):
        assert name in reader.ids
    assert "nothing" not in reader.ids
    assert reader.tags.count("canvas") == 2
    assert html.count('class="plot') == 6


def test_nothing_is_fetched(html):
    reader = Reader()
    reader.feed(html)
    assert "link" not in reader.tags
    assert "img" not in reader.tags
    for address in reader.addresses:
        assert re.match(r"#|figures/\w+\.(png|svg)$", address)
    assert "default-src 'none'" in html
    assert len(html.encode()) < 8e6


def test_text_cannot_become_markup(html):
    assert "Three &lt;designs&gt;" in html
    assert "<designs>" not in html
    assert "<code>for tests</code>" in html
    assert "a: &lt;1&gt;" in html
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert data is not None
    assert set(json.loads(data[1])) == {"themes", "figures", "views"}


def test_a_page_without_figures_leaves_plotly_out():
    assert len(render_page(Page("t", "s", (Section("a", (Text("b"), table())),)))) < 60_000


def test_figures_lie_beside_the_page_as_images(written):
    assert written.name == "report.html"
    figures = list((written.parent / "figures").iterdir())
    names = ("learning", "parity", "scan", "worst")
    assert {f.name for f in figures} == {f"{n}.{kind}" for n in names for kind in ("png", "svg")}
    for figure in figures:
        content = figure.read_bytes()
        assert content.startswith(b"<?xml" if figure.suffix == ".svg" else b"\x89PNG")
        assert len(content) > 10_000


def test_two_blocks_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two of 'errors'"):
        Page("t", "s", (Section("a", (table(), table())),))
    with pytest.raises(ValueError, match="two of 'a'"):
        Page("t", "s", (Section("a", ()), Section("A", ())))

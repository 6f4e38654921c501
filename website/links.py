"""Check of the finished site: every link leads somewhere, and nothing comes from the network."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""Element -> the attribute whose file a browser loads by itself."""


class Page(HTMLParser):
    """Links, loaded files and anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what an element refers to, and by what name it is referred to."""
        values = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := values.get(key))}
        if tag == "a" and (href := values.get("href")) is not None:
            self.links.append(href)
        if tag in LOADED and (file := values.get(LOADED[tag])):
            self.loaded.append(file)


def broken_links(site: Path) -> list[str]:
    """Return one line for each link that leads nowhere or file that the network would have to give.

    Args:
        site: folder of the finished site.

    Returns:
        Sorted lines `page: what is wrong`; none if all is well. Links to other sites are not
        followed.
    """
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    problems = set()
    for path, page in pages.items():
        name = path.relative_to(site)
        for file in page.loaded:
            if urlsplit(file).netloc:
                problems.add(f"{name}: loads {file} from the network")
        for link in [*page.links, *page.loaded]:
            problem = _problem(link, path, pages, site)
            if problem:
                problems.add(f"{name}: {problem}")
    return sorted(problems)


def _problem(link: str, path: Path, pages: dict[Path, Page], site: Path) -> str | None:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    base = site if parts.path.startswith("/") else path.parent
    target = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return f"{link} leads to no file"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return f"{link} leads to no heading"
    return None

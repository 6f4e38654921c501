"""Pages: one HTML file with text, tables, figures and structures, and the figures as files.

The page needs no network and no file beside it: plotly.js, style, script and data are within, and
its content security policy forbids everything else. It follows the theme of the reader's system,
has a switch for it, and prints in the light one on A4.

```python
from multiace.report import Axis, Column, Figure, Line, Page, Panel, Section, Table, Text
from multiace.report import series_colour, write_page

line = Line(epochs, errors, name="MACE", colour=series_colour(0))
panel = Panel("", Axis("epoch"), Axis("force RMSE (meV/Å)", log=True), (line,))
page = Page(
    title="Two designs",
    subtitle="3BPA, 300 K",
    sections=(
        Section("Errors", (Text("What was done."), Table("errors", "Errors", columns, rows))),
        Section("Training", (Figure("learning", "Learning curves", (panel,)),)),
    ),
)
write_page(page, Path("out"))  # out/report.html, out/figures/learning.png and .svg
```

| block | what it is |
|---|---|
| `Text` | paragraphs |
| `Notice` | something to know before reading on: `warning` or `note` |
| `Facts` | names and their values, such as the environment |
| `Code` | preformatted text, folded until it is opened |
| `Table` | see `table`; readers save it as CSV and copy it as LaTeX |
| `Figure` | see `multiace.figures.figure` |
| `StructureView` | see `structure_view` |
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import jinja2
from markupsafe import Markup, escape

from multiace.checkpoint import replace_file
from multiace.figures import palette
from multiace.figures.figure import Figure
from multiace.figures.static import save_figure
from multiace.report.interactive import plotly_panel
from multiace.report.structure_view import StructureView, frame_data, save_view
from multiace.report.table import Table, Tag, as_text, best_rows, is_words, to_csv, to_latex

FIGURES = "figures"
"""Folder of the PNG and SVG files beside the page."""

PAGE = "report.html"


@dataclass(frozen=True)
class Text:
    """Paragraphs, separated by empty lines; text between backticks is code."""

    text: str


@dataclass(frozen=True)
class Notice:
    """Something to know before reading on; text between backticks is code."""

    text: str
    kind: Literal["note", "warning"] = "note"


@dataclass(frozen=True)
class Facts:
    """Names and their values."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Code:
    """Preformatted text under a title, folded until the reader opens it."""

    title: str
    text: str


Block = Text | Notice | Facts | Code | Table | Figure | StructureView


@dataclass(frozen=True)
class Section:
    """A part of the page with its own entry in the navigation; without blocks it is left out."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        """The name that links to it.

        Example:
            >>> Section("In and out of domain", ()).anchor
            'in-and-out-of-domain'
        """
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Page:
    """A whole page.

    Args:
        title: what it is about.
        subtitle: on which data, in one line.
        sections: its parts, in order.
        footer: where it comes from, in one line.

    Raises:
        ValueError: two blocks, or two sections, of one name.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    footer: str = ""

    def __post_init__(self) -> None:
        named = [
            block.name
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Table | Figure | StructureView)
        ]
        for names in (named, [section.anchor for section in self.sections]):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"Each name may occur once in a page, got two of {twice[0]!r}.")


def write_page(page: Page, folder: Path) -> Path:
    """Write `report.html` and, beside it, each figure as PNG and SVG in `figures/`.

    Args:
        page: what to write.
        folder: made if it is not there; files of these names are replaced.

    Returns:
        The HTML file.
    """
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for block in _blocks(page):
        if isinstance(block, Figure):
            save_figure(block, *_files(block.name, folder))
        elif isinstance(block, StructureView):
            save_view(block, *_files(block.name, folder))
    path = folder / PAGE
    replace_file(path, render_page(page).encode())
    return path


def _files(name: str, folder: Path) -> list[Path]:
    return [folder / FIGURES / f"{name}{suffix}" for suffix in (".png", ".svg")]


def render_page(page: Page) -> str:
    """Return the HTML of a page.

    Example:
        >>> html = render_page(Page("Two designs", "3BPA", (Section("Errors", (Text("None."),)),)))
        >>> "<p>None.</p>" in html, "http-equiv" in html
        (True, True)
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"inline": _inline, "paragraphs": _paragraphs, "cell": as_text}
    environment.globals |= {
        "kind_of": lambda block: type(block).__name__,
        "best_rows": best_rows,
        "is_words": is_words,
        "is_tag": lambda cell: isinstance(cell, Tag),
        "is_text": lambda cell: isinstance(cell, str),
        "to_csv": to_csv,
        "to_latex": to_latex,
    }
    return environment.get_template("page.html.jinja").render(
        page=page,
        sections=[section for section in page.sections if section.blocks],
        figures=FIGURES,
        style=Markup(_style()),
        script=Markup(_template("page.js")),
        plotly=Markup(_plotly() if any(isinstance(b, Figure) for b in _blocks(page)) else ""),
        data=Markup(_as_script(_data(page))),
    )


def _blocks(page: Page) -> Iterable[Block]:
    return (block for section in page.sections for block in section.blocks)


def _data(page: Page) -> dict[str, Any]:
    """Return all that the script draws: panels of figures, frames of views, colours."""
    figures = {b.name: b for b in _blocks(page) if isinstance(b, Figure)}
    views = {b.name: b for b in _blocks(page) if isinstance(b, StructureView)}
    return {
        "themes": {"light": palette.LIGHT, "dark": palette.DARK},
        "figures": {n: [plotly_panel(panel) for panel in f.panels] for n, f in figures.items()},
        "views": {n: [frame_data(frame) for frame in v.frames] for n, v in views.items()},
    }


def _as_script(content: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _style() -> str:
    """Return the style sheet with the colours of both themes as variables."""
    themes = {
        name: "".join(f"--{colour}:{value};" for colour, value in colours.items())
        for name, colours in (("light", palette.LIGHT), ("dark", palette.DARK))
    }
    sheet = _template("page.css")
    return sheet.replace("/*light*/", themes["light"]).replace("/*dark*/", themes["dark"])


def _template(name: str) -> str:
    return (files("multiace.report") / "template" / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _inline(text: str) -> Markup:
    """Escape text and set what stands between backticks as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )


def _paragraphs(text: str) -> list[Markup]:
    return [_inline(part.strip()) for part in re.split(r"\n\s*\n", text) if part.strip()]

"""Pages of the site: where each comes from, and what changes on the way."""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from math_core import LatexToMathML

from multiace.data.make import Recipe
from multiace.design import Design
from multiace.study import StudyConfig
from multiace.training import TrainingConfig
from website.api_reference import AREAS, area_page, overview_page
from website.command_reference import command_reference
from website.config_reference import config_reference

ROOT = Path(__file__).parents[1]
ASSETS = Path(__file__).with_name("assets")

OTHER_SOURCES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "README.md": "index.md",
    "examples": "examples.md",
}
"""What is published besides docs/**/*.md, and its name; a README is the page of its folder."""

CONFIG_PAGES = {
    "training-config": (
        TrainingConfig,
        "Training config",
        "Every field of the config of [`multiace train`](../training.md). `a.b` is written as "
        "`{a: {b: ...}}` in YAML and as `--set a.b=...` on the command line.",
    ),
    "design": (
        Design,
        "Design",
        "Every field of a [design](../designs.md): the value of `design` in a training config, or "
        "a file of its own. Fields that may differ by layer take one value, a list with one value "
        "a layer, or `{first: ..., rest: ..., last: ...}`.",
    ),
    "recipe": (
        Recipe,
        "Recipe",
        "Every field of a recipe of [`multiace data make`](../making-data.md). Each entry of "
        "`sets` is of one `kind`.",
    ),
    "study-config": (
        StudyConfig,
        "Study",
        "Every field of the file of a [study](../studies.md).",
    ),
}
"""Name of the page -> config, title, introduction."""

LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
MATHEMATICS = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class PageError(ValueError):
    """A page that cannot be published as it is."""


def stage(folder: Path) -> list[str]:
    """Write every page of the site and what it shows into an empty folder.

    Args:
        folder: where the pages go; what is there already is removed.

    Returns:
        Names of the pages, relative to the folder.

    Raises:
        PageError: a link to a file that is no page.
    """
    shutil.rmtree(folder, ignore_errors=True)
    pages = {**_written_pages(folder), **_generated_pages()}
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copytree(ASSETS, folder / "assets", dirs_exist_ok=True)
    return sorted(pages)


def sources() -> dict[Path, str]:
    """Return the file of each page that people write, and the name of the page."""
    result = {ROOT / source: name for source, name in OTHER_SOURCES.items()}
    docs = ROOT / "docs"
    return result | {p: p.relative_to(docs).as_posix() for p in sorted(docs.rglob("*.md"))}


def _examples() -> dict[Path, str]:
    """Return each example and where it is shown."""
    return {path: f"examples.md#{path.stem}" for path in sorted((ROOT / "examples").glob("*.py"))}


def _written_pages(folder: Path) -> dict[str, str]:
    written = sources()
    known = written | _examples()
    pages = {}
    for source, name in written.items():
        if source == ROOT / "README.md":
            continue  # docs/index.md is the first page of the site
        text = examples_page(source) if source.is_dir() else source.read_text(encoding="utf-8")
        relink = partial(_relink, source=source, name=name, known=known, folder=folder)
        pages[name] = render_mathematics(_outside_fences(text, relink))
    return pages


def _generated_pages() -> dict[str, str]:
    pages = {
        "reference/commands.md": command_reference(),
        "reference/python/index.md": overview_page(),
    }
    for name, (config, title, introduction) in CONFIG_PAGES.items():
        tables = config_reference(config, {} if config is Design else {"Design": "design.md"})
        pages[f"reference/{name}.md"] = f"# {title}\n\n{introduction}\n\n{tables}"
    for name, area in AREAS.items():
        pages[f"reference/python/{name}.md"] = area_page(area)
    return pages


def examples_page(folder: Path) -> str:
    """Return one page with every example: what it leads to, and its code."""
    parts = ["# Examples", "", "Each script runs in under a minute on a CPU, and in the tests."]
    for path in sorted(folder.glob("*.py")):
        code = path.read_text(encoding="utf-8")
        summary = (ast.get_docstring(ast.parse(code)) or "").split("\n\n")[0]
        title = path.stem.replace("_", " ").capitalize().replace("Lammps md", "LAMMPS")
        parts += ["", f"## {title} {{ #{path.stem} }}", "", " ".join(summary.split()), ""]
        parts += [f'```python title="examples/{path.name}"', code.rstrip(), "```"]
    return "\n".join(parts) + "\n"


def render_mathematics(text: str) -> str:
    """Return Markdown whose ```math blocks are MathML, which browsers draw without a script."""
    converter = LatexToMathML()

    def replace(block: re.Match[str]) -> str:
        equation = converter.convert_with_local_state(block[1].strip(), displaystyle=True)
        return f'<div class="equation">{equation}</div>'

    return MATHEMATICS.sub(replace, text)


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    """Apply a change to all text but blocks of code."""
    result, position = [], 0
    for fence in FENCE.finditer(text):
        result += [change(text[position : fence.start()]), fence[0]]
        position = fence.end()
    return "".join([*result, change(text[position:])])


def _relink(text: str, source: Path, name: str, known: dict[Path, str], folder: Path) -> str:
    """Turn links between files of the repository into links between pages of the site."""

    def replace(link: re.Match[str]) -> str:
        target, _, anchor = link[2].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return link[0]
        new = _target(target, source, known, folder)
        relative = os.path.relpath(new, Path(name).parent)
        return f"{link[1]}{relative}{'#' * bool(anchor)}{anchor}{link[3]}"

    return LINK.sub(replace, text)


def _target(target: str, source: Path, known: dict[Path, str], folder: Path) -> str:
    """Return the page, or the copied picture, that a link of a file leads to."""
    base = source if source.is_dir() else source.parent
    path = Path(os.path.normpath(base / target))
    for candidate in (path, path / "README.md"):
        if candidate in known:
            return known[candidate]
    if path.is_relative_to(ROOT / "docs" / "reference"):
        return path.relative_to(ROOT / "docs").as_posix()  # generated; the build checks it
    if path.suffix in (".png", ".svg") and path.is_file():
        copy = folder / "images" / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        return f"images/{path.name}"
    raise PageError(
        f"{source.relative_to(ROOT)} links to {target}, which is no page of the site. Name the "
        "file as code instead, or add it to OTHER_SOURCES in website/pages.py."
    )

"""What the documentation site is made of; `make docs` builds it and checks every link."""

import re

import pytest

pytest.importorskip("math_core", reason="the extra `docs` is not installed")

from website.command_reference import command_reference
from website.config_reference import config_reference
from website.links import broken_links
from website.pages import ROOT, PageError, render_mathematics, stage

from multiace.data.make import Recipe
from multiace.design import Design
from multiace.training import TrainingConfig


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("website")
    return folder, stage(folder)


def row(table: str, anchor: str) -> str:
    (line,) = [line for line in table.splitlines() if f"{{ #{anchor} }}" in line]
    return line


def test_every_page_of_the_docs_is_published(staged):
    folder, pages = staged
    for source in (ROOT / "docs").glob("*.md"):
        assert source.name in pages
        assert (folder / source.name).exists()


def test_every_page_has_a_place_in_the_navigation(staged):
    _, pages = staged
    navigation = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    assert sorted(re.findall(r'"([^"]+\.md)"', navigation)) == sorted(pages)


def test_links_between_files_become_links_between_pages(staged):
    folder, _ = staged
    assert "(benchmarks.md)" in (folder / "index.md").read_text(encoding="utf-8")
    assert "(examples.md#lammps_md)" in (folder / "md.md").read_text(encoding="utf-8")


def test_pictures_come_along(staged):
    folder, _ = staged
    text = (folder / "benchmarks.md").read_text(encoding="utf-8")
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (folder / picture).is_file()


def test_a_link_to_a_file_that_is_no_page_is_refused(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("[here](nothing.md)", encoding="utf-8")
    monkeypatch.setattr("website.pages.ROOT", tmp_path)
    monkeypatch.setattr("website.pages.sources", lambda: {page: "page.md"})
    with pytest.raises(PageError, match=r"links to nothing\.md, which is no page"):
        stage(tmp_path / "out")


def test_mathematics_becomes_mathml():
    text = render_mathematics("Before\n\n```math\nE = \\sum_i E_i\n```\n\n```python\n1\n```\n")
    assert '<math display="block">' in text
    assert "```math" not in text
    assert "```python\n1\n```" in text


def test_a_field_is_described_with_its_values_default_and_meaning():
    table = config_reference(TrainingConfig, {"Design": "design.md"})
    assert row(table, "epochs").split("|")[3:5] == [" integer ≥ 1 ", " **required** "]
    assert "`amsgrad`" in row(table, "optimiser.name")
    assert "Passes over the training set." in row(table, "epochs")


def test_each_kind_of_a_group_has_its_own_table():
    text = config_reference(Recipe)
    assert "## `sets.NAME: {kind: md}` { #sets.md }" in text
    assert "K" in row(text, "sets.md.temperatures")


@pytest.mark.parametrize("field", Design.model_fields)
def test_every_field_of_a_design_is_described(field):
    assert f"#{field} }}" in config_reference(Design)


def test_every_command_is_described_with_its_options():
    text = command_reference()
    for command in ("describe", "train", "evaluate", "md", "data check", "probe scan", "study run"):
        assert f"`multiace {command}`" in text
    assert "`--resume`" in text
    assert "* `evaluate`: Print RMSE and MAE of a model on labelled structures." in text
    assert "$ multiace train botnet.yaml" in text
    assert r"FILE\[:ATOMS]" in text
    assert "$ multiace train [OPTIONS]" in text


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<a href="gone.html">x</a>', "gone.html leads to no file"),
        ('<a href="other.html#gone">x</a>', "other.html#gone leads to no heading"),
        ('<a href="#gone">x</a>', "#gone leads to no heading"),
        ('<img src="gone.png">', "gone.png leads to no file"),
        ('<script src="https://cdn.example/a.js"></script>', "from the network"),
        ('<link rel="stylesheet" href="//cdn.example/a.css">', "from the network"),
    ],
)
def test_a_broken_link_is_found(tmp_path, html, problem):
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    (tmp_path / "other.html").write_text('<h1 id="here">x</h1>', encoding="utf-8")
    (found,) = broken_links(tmp_path)
    assert problem in found


def test_links_that_lead_somewhere_are_fine(tmp_path):
    page = '<h1 id="a">x</h1><a href="#a"></a><a href="https://example.org"></a><a href="."></a>'
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    assert broken_links(tmp_path) == []

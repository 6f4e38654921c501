"""README and docs: short, their commands and code run, their links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperGroup as Group
from typer.testing import CliRunner

from multiace.cli.main import app
from multiace.data.make import make_recipe
from multiace.design import Design
from multiace.study import StudyConfig
from multiace.training import make_config

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_readme_has_at_most_120_lines():
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if page.parent.name == "docs" and target.startswith("reference/"):
            continue  # made from the code; the build of the site checks it
        assert (page.parent / target).exists(), target


def test_the_commands_of_the_first_section_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    first_section = README.split("## Use it")[0]
    lines = [line for block in blocks(first_section, "") for line in block.splitlines()]
    assert lines == ["make demo", "make test"]
    for line in lines:
        assert re.search(rf"^{line.split()[1]}:", makefile, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    """Every command and every piece of Python, in order, with one epoch instead of many."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    (config,) = blocks(text, "yaml")
    Path("config.yaml").write_text(config, encoding="utf-8")
    n_commands = 0
    for language, block in re.findall(
        r"^```(bash|python)\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    ):
        if language == "python":
            exec(compile(block, page, "exec"), {})
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            if program == "pip":
                continue
            assert program == "multiace"
            if arguments[0] == "train":
                arguments += ["--set", "epochs=1"]
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, (line, result.output, result.exception)
            n_commands += 1
    assert n_commands >= 4


def commands(text: str) -> list[str]:
    """Return the commands of multiace in the blocks of a page."""
    return [
        line.removeprefix("$ ").split("  #")[0]
        for language in ("", "bash", "console")
        for block in blocks(text, language)
        for line in block.splitlines()
        if line.removeprefix("$ ").startswith("multiace ")
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_and_their_options_exist(page):
    for line in commands(page.read_text(encoding="utf-8")):
        command = typer.main.get_command(app)
        words = line.replace("[", "").replace("]", "").split()[1:]
        while words and isinstance(command, Group):
            name = words.pop(0)
            if name.isupper():
                break  # stands for any command
            assert name in command.commands, line
            command = command.commands[name]
        known = {option for parameter in command.params for option in parameter.opts}
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        assert given <= known or isinstance(command, Group), line


def test_the_configs_of_the_pages_are_valid():
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8"), "yaml"):
            content = yaml.safe_load(block)
            if "epochs" in content:
                make_config(content)
            elif "factors" in content:
                StudyConfig.model_validate(content)  # its files are not here
            elif "sets" in content:
                make_recipe(content)
            else:
                config = {"design": content, "data": {"train": "a.xyz"}, "epochs": 1, "out": "run"}
                assert isinstance(make_config(config).design, Design)

"""The page of commands, from the help that Typer derives from the code."""

from __future__ import annotations

import re
from html import unescape

import typer
from typer.cli import get_docs_for_click
from typer.core import TyperGroup

from multiace.cli.main import app

EXAMPLE = re.compile(r"^Example: (multiace .*(?:\n.+)*)", flags=re.MULTILINE)
BRACKET = re.compile(r"(?P<code>```.*?```|`[^`\n]*`)|\[", flags=re.DOTALL)


def command_reference() -> str:
    """Return every command with its arguments and options as Markdown."""
    group = typer.main.get_command(app)
    _say_all(group)
    text = get_docs_for_click(
        obj=group, ctx=typer.Context(group), name="multiace", title="Commands"
    )
    text = re.sub(r"`([^`\n]*)`", lambda code: f"`{unescape(code[1])}`", text)
    text = EXAMPLE.sub(lambda found: f"```console\n$ {' '.join(found[1].split())}\n```", text)
    return BRACKET.sub(lambda found: found["code"] or r"\[", text)  # no link is meant


def _say_all(command: object) -> None:
    """List the commands of a group by their whole summary, which is cut at 45 letters otherwise."""
    for inner in command.commands.values() if isinstance(command, TyperGroup) else ():
        inner.short_help = (inner.help or "").split("\n\n")[0].replace("\n", " ")
        _say_all(inner)

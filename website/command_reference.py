"""The page of commands, from the help that Typer derives from the code."""

from __future__ import annotations

import re
from html import unescape

import typer
from typer.cli import get_docs_for_click

from multiace.cli.main import app

EXAMPLE = re.compile(r"^Example: (multiace .*(?:\n.+)*)", flags=re.MULTILINE)


def command_reference() -> str:
    """Return every command with its arguments and options as Markdown."""
    group = typer.main.get_command(app)
    text = get_docs_for_click(
        obj=group, ctx=typer.Context(group), name="multiace", title="Commands"
    )
    text = re.sub(r"`([^`\n]*)`", lambda code: f"`{unescape(code[1])}`", text)
    return EXAMPLE.sub(lambda found: f"```console\n$ {' '.join(found[1].split())}\n```", text)

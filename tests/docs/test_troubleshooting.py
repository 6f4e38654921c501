"""The messages that docs/troubleshooting.md explains are those of the code."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOLE = "\N{HORIZONTAL ELLIPSIS}"
MESSAGES = re.findall(
    r"^### `(.+)`$",
    (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def texts_of(tree: ast.AST) -> list[str]:
    """Return every text in a module but docstrings, with `…` for values put in as it runs."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = []
    for node in ast.walk(tree):
        if id(node) in documentation:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(re.sub(r"%[sdrg]", HOLE, node.value))
        elif isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else HOLE for part in node.values)
            texts.append("".join(str(part) for part in parts))
    return texts


@pytest.fixture(scope="module")
def texts() -> list[str]:
    files = sorted((ROOT / "src").rglob("*.py"))
    return [text for file in files for text in texts_of(ast.parse(file.read_bytes()))]


def occurs(message: str, texts: list[str]) -> bool:
    """Tell whether all words of a message stand in one text, in this order."""
    pieces = [re.escape(piece.strip()) for piece in message.split(HOLE) if piece.strip()]
    pattern = re.compile(".*".join(pieces), re.DOTALL)
    return any(pattern.search(text) for text in texts)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_that_is_explained_is_in_the_code(message, texts):
    assert occurs(message, texts)


def test_a_message_that_nothing_says_is_noticed(texts):
    assert not occurs("… already holds a cake. Continue it with --resume", texts)


def test_there_are_many_messages_and_each_is_explained_once():
    assert len(MESSAGES) > 25
    assert len(set(MESSAGES)) == len(MESSAGES)

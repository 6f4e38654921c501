"""Read the comment line of an extended XYZ frame, and the numbers in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float64

_WORD = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_VALUE = rf"{_WORD}|\{{[^}}]*\}}|\[(?:[^\[\]]|\[[^\[\]]*\])*\]|[^\s\"'{{\[][^\s\"']*"
# ASCII: blanks of other scripts, such as that of French numbers, are parts of words
_PAIR = re.compile(rf"\s*({_WORD}|[^\s=\"']+)(?:\s*=\s*({_VALUE}))?(?=\s|$)", re.ASCII)
_ROWS = re.compile(r"\s*\[[^\[\]]*\](?:\s*,?\s*\[[^\[\]]*\])*\s*", re.ASCII)  # of a list of lists
_ESCAPED = re.compile(r"\\(.)")
_JSON = "_JSON "
_TRUTH = {
    **dict.fromkeys(("T", "True", "true", "TRUE", "1"), True),
    **dict.fromkeys(("F", "False", "false", "FALSE", "0"), False),
}


class CommentError(ValueError):
    """A comment line that cannot be read.

    Args:
        problem: what is wrong.
        field: the key concerned.
        hint: the way out.
    """

    def __init__(self, problem: str, field: str | None = None, hint: str = "") -> None:
        self.field = field
        self.hint = hint
        super().__init__(problem)


def parse_comment(text: str) -> dict[str, str | None]:
    r"""Return the keys of a comment line with their values as text, None where nothing follows.

    `key=value` pairs are separated by blanks; values with blanks stand in quotes, braces or
    brackets, which are taken off. A line without `=` is free text and has no keys.

    Raises:
        CommentError: a quote that is never closed, `=` without value, or a key that occurs twice.

    Example:
        >>> parse_comment('energy=-1.5 pbc="T T F" name="a \\"b\\"" relaxed')
        {'energy': '-1.5', 'pbc': 'T T F', 'name': 'a "b"', 'relaxed': None}
    """
    if "=" not in text:
        return {}
    text = text.strip()
    pairs: dict[str, str | None] = {}
    start = 0
    while start < len(text):
        match = _PAIR.match(text, start)
        if match is None:
            rest = text[start:].lstrip()
            raise CommentError(
                f"the comment line cannot be read from column {len(text) - len(rest) + 1} on: "
                f"{_shortened(rest)}",
                hint='Write key=value, and values with blanks or quotes as key="...".',
            )
        key = _unquoted(match[1])
        if key in pairs:
            raise CommentError(
                f"{key} occurs twice in the comment line", key, "Keep the right one."
            )
        pairs[key] = None if match[2] is None else _unquoted(match[2])
        start = match.end()
    return pairs


def _unquoted(word: str) -> str:
    """Take off quotes, braces or one pair of brackets, and the backslashes within quotes."""
    if word[0] in "\"'":
        return _ESCAPED.sub(r"\1", word[1:-1])
    return word[1:-1] if word[0] in "{[" else word


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def numbers(text: str | None) -> Float64[np.ndarray, " values"]:
    """Return the numbers of a value: separated by blanks or commas, or `_JSON` as ASE writes it.

    Raises:
        CommentError: there is none, or something is not a number; the message says what.

    Example:
        >>> numbers("1.5 -2 3e-1").tolist()
        [1.5, -2.0, 0.3]
    """
    if text is None:
        raise CommentError("is not a number: nothing follows it", hint="Write key=value.")
    if text.startswith(_JSON):
        try:
            found = np.array(json.loads(text.removeprefix(_JSON)))
        except (ValueError, TypeError, RecursionError):
            found = np.array("")
        if found.dtype.kind not in "iuf":  # neither texts nor true, false and null
            raise CommentError(f"is not a number or a list of them: {_shortened(text)}")
        return found.astype(np.float64).ravel()
    if _ROWS.fullmatch(text):
        text = text.replace("[", " ").replace("]", " ")
    words = text.replace(",", " ").split()
    bad = first_bad_number(words)
    if bad is not None or not words:
        raise CommentError(f"is not a number: {text!r}", hint=number_hint(bad or ""))
    return np.array([float(word) for word in words])


def first_bad_number(words: Iterable[str]) -> str | None:
    """Return the first word that is not a plain number, None if all are.

    Python would take `1_000` and digits of other scripts for numbers; no program writes them.
    """
    for word in words:
        try:
            float(word)
        except ValueError:
            return word
        if "_" in word or not word.isascii():
            return word
    return None


def number_hint(word: str) -> str:
    """Return how a word may have come to stand where a number belongs."""
    if "*" in word:
        return "Stars mean that the number did not fit its column in the program that wrote it."
    if re.fullmatch(r"[-+0-9.]+[dD][-+]?[0-9]+", word):
        return "Write the exponent with E; D is Fortran's."
    if re.fullmatch(r"[-+]?[0-9.]+[-+][0-9]+", word):
        return "The E of the exponent, or the blank between two numbers, is missing."
    return ""


def truths(text: str | None) -> tuple[bool, ...]:
    """Return logical values: T, F, true, false, 1 or 0, separated by blanks or commas.

    Raises:
        CommentError: something else.

    Example:
        >>> truths("T T F")
        (True, True, False)
    """
    words = (text or "").replace(",", " ").split()
    unknown = [word for word in words if word not in _TRUTH]
    if unknown or not words:
        raise CommentError(f"must be T or F for each direction, got {text!r}")
    return tuple(_TRUTH[word] for word in words)

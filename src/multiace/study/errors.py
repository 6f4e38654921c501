"""`StudyError`: what is wrong with a study file, and where."""

from __future__ import annotations

from collections.abc import Mapping


class StudyError(ValueError):
    """A study that cannot be run as it is written: says what, where, and the way out."""


class Places:
    """Where each dotted key of a study file was written.

    Args:
        name: of the file.
        lines: dotted key -> line.
    """

    def __init__(self, name: str = "", lines: Mapping[str, int] | None = None) -> None:
        self.name = name
        self.lines = dict(lines or {})

    def of(self, key: str) -> str:
        """Return `file:line` of a key, or of the innermost group around it that has one.

        Example:
            >>> Places("a.yaml", {"factors": 3, "factors.layers": 4}).of("factors.layers.values")
            'a.yaml:4'
        """
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return f"{self.name}:{self.lines[key]}" if key else self.name

    def at(self, key: str) -> str:
        """Return the place in brackets for the end of a message; nothing without a file."""
        place = self.of(key)
        return f" ({place})" if place else ""

    def all(self) -> dict[str, str]:
        """Return the place of each key."""
        return {key: f"{self.name}:{line}" for key, line in self.lines.items()}

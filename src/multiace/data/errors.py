"""`DataError`: what is wrong with a data file, and where."""

from __future__ import annotations

from pathlib import Path


class DataError(ValueError):
    """Something is wrong with a data file or with a set of structures.

    Args:
        problem: what is wrong and the rule, without the place.
        file: path of the file.
        frame: index of the frame, from 0.
        line: number of the line, from 1.
        field: label, key or column concerned.
        value: the offending value.
        hint: the way out.

    Example:
        >>> raise DataError("the energy is nan", file="a.xyz", frame=3, hint="Take it out.")
        Traceback (most recent call last):
        multiace.data.errors.DataError: a.xyz, frame 3: the energy is nan. Take it out.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        frame: int | None = None,
        line: int | None = None,
        field: str | None = None,
        value: object = None,
        hint: str = "",
    ) -> None:
        self.problem = problem.rstrip(".")
        self.file = None if file is None else str(file)
        self.frame = frame
        self.line = line
        self.field = field
        self.value = value
        self.hint = hint
        place = [] if self.file is None else [self.file]
        place += [] if frame is None else [f"frame {frame}"]
        place += [] if line is None else [f"line {line}"]
        text = f"{', '.join(place)}: {self.problem}." if place else f"{self.problem}."
        super().__init__(f"{text} {hint}" if hint else text)

"""`DataError`: what is wrong with a data file, and where."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

MOST_SHOWN = 50
"""Problems that one message lists; the others are counted."""


class _Finding(Exception):
    """What is found in data, with its place; the text is made of both."""

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

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain data; `value` as text."""
        return {
            "file": self.file,
            "frame": self.frame,
            "line": self.line,
            "field": self.field,
            "value": None if self.value is None else str(self.value),
            "problem": self.problem,
            "hint": self.hint,
        }


class DataError(_Finding, ValueError):
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

    @property
    def problems(self) -> tuple[DataError, ...]:
        """The single problems: this one, or those that `DataErrors` has collected."""
        return (self,)

    @property
    def n_problems(self) -> int:
        """How many problems there are, those beyond the longest list included."""
        return 1


class DataErrors(DataError):
    """Several problems as one error; its place and hint are those of the first.

    Args:
        problems: the problems to list, at least one.
        n_problems: how many there are in all.
    """

    def __init__(self, problems: Iterable[DataError], n_problems: int) -> None:
        self._problems = tuple(problems)
        self._n_problems = n_problems
        first = self._problems[0]
        super().__init__(
            first.problem,
            file=first.file,
            frame=first.frame,
            line=first.line,
            field=first.field,
            value=first.value,
            hint=first.hint,
        )
        rest = n_problems - len(self._problems)
        lines = [f"{n_problems} problems:", *(f"- {problem}" for problem in self._problems)]
        self.args = ("\n".join([*lines, f"and {rest} more."] if rest else lines),)

    @property
    def problems(self) -> tuple[DataError, ...]:
        """The problems that are listed, at most `MOST_SHOWN`."""
        return self._problems

    @property
    def n_problems(self) -> int:
        """How many problems there are in all."""
        return self._n_problems


class DataWarning(_Finding, UserWarning):
    """Something in data that people should know, but that can be right. Arguments: `DataError`."""


class Findings:
    """Collects problems and warnings while reading goes on.

    The first `MOST_SHOWN` problems and as many warnings are kept, the others counted.

    Example:
        >>> findings = Findings()
        >>> for frame in range(2):
        ...     findings.add(DataError("the energy is nan", file="a.xyz", frame=frame))
        >>> findings.raise_problems()
        Traceback (most recent call last):
        multiace.data.errors.DataErrors: 2 problems:
        - a.xyz, frame 0: the energy is nan.
        - a.xyz, frame 1: the energy is nan.
    """

    def __init__(self) -> None:
        self.problems: list[DataError] = []
        self.warnings: list[DataWarning] = []
        self.n_problems = 0
        self.n_warnings = 0

    def add(self, finding: DataError | DataWarning) -> None:
        """Keep or count a problem or a warning; the problems within `DataErrors` one by one."""
        if isinstance(finding, DataWarning):
            self.n_warnings += 1
            if len(self.warnings) < MOST_SHOWN:
                self.warnings.append(finding)
            return
        self.n_problems += finding.n_problems
        self.problems.extend(finding.problems[: MOST_SHOWN - len(self.problems)])

    def extend(self, findings: Iterable[DataError | DataWarning]) -> None:
        """Add several."""
        for finding in findings:
            self.add(finding)

    def raise_problems(self) -> None:
        """Raise what was collected, if there is any problem.

        Raises:
            DataError: the only problem.
            DataErrors: the problems.
        """
        if self.n_problems == 1:
            raise self.problems[0]
        if self.n_problems:
            raise DataErrors(self.problems, self.n_problems)

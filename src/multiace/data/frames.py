"""Cut an extended XYZ file into frames, and find where one is cut off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from multiace.data.errors import DataError, Findings

_COUNT = re.compile(r"\s*[0-9]{1,12}\s*")
_BROKEN_OFF = "the last line does not end: the file looks truncated"


@dataclass(frozen=True)
class Frame:
    """The text of one frame and its place in the file.

    Args:
        file: path of the file.
        index: number of the frame, from 0.
        first_line: number of its first line, from 1.
        comment: its second line.
        rows: a line for each atom.
    """

    file: Path
    index: int
    first_line: int
    comment: str
    rows: list[str]

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.rows)

    def error(self, problem: str, line: int = 0, **details: Any) -> DataError:
        """Return an error at this frame; `line` counts from its first one."""
        number = self.first_line + line
        return DataError(problem, file=self.file, frame=self.index, line=number, **details)


class _Lines:
    """The lines of a file with one put back, and their number."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._back: list[str] = []
        self.number = 0

    def next(self) -> str:
        """Return the next line with its end, an empty text after the last."""
        line = self._back.pop() if self._back else self._stream.readline()
        self.number += bool(line)
        return line

    def put_back(self, line: str) -> None:
        """Return this line again next time."""
        self._back.append(line)
        self.number -= 1


def frames_of(path: Path, findings: Findings) -> Iterator[Frame]:
    """Yield the frames of a file that are whole; what is wrong with the others is added.

    The file is read as the frames are taken. A blank line between frames and a frame with too few
    atoms are problems, after which the next frame is looked for; where the number of atoms is
    missing, nothing after it can be told, and reading ends.

    Args:
        path: the file.
        findings: where problems are added.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            yield from _frames(path, _Lines(stream), findings)
    except FileNotFoundError:
        findings.add(DataError("there is no such file", file=path))
    except IsADirectoryError:
        findings.add(DataError("this is a directory", file=path, hint="Give its files."))
    except UnicodeDecodeError:
        with path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
        hint = "Decompress it by gunzip." if compressed else "Give extended XYZ in UTF-8."
        findings.add(DataError("this is not a text file in UTF-8", file=path, hint=hint))


def _frames(path: Path, lines: _Lines, findings: Findings) -> Iterator[Frame]:
    """Yield the frames of an open file."""
    index = 0
    while _skip_blank_lines(path, index, lines, findings):
        frame = _frame(path, index, lines, findings)
        if frame is None:
            return
        if frame.rows:
            yield frame
        index += 1
    if index == 0 and findings.n_problems == 0:
        findings.add(DataError("the file is empty: it must hold at least one frame", file=path))


def _skip_blank_lines(path: Path, index: int, lines: _Lines, findings: Findings) -> bool:
    """Go to the next line that is not blank; tell whether there is one."""
    first = lines.number + 1
    while line := lines.next():
        if line.strip():
            lines.put_back(line)
            break
    if line and lines.number + 1 > first:
        findings.add(
            DataError(
                "expected the number of atoms, at least 1, found a blank line",
                file=path,
                frame=index,
                line=first,
                hint="Frames follow one another without blank lines; readers stop at one.",
            )
        )
    return bool(line)


def _frame(path: Path, index: int, lines: _Lines, findings: Findings) -> Frame | None:
    """Return the next frame, one without rows if it is cut short, None where reading must end."""
    count = lines.next()
    first_line = lines.number
    n_atoms = int(count) if _COUNT.fullmatch(count) else -1
    if n_atoms < 1:
        findings.add(_no_count(path, index, first_line, count))
    if n_atoms < 0:
        return None
    comment = lines.next()
    if n_atoms == 0:
        return Frame(path, index, first_line, comment, [])
    rows: list[str] = []
    line = comment
    for _ in range(n_atoms):
        line = lines.next()
        if line.strip().isdigit():  # a row has four columns or more
            lines.put_back(line)
            break
        if not line:
            break
        rows.append(line)
    whole = len(rows) == n_atoms
    last = rows[-1] if rows else comment or count
    broken_off = not last.endswith("\n")
    if whole and not broken_off:
        return Frame(path, index, first_line, comment, rows)
    at_end = not line or broken_off
    problem = "" if whole else f"expected {n_atoms} atoms, found {len(rows)}"
    if broken_off:
        problem = f"{_BROKEN_OFF}; {problem}" if problem else _BROKEN_OFF
        hint = "If it is complete, add a line break at its end." if whole else ""
    else:
        hint = "The file looks truncated." if at_end else "Then the next frame begins."
    findings.add(
        DataError(problem, file=path, frame=index, line=lines.number, field="atoms", hint=hint)
    )
    return Frame(path, index, first_line, comment, [])


def _no_count(path: Path, index: int, number: int, line: str) -> DataError:
    """Return the error for a line that should be a number of atoms."""
    found = line.strip()
    previous = f"Frame {index - 1} may have more atoms than it says. " if index else ""
    ended = "" if found.isdigit() else "; nothing after this line was read"
    return DataError(
        f"expected the number of atoms, at least 1, found {found!r}{ended}",
        file=path,
        frame=index,
        line=number,
        field="atoms",
        value=found,
        hint=f"{previous}A frame is the number of atoms, a comment line, and a line for each atom.",
    )

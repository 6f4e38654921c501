"""`ProbeResult`: what a probe found, as numbers, tables and curves that anything can show."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from multiace.figures.figure import (
    Axis,
    Coverage,
    Figure,
    Line,
    Mark,
    Panel,
    Points,
    Ribbon,
    Values,
)
from multiace.figures.palette import series_colour, series_dash

Value = float | int | str | bool | None

REFERENCE = "reference"
"""Name of what a subject is compared with, in figures."""

Curve = Line | Points | Ribbon


@dataclass(frozen=True)
class Number:
    """One result.

    Args:
        name: key in JSON and in studies.
        value: None where the quantity does not exist, for instance without a reference.
        unit: empty for a pure number or a word.
        meaning: what it is, in a few words.
    """

    name: str
    value: Value
    unit: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """Rows of numbers and words.

    Args:
        name: key in JSON.
        title: what the rows are.
        columns: name and unit of each column; the unit may be empty.
        rows: as many values as columns.
    """

    name: str
    title: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """What one probe found for one subject.

    Args:
        probe: name of the probe, as on the command line.
        subject: name of the model, ensemble or calculator.
        numbers: results by name.
        tables: details in rows.
        panels: details as curves, by name. A curve is named after the subject, `REFERENCE` or the
            part of the subject that it shows; `overlay` colours them.
        settings: what it was asked for; plain data.

    Example:
        >>> length = Number("length", 0.74, "Å", "bond length")
        >>> result = ProbeResult("scan", "model", (length,))
        >>> result["length"], result.to_json()["numbers"]["length"]["unit"]
        (0.74, 'Å')
    """

    probe: str
    subject: str
    numbers: tuple[Number, ...]
    tables: tuple[Table, ...] = ()
    panels: dict[str, Panel] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """Return the value of a number.

        Raises:
            KeyError: there is no such number.
        """
        for number in self.numbers:
            if number.name == name:
                return number.value
        names = ", ".join(number.name for number in self.numbers)
        raise KeyError(f"{self.probe} has no number {name!r}. There are {names}.")

    def table(self, name: str) -> Table:
        """Return a table by its name."""
        return next(table for table in self.tables if table.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON; what is not finite is null.

        A panel has the fields of `multiace.figures.figure.Panel`, and each mark those of its
        `kind`; fields that have their default are left out.
        """
        return {
            "probe": self.probe,
            "subject": self.subject,
            "settings": self.settings,
            "numbers": {
                n.name: {"value": _plain(n.value), "unit": n.unit, "meaning": n.meaning}
                for n in self.numbers
            },
            "tables": {table.name: _table_to_json(table) for table in self.tables},
            "panels": {name: _fields(panel) for name, panel in self.panels.items()},
        }


def combine(probe: str, parts: Mapping[str, ProbeResult]) -> ProbeResult:
    """Put the parts of a probe into one result; numbers are named after their part.

    Args:
        probe: name of the whole.
        parts: results for one subject, by the prefix of their numbers.

    Example:
        >>> part = ProbeResult("dimers", "model", (Number("holes", 0, "", "pairs with a hole"),))
        >>> combine("smoothness", {"dimers": part})["dimers_holes"]
        0
    """
    subjects = {part.subject for part in parts.values()}
    assert len(subjects) == 1, subjects
    return ProbeResult(
        probe,
        subjects.pop(),
        tuple(
            replace(number, name=f"{prefix}_{number.name}")
            for prefix, part in parts.items()
            for number in part.numbers
        ),
        tuple(table for part in parts.values() for table in part.tables),
        {name: panel for part in parts.values() for name, panel in part.panels.items()},
        {prefix: part.settings for prefix, part in parts.items()},
    )


def reference_line(x: Values, y: Values) -> Line:
    """Return the dashed curve of what a subject is compared with."""
    return Line(x, y, name=REFERENCE, dash="dash", width=1.4)


def overlay(results: Sequence[ProbeResult]) -> Figure:
    """Return the figure of a probe, the panels of its subjects laid over each other by name.

    Curves of the reference come once. The zero is that of the first subject, so that differences
    between subjects are seen. A name has one colour and dash in all panels.

    Args:
        results: one or more of the same probe with the same settings.

    Raises:
        ValueError: no result has a panel.

    Example:
        >>> from multiace.figures import Axis
        >>> results = []
        >>> for name in "ab":
        ...     curve = Line(np.arange(2.0), np.zeros(2), name=name)
        ...     panel = Panel("", Axis("r (Å)"), Axis("E (eV)"), (curve,))
        ...     results.append(ProbeResult("scan", name, (), panels={"energy": panel}))
        >>> [(mark.name, mark.colour) for mark in overlay(results).legend]
        [('a', 'series-0'), ('b', 'series-1')]
    """
    names = list(dict.fromkeys(name for result in results for name in result.panels))
    panels = [_overlaid(name, results) for name in names]
    curves = [mark for panel in panels for mark in panel.marks if isinstance(mark, Curve)]
    subjects = [result.subject for result in results]
    known = dict.fromkeys([*subjects, *(curve.name for curve in curves)])
    order = {name: index for index, name in enumerate(n for n in known if n != REFERENCE)}
    coloured = tuple(
        replace(panel, marks=tuple(_coloured(mark, order) for mark in panel.marks))
        for panel in panels
    )
    probe = results[0].probe
    return Figure(re.sub(r"[^a-z0-9]+", "_", probe.lower()), probe, coloured)


def _overlaid(name: str, results: Sequence[ProbeResult]) -> Panel:
    found = [(r.subject, r.panels[name]) for r in results if name in r.panels]
    first = found[0][1]
    marks: dict[object, Mark] = {}
    for subject, panel in found:
        for mark in panel.marks:
            named = _named(mark, subject) if len(results) > 1 else mark
            marks.setdefault(_identity(named), named)
    in_front = sorted(marks.values(), key=lambda mark: _identity(mark) == (type(mark), REFERENCE))
    given = [panel.y.limits for _, panel in found if panel.y.limits is not None]
    limits = (min(low for low, _ in given), max(high for _, high in given)) if given else None
    return replace(first, marks=tuple(in_front), y=replace(first.y, limits=limits))


def _named(mark: Mark, subject: str) -> Mark:
    """Name a curve where there are several subjects: a part after its subject too."""
    if not isinstance(mark, Curve) or mark.name in (subject, REFERENCE):
        return mark
    return replace(mark, name=f"{subject}: {mark.name}")


def _identity(mark: Mark) -> object:
    """Return what two marks have in common of which one is enough."""
    if isinstance(mark, Curve):
        return type(mark), mark.name
    return (type(mark), mark.label) if isinstance(mark, Coverage) else mark


def _coloured(mark: Mark, order: dict[str, int]) -> Mark:
    if not isinstance(mark, Curve) or mark.name == REFERENCE:
        return mark
    index = order[mark.name]
    if isinstance(mark, Line):
        return replace(mark, colour=series_colour(index), dash=series_dash(index))
    return replace(mark, colour=series_colour(index))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table_to_json(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "columns": [{"name": name, "unit": unit} for name, unit in table.columns],
        "rows": [[_plain(value) for value in row] for row in table.rows],
    }


def _fields(content: Any) -> dict[str, Any]:
    """Return what a dataclass has besides defaults."""
    values = {each.name: getattr(content, each.name) for each in fields(content)}
    defaults = {each.name: each.default for each in fields(content)}
    return {
        name: _to_json(value)
        for name, value in values.items()
        if isinstance(value, np.ndarray) or value != defaults[name]
    }


def _to_json(value: Any) -> Any:
    if isinstance(value, Mark):
        return {"kind": type(value).__name__, **_fields(value)}
    if isinstance(value, Axis):
        return _fields(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return [_to_json(each) for each in value] if isinstance(value, list | tuple) else _plain(value)

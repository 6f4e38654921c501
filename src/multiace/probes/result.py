"""`ProbeResult`: what a probe found, as numbers, tables and curves that anything can show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64

Value = float | int | str | bool | None


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
class Series:
    """One curve of a panel.

    Args:
        name: its label; the same name is the same thing in every panel.
        x: abscissa.
        y: ordinate; nan leaves a gap.
        spread: half the width of a band around the curve, or None.
        role: what is compared (`subject`), what with (`reference`), or a part of it (`part`).
        style: a line, or points.
    """

    name: str
    x: Float64[np.ndarray, " points"]
    y: Float64[np.ndarray, " points"]
    spread: Float64[np.ndarray, " points"] | None = None
    role: Literal["subject", "reference", "part"] = "subject"
    style: Literal["line", "points"] = "line"


@dataclass(frozen=True)
class Mark:
    """A line across a panel, such as a limit or a cutoff.

    Args:
        axis: the axis that it is a value of.
        value: where.
        label: what it is.
    """

    axis: Literal["x", "y"]
    value: float
    label: str


@dataclass(frozen=True, eq=False)
class Panel:
    """What one pair of axes shows; `multiace.probes.figures` draws it.

    Args:
        name: key in JSON; panels of one name can be laid over each other.
        title: what is seen.
        x_label: abscissa, with its unit.
        y_label: ordinate, with its unit.
        series: the curves.
        marks: limits.
        sample: values of the abscissa in the training data, drawn as a histogram.
        zero: what is subtracted from every ordinate when drawn, such as the sum of E0.
        log_y: whether the ordinate is logarithmic.
        follow: names of the series that the range of the ordinate must hold; others may leave it.
        y_range: range of the ordinate after the zero, or None for all that there is.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    sample: Float64[np.ndarray, " samples"] | None = None
    zero: float = 0.0
    log_y: bool = False
    follow: tuple[str, ...] = ()
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """What one probe found for one subject.

    Args:
        probe: name of the probe, as on the command line.
        subject: name of the model, ensemble or calculator.
        numbers: results by name.
        tables: details in rows.
        panels: details as curves.
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
    panels: tuple[Panel, ...] = ()
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

    def panel(self, name: str) -> Panel:
        """Return a panel by its name."""
        return next(panel for panel in self.panels if panel.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON; what is not finite is null."""
        return {
            "probe": self.probe,
            "subject": self.subject,
            "settings": self.settings,
            "numbers": {
                n.name: {"value": _plain(n.value), "unit": n.unit, "meaning": n.meaning}
                for n in self.numbers
            },
            "tables": {table.name: _table_to_json(table) for table in self.tables},
            "panels": {panel.name: _panel_to_json(panel) for panel in self.panels},
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
        tuple(panel for part in parts.values() for panel in part.panels),
        {prefix: part.settings for prefix, part in parts.items()},
    )


def overlay(results: Sequence[ProbeResult]) -> list[Panel]:
    """Lay the panels of one probe of several subjects over each other, by name.

    Curves of the reference come once. The zero is that of the first subject, so that differences
    between subjects are seen.

    Args:
        results: of the same probe with the same settings.

    Example:
        >>> curve = Series("a", np.arange(2.0), np.zeros(2))
        >>> panel = Panel("energy", "", "r (Å)", "E (eV)", (curve,))
        >>> a, b = (ProbeResult("scan", name, (), panels=(panel,)) for name in "ab")
        >>> [series.name for series in overlay([a, b])[0].series]
        ['a', 'b']
    """
    if len(results) == 1:
        return list(results[0].panels)
    names = list(dict.fromkeys(panel.name for result in results for panel in result.panels))
    return [_overlaid(name, results) for name in names]


def _overlaid(name: str, results: Sequence[ProbeResult]) -> Panel:
    found = [(r, panel) for r in results for panel in r.panels if panel.name == name]
    first = found[0][1]
    series: dict[str, Series] = {}
    for result, panel in found:
        for curve in panel.series:
            label = _label(curve, result.subject)
            series.setdefault(label, replace(curve, name=label))
    marks = dict.fromkeys(mark for _, panel in found for mark in panel.marks)
    ranges = [panel.y_range for _, panel in found if panel.y_range is not None]
    y_range = None
    if ranges:
        y_range = (min(low for low, _ in ranges), max(high for _, high in ranges))
    return replace(first, series=tuple(series.values()), marks=tuple(marks), y_range=y_range)


def _label(curve: Series, subject: str) -> str:
    """Name a curve where there are several subjects."""
    if curve.role == "subject":
        return subject
    return curve.name if curve.role == "reference" else f"{subject}: {curve.name}"


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


def _panel_to_json(panel: Panel) -> dict[str, Any]:
    return {
        "title": panel.title,
        "x_label": panel.x_label,
        "y_label": panel.y_label,
        "zero": panel.zero,
        "log_y": panel.log_y,
        "sample": None if panel.sample is None else _list(panel.sample),
        "marks": [
            {"axis": m.axis, "value": _plain(m.value), "label": m.label} for m in panel.marks
        ],
        "series": [
            {
                "name": s.name,
                "role": s.role,
                "style": s.style,
                "x": _list(s.x),
                "y": _list(s.y),
                "spread": None if s.spread is None else _list(s.spread),
            }
            for s in panel.series
        ],
    }


def _list(values: np.ndarray) -> list[Any]:
    return [_plain(value) for value in values.tolist()]

"""What a figure shows, as plain data: `static` draws it in files and `multiace.report` in pages.

| mark | what is drawn |
|---|---|
| `Line` | values against a coordinate |
| `Points` | the same without a line, with errors where there are any |
| `Ribbon` | the range between two curves, such as a band of uncertainty |
| `Density` | counts of a histogram in two dimensions, on a logarithmic scale |
| `Coverage` | the histogram of what was trained on, along the bottom, and its range shaded |
| `Span` | a shaded range of the horizontal axis |
| `Level` | a horizontal line with its name |
| `Position` | a vertical line with its name |
| `Diagonal` | where prediction and reference are equal |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from multiace.figures.palette import DASHES, check_colour

Values = Float64[np.ndarray, " values"]

COVERAGE_HEIGHT = 0.14
"""Height of the histogram of covered values as a part of the panel."""


@dataclass(frozen=True)
class Axis:
    """One axis of a panel.

    Args:
        label: the quantity with its unit in parentheses.
        log: logarithmic instead of linear; values that are not positive are gaps.
        limits: ends of the axis; default: around the data, see `multiace.figures.limits`.
        ticks: names at the positions 0, 1, 2, ... of an axis of categories.
        follows: name of the marks that it has to hold, with lines across the panel; of the others,
            those that run away leave it. Default: it holds all of them.

    Raises:
        ValueError: a logarithmic axis that reaches 0 or below.
    """

    label: str = ""
    log: bool = False
    limits: tuple[float, float] | None = None
    ticks: tuple[str, ...] = ()
    follows: str = ""

    def __post_init__(self) -> None:
        if self.log and self.limits is not None and min(self.limits) <= 0.0:
            raise ValueError(
                f"The logarithmic axis {self.label!r} needs positive limits, got {self.limits}."
            )

    @property
    def ends(self) -> tuple[float, float] | None:
        """Where the axis ends; an axis of categories has half a step around them."""
        if self.limits is None and self.ticks:
            return (-0.5, len(self.ticks) - 0.5)
        return self.limits


@dataclass(frozen=True, eq=False)
class Line:
    """Values against a coordinate, joined.

    Args:
        x: coordinate.
        y: values; nan leaves a gap.
        name: what the legend calls it; empty: not in the legend.
        colour: a name of `palette`.
        dash: one of `palette.DASHES`.
        width: in points.
        markers: whether each value has a dot.
    """

    x: Values
    y: Values
    name: str = ""
    colour: str = "ink"
    dash: str = "solid"
    width: float = 1.8
    markers: bool = False

    def __post_init__(self) -> None:
        _check(self.colour, self.x, self.y)
        if self.dash not in DASHES:
            raise ValueError(f"{self.dash!r} is not a dash. Use one of {', '.join(DASHES)}.")


@dataclass(frozen=True, eq=False)
class Points:
    """Dots, with the half-lengths of error bars where there are any.

    Args:
        x: horizontal places.
        y: vertical places.
        name: what the legend calls them; empty: not in the legend.
        colour: a name of `palette`.
        size: diameter in points.
        x_error: half-length of each horizontal bar.
        y_error: half-length of each vertical bar.
        notes: what each dot says under the mouse.
        labels: what stands beside each dot.
    """

    x: Values
    y: Values
    name: str = ""
    colour: str = "ink"
    size: float = 5.0
    x_error: Values | None = None
    y_error: Values | None = None
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        others = [values for values in (self.x_error, self.y_error) if values is not None]
        _check(self.colour, self.x, self.y, *others)
        for kind, words in (("notes", self.notes), ("labels", self.labels)):
            if words and len(words) != len(self.x):
                raise ValueError(f"{len(words)} {kind} cannot belong to {len(self.x)} points.")


@dataclass(frozen=True, eq=False)
class Ribbon:
    """The range between two curves, such as that of several seeds.

    Args:
        x: coordinate.
        low: lower curve.
        high: upper curve.
        colour: a name of `palette`.
        name: the legend entry that it is shown and hidden with.
    """

    x: Values
    low: Values
    high: Values
    colour: str = "muted"
    name: str = ""

    def __post_init__(self) -> None:
        _check(self.colour, self.x, self.low, self.high)


@dataclass(frozen=True, eq=False)
class Density:
    """A histogram in two dimensions; empty cells are left out, the scale is logarithmic.

    Args:
        x_edges: edges of the cells along x.
        y_edges: edges of the cells along y.
        counts: numbers of events, 0 or more.
        colour: a name of `palette`: few events are a tint of it.
    """

    x_edges: Float64[np.ndarray, " column_edges"]
    y_edges: Float64[np.ndarray, " row_edges"]
    counts: Float64[np.ndarray, "rows columns"]
    colour: str = "series-0"

    def __post_init__(self) -> None:
        check_colour(self.colour)

    @classmethod
    def of(cls, x: Values, y: Values, *, cells: int = 90, colour: str = "series-0") -> Density:
        """Count events in square cells over the range that x and y have together.

        Example:
            >>> values = np.array([0.0, 0.5, 1.0])
            >>> Density.of(values, values, cells=2).counts.tolist()
            [[1.0, 0.0], [0.0, 2.0]]
        """
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        edges = np.linspace(low, high if high > low else low + 1.0, cells + 1)
        counts, _, _ = np.histogram2d(y, x, bins=(edges, edges))
        return cls(edges, edges, counts, colour)


@dataclass(frozen=True, eq=False)
class Coverage:
    """What data cover of a coordinate.

    Args:
        values: of the coordinate; those beyond the axis are left out.
        label: what covers it.
        cells: of the histogram along the bottom of the whole axis.
    """

    values: Values
    label: str = "training data"
    cells: int = 40

    def within(self, limits: tuple[float, float]) -> Values:
        """Return the values on an axis."""
        return self.values[(self.values >= limits[0]) & (self.values <= limits[1])]

    def histogram(
        self, limits: tuple[float, float]
    ) -> tuple[Float64[np.ndarray, " cells"], Float64[np.ndarray, " edges"]]:
        """Return heights, at most 1, and edges of the cells of an axis."""
        counts, edges = np.histogram(self.values, bins=self.cells, range=limits)
        return counts / max(counts.max(), 1), edges

    def label_place(
        self, limits: tuple[float, float]
    ) -> tuple[float, Literal["left", "center", "right"]]:
        """Return where the label stands and which of its ends, so that the axis has room for it.

        Example:
            >>> Coverage(np.array([1.0, 2.0])).label_place((0.9, 5.0))
            (1.0, 'left')
        """
        values = self.within(limits)
        low, high = float(values.min()), float(values.max())
        middle, third = (low + high) / 2, (limits[1] - limits[0]) / 3
        if middle < limits[0] + third:
            return low, "left"
        if middle > limits[1] - third:
            return high, "right"
        return middle, "center"


@dataclass(frozen=True)
class Span:
    """A shaded range of the horizontal axis with its name."""

    low: float
    high: float
    label: str = ""


@dataclass(frozen=True)
class Level:
    """A horizontal line with its name."""

    value: float
    label: str = ""


@dataclass(frozen=True)
class Position:
    """A vertical line with its name."""

    value: float
    label: str = ""


@dataclass(frozen=True)
class Diagonal:
    """The line y = x."""


Mark = Line | Points | Ribbon | Density | Coverage | Span | Level | Position | Diagonal


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Args:
        title: what this panel shows and the others do not.
        x: horizontal axis.
        y: vertical axis.
        marks: drawn one over the other, in this order.
        square: equal scales on both axes, as parity plots need.
        zero: what is drawn as 0 of the vertical axis, such as a sum of E0: marks and limits are
            given without it.
    """

    title: str
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    square: bool = False
    zero: float = 0.0


@dataclass(frozen=True)
class Figure:
    """A figure of one or more panels with a common legend.

    Args:
        name: of its files: small letters, digits and underscores.
        title: what is to be seen.
        panels: side by side where there is room.
        caption: how to read it; text between backticks is code.
        columns: panels in a row at most; 1 makes them wide.
        height: of the panels, over that of most figures.

    Raises:
        ValueError: a name that is no file name, or no panel.

    Example:
        >>> epochs = np.arange(1.0, 4.0)
        >>> line = Line(epochs, 100.0 / epochs, name="MACE", colour="series-0")
        >>> panel = Panel("", Axis("epoch"), Axis("force RMSE (meV/Å)", log=True), (line,))
        >>> [entry.name for entry in Figure("learning", "Learning", (panel,)).legend]
        ['MACE']
    """

    name: str
    title: str
    panels: tuple[Panel, ...]
    caption: str = ""
    columns: int = 3
    height: float = 1.0

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.panels:
            raise ValueError(f"The figure {self.name!r} needs at least one panel.")

    @property
    def legend(self) -> list[Line | Points]:
        """The first mark of each name."""
        marks: dict[str, Line | Points] = {}
        for panel in self.panels:
            for mark in panel.marks:
                if isinstance(mark, Line | Points) and mark.name:
                    marks.setdefault(mark.name, mark)
        return list(marks.values())


def check_name(name: str) -> None:
    """Refuse names that cannot be those of files and anchors.

    Raises:
        ValueError: saying which characters are possible.
    """
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise ValueError(f"{name!r} cannot name a file. Use small letters, digits and underscores.")


def _check(colour: str, x: Values, *others: Values) -> None:
    check_colour(colour)
    lengths: Sequence[int] = [len(values) for values in (x, *others)]
    if len(set(lengths)) > 1:
        raise ValueError(f"Coordinates and values need one length, got {lengths}.")

"""Where axes end and what their ticks say: the same in files and in pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from multiace.figures.figure import (
    Axis,
    Coverage,
    Density,
    Level,
    Line,
    Mark,
    Panel,
    Points,
    Position,
    Ribbon,
    Span,
)

Limits = tuple[float, float]
Values = Float64[np.ndarray, " _"]

ROOM = 0.05
"""Room at each end of an axis, as a part of what it holds."""

ROOM_BESIDE = 0.03
"""The same at the left and the right."""

ROOM_FOR_LABELS, ROOM_FOR_HISTOGRAM = 0.15, 0.2
"""Room at the top where labels stand there, and at the bottom where a histogram does."""

LEAST_FACTOR = 4.0
"""Between the ends of a logarithmic axis; of a shorter one, small differences would look large."""

RUN_AWAY = 0.5
"""Marks may leave an axis by this part of the range that it follows."""

FEW_DECADES, MOST_POWERS = 3.5, 8
"""Over so many decades ticks are at 1, 2 and 5, over more at so many powers of ten at most."""


def drawn(panel: Panel) -> Panel:
    """Return a panel as it is drawn: marks from its zero, limits on both of its axes.

    Values that have no place on a logarithmic axis become nan, and lines across it are left out.

    Example:
        >>> line = Line(np.array([1.0, 2.0]), np.array([5.0, 6.0]))
        >>> found = drawn(Panel("", Axis("r (Å)"), Axis("E (eV)"), (line,), zero=5.0))
        >>> found.marks[0].y.tolist(), found.y.limits
        ([0.0, 1.0], (-0.05, 1.05))
    """
    marks = tuple(_as_drawn(mark, panel) for mark in panel.marks if _has_place(mark, panel))
    x = _axis_limits(panel.x, [_along_x(m) for m in marks], [], (ROOM_BESIDE, ROOM_BESIDE))
    given = panel.y.ends
    y = replace(panel.y, limits=given and (given[0] - panel.zero, given[1] - panel.zero))
    across = [_along_y(mark) for mark in marks]
    held = [v for mark, v in zip(marks, across, strict=True) if _is_held(mark, panel.y.follows)]
    y = _axis_limits(y, across, held, _room(marks))
    if panel.square:
        x = y = min(x[0], y[0]), max(x[1], y[1])
    return replace(
        panel, x=replace(panel.x, limits=x), y=replace(panel.y, limits=y), marks=marks, zero=0.0
    )


def log_ticks(limits: Limits) -> dict[float, str]:
    """Return the ticks of a logarithmic axis: places and what stands there.

    Example:
        >>> log_ticks((30.0, 700.0))
        {50.0: '50', 100.0: '100', 200.0: '200', 500.0: '500'}
        >>> list(log_ticks((1e-16, 10.0)).values())
        ['10⁻¹⁵', '10⁻¹²', '10⁻⁹', '10⁻⁶', '10⁻³', '10⁰']
    """
    first, last = (math.log10(end) for end in limits)
    if last - first <= FEW_DECADES:
        powers = range(math.floor(first), math.ceil(last))
        values = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
        values.append(10.0 ** math.ceil(last))
        return {v: f"{v:,.12g}" for v in values if limits[0] <= v <= limits[1]}
    step = math.ceil((last - first) / MOST_POWERS)
    powers = range(math.ceil(first / step) * step, math.floor(last) + 1, step)
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return {10.0**power: f"10{str(power).translate(raised)}" for power in powers}


def _has_place(mark: Mark, panel: Panel) -> bool:
    match mark:
        case Level():
            return not panel.y.log or bool(mark.value > panel.zero)
        case Position():
            return not panel.x.log or bool(mark.value > 0.0)
        case _:
            return True


def _as_drawn(mark: Mark, panel: Panel) -> Mark:
    """Return a mark from the zero of its panel; those of the horizontal axis stay as they are."""

    def down(values: Values) -> Values:
        return _with_gaps(values - panel.zero, panel.y)

    match mark:
        case Line() | Points():
            return replace(mark, x=_with_gaps(mark.x, panel.x), y=down(mark.y))
        case Ribbon():
            x = _with_gaps(mark.x, panel.x)
            return replace(mark, x=x, low=down(mark.low), high=down(mark.high))
        case Density():
            return replace(mark, y_edges=mark.y_edges - panel.zero)
        case Level():
            return replace(mark, value=mark.value - panel.zero)
        case _:
            return mark


def _with_gaps(values: Values, axis: Axis) -> Values:
    return np.where(values > 0.0, values, np.nan) if axis.log else values


def _along_x(mark: Mark) -> Values:
    """Return what of the horizontal axis a mark takes."""
    match mark:
        case Line() | Ribbon():
            return mark.x
        case Points():
            return _with_errors(mark.x, mark.x_error)
        case Density():
            return mark.x_edges
        case Span():
            return np.array([mark.low, mark.high])
        case Position():
            return np.array([mark.value])
        case _:
            return np.zeros(0)


def _along_y(mark: Mark) -> Values:
    """Return what of the vertical axis a mark takes."""
    match mark:
        case Line():
            return mark.y
        case Points():
            return _with_errors(mark.y, mark.y_error)
        case Ribbon():
            return np.concatenate([mark.low, mark.high])
        case Density():
            return mark.y_edges
        case Level():
            return np.array([mark.value])
        case _:
            return np.zeros(0)


def _with_errors(values: Values, errors: Values | None) -> Values:
    return values if errors is None else np.concatenate([values - errors, values + errors])


def _is_held(mark: Mark, follows: str) -> bool:
    if isinstance(mark, Line | Points | Ribbon):
        return mark.name == follows
    return isinstance(mark, Level)


def _room(marks: Sequence[Mark]) -> tuple[float, float]:
    """Return the room below and above what the vertical axis holds."""
    labelled = any(isinstance(m, Coverage | Span | Level) and m.label for m in marks)
    covered = any(isinstance(m, Coverage) for m in marks)
    return ROOM_FOR_HISTOGRAM if covered else ROOM, ROOM_FOR_LABELS if labelled else ROOM


def _axis_limits(
    axis: Axis, values: Sequence[Values], held: Sequence[Values], room: tuple[float, float]
) -> Limits:
    """Return the limits of an axis: those given, or around the values with some room."""
    if axis.ends is not None:
        return axis.ends
    seen = _known(values, axis)
    if not seen.size:
        return (1.0, 10.0) if axis.log else (0.0, 1.0)
    low, high = float(seen.min()), float(seen.max())
    followed = _known(held, axis)
    if axis.follows and followed.size:
        first, last = float(followed.min()), float(followed.max())
        reach = RUN_AWAY * (last - first)
        low, high = max(low, first - reach), min(high, last + reach)
    span = high - low
    low, high = low - room[0] * span, high + room[1] * span
    least = math.log(LEAST_FACTOR) if axis.log else 0.0
    if high - low <= least:
        middle = (low + high) / 2
        half = least / 2 or abs(middle) / 2 or 0.5
        low, high = middle - half, middle + half
    return (math.exp(low), math.exp(high)) if axis.log else (low, high)


def _known(values: Sequence[Values], axis: Axis) -> Values:
    """Return all finite values, of a logarithmic axis the logarithms of the positive ones."""
    together = np.concatenate([np.zeros(0), *values])
    together = together[np.isfinite(together)]
    return np.log(together[together > 0.0]) if axis.log else together

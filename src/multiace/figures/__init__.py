"""Figures as plain data, for probes, reports and studies; `static` draws them in files."""

from __future__ import annotations

from multiace.figures.figure import (
    Axis,
    Coverage,
    Density,
    Diagonal,
    Figure,
    Level,
    Line,
    Mark,
    Panel,
    Points,
    Position,
    Ribbon,
    Span,
)
from multiace.figures.palette import series_colour, series_dash

__all__ = [
    "Axis",
    "Coverage",
    "Density",
    "Diagonal",
    "Figure",
    "Level",
    "Line",
    "Mark",
    "Panel",
    "Points",
    "Position",
    "Ribbon",
    "Span",
    "series_colour",
    "series_dash",
]

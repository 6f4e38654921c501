"""Figures as plain data, their colours, and files of them: for probes, reports and studies."""

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
    Ribbon,
    Span,
)
from multiace.figures.palette import series_colour, series_dash
from multiace.figures.static import save_figure

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
    "Ribbon",
    "Span",
    "save_figure",
    "series_colour",
    "series_dash",
]

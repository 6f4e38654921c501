"""Reports that people show: self-contained pages with figures, tables and structures."""

from __future__ import annotations

from multiace.figures.figure import (
    Axis,
    Coverage,
    Density,
    Diagonal,
    Figure,
    Level,
    Line,
    Panel,
    Points,
    Position,
    Ribbon,
    Span,
)
from multiace.figures.palette import series_colour, series_dash
from multiace.report.page import Code, Facts, Notice, Page, Section, Text, write_page
from multiace.report.structure_view import Frame, StructureView
from multiace.report.table import Column, Table, Tag, Uncertain

__all__ = [
    "Axis",
    "Code",
    "Column",
    "Coverage",
    "Density",
    "Diagonal",
    "Facts",
    "Figure",
    "Frame",
    "Level",
    "Line",
    "Notice",
    "Page",
    "Panel",
    "Points",
    "Position",
    "Ribbon",
    "Section",
    "Span",
    "StructureView",
    "Table",
    "Tag",
    "Text",
    "Uncertain",
    "series_colour",
    "series_dash",
    "write_page",
]

"""A figure as a file, drawn by matplotlib: for papers, slides and e-mails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgba
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from multiace.figures.figure import (
    COVERAGE_HEIGHT,
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
from multiace.figures.labels import label_sides
from multiace.figures.limits import drawn, log_ticks
from multiace.figures.palette import THEMES, Theme

DASHES: dict[str, Any] = {"solid": "-", "dash": (0, (5, 2)), "dot": ":", "dashdot": "-."}
ACROSS = (0, (4, 3))

PANEL_WIDTH, PANEL_HEIGHT = 3.9, 3.1  # inches
WIDE = 1.8
"""Width of panels that have a row of their own, over that of others."""

DOTS_PER_INCH: dict[Theme, int] = {"light": 200, "dark": 200, "print": 300}
LETTER_WIDTH, HANDLE_WIDTH, LEGEND_LINE = 0.078, 0.5, 0.25  # inches, of the legend
SMALL = 8.0
"""Size of text within the axes, points."""


Colours = dict[str, str]


def save_figure(figure: Figure, *paths: Path, theme: Theme = "light") -> None:
    """Write a figure to files: PNG, SVG or PDF, by their suffixes.

    Args:
        figure: what to draw.
        paths: the files.
        theme: colours for a light or dark screen, or for paper.
    """
    with mpl.rc_context(style(theme)):
        save_canvas(draw_figure(figure, theme), *paths, theme=theme)


def save_canvas(canvas: Canvas, *paths: Path, theme: Theme = "light") -> None:
    """Write what was drawn to files, without the date."""
    undated: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    for path in paths:
        canvas.savefig(path, dpi=DOTS_PER_INCH[theme], metadata=undated.get(path.suffix))


def style(theme: Theme) -> dict[Any, Any]:
    """Return the settings of matplotlib for a theme."""
    colours = THEMES[theme]
    return {
        "font.size": 9.0,
        "text.color": colours["ink"],
        "axes.titlesize": 10.0,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.edgecolor": colours["muted"],
        "axes.facecolor": colours["paper"],
        "axes.labelcolor": colours["ink"],
        "figure.facecolor": colours["paper"],
        "xtick.color": colours["muted"],
        "ytick.color": colours["muted"],
        "svg.hashsalt": "multiace",  # the same figure is the same file
    }


def draw_figure(figure: Figure, theme: Theme = "light") -> Canvas:
    """Return a figure as one of matplotlib, with the legend of all panels above them."""
    columns = min(figure.columns, len(figure.panels))
    rows = math.ceil(len(figure.panels) / columns)
    width = PANEL_WIDTH * (WIDE if figure.columns == 1 else columns)
    lines = math.ceil(len(figure.legend) / _legend_columns(figure.legend, width))
    height = PANEL_HEIGHT * figure.height * rows + LEGEND_LINE * lines
    with mpl.rc_context(style(theme)):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        places = canvas.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(places, figure.panels, strict=False):
            draw_panel(axes, panel, THEMES[theme])
        for axes in places[len(figure.panels) :]:
            axes.set_visible(False)
        _draw_legend(canvas, figure, THEMES[theme])
    return canvas


def draw_panel(axes: Axes, panel: Panel, colours: Colours) -> None:
    """Draw a panel on axes of matplotlib."""
    panel = drawn(panel)
    if panel.title:
        axes.set_title(panel.title)
    _set_axis(axes, panel.x, "x", colours)
    _set_axis(axes, panel.y, "y", colours)
    for mark in panel.marks:
        _DRAWERS[type(mark)](axes, mark, colours)
    _draw_labels(axes, panel, colours)
    if panel.square:
        axes.set_aspect("equal", adjustable="box")


def _set_axis(axes: Axes, axis: Axis, name: Literal["x", "y"], colours: Colours) -> None:
    along = axes.xaxis if name == "x" else axes.yaxis
    assert axis.limits is not None
    along.set_label_text(axis.label)
    axes.set_axisbelow(True)
    axes.grid(axis=name, color=colours["grid"], linewidth=0.7)
    if axis.log:
        (axes.set_xscale if name == "x" else axes.set_yscale)("log")
        ticks = log_ticks(axis.limits)
        along.set_major_locator(FixedLocator(list(ticks)))
        along.set_major_formatter(FuncFormatter(lambda value, _: ticks.get(value, "")))
        along.set_minor_formatter(NullFormatter())
    elif axis.ticks:
        along.set_ticks(range(len(axis.ticks)), list(axis.ticks))
        along.set_tick_params(length=0, labelcolor=colours["ink"])
    else:
        along.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
        along.set_major_formatter(FuncFormatter(_number))
    (axes.set_xlim if name == "x" else axes.set_ylim)(*axis.limits)


def _number(value: float, _: object) -> str:
    return f"{value:,.10g}".replace("-", "−")


def _draw_legend(canvas: Canvas, figure: Figure, colours: Colours) -> None:
    if not figure.legend:
        return
    handles = [
        Line2D(
            [],
            [],
            color=colours[mark.colour],
            linestyle=DASHES[mark.dash] if isinstance(mark, Line) else "",
            marker="" if isinstance(mark, Line) and not mark.markers else "o",
            markersize=4.5,
            linewidth=1.8,
            label=mark.name,
        )
        for mark in figure.legend
    ]
    canvas.legend(
        handles=handles,
        loc="outside upper left",
        ncols=_legend_columns(figure.legend, canvas.get_figwidth()),
        frameon=False,
        handlelength=1.6,
    )


def _legend_columns(entries: Sequence[Line | Points], width: float) -> int:
    """Return how many entries fit beside each other, judged by the longest name."""
    longest = max((len(entry.name) for entry in entries), default=0)
    fitting = int(width / (longest * LETTER_WIDTH + HANDLE_WIDTH))
    return max(1, min(fitting, len(entries)))


def _draw_line(axes: Axes, mark: Line, colours: Colours) -> None:
    axes.plot(
        mark.x,
        mark.y,
        color=colours[mark.colour],
        linestyle=DASHES[mark.dash],
        linewidth=mark.width,
        marker="o" if mark.markers else "",
        markersize=4,
        zorder=3,
    )


def _draw_points(axes: Axes, mark: Points, colours: Colours) -> None:
    axes.errorbar(
        mark.x,
        mark.y,
        xerr=mark.x_error,
        yerr=mark.y_error,
        linestyle="",
        marker="o",
        markersize=mark.size,
        markeredgecolor=colours["paper"],
        markeredgewidth=0.4,
        color=colours[mark.colour],
        elinewidth=1.2,
        zorder=4,
    )


def _draw_labels(axes: Axes, panel: Panel, colours: Colours) -> None:
    marks = [mark for mark in panel.marks if isinstance(mark, Points)]
    for mark, sides in zip(marks, label_sides(panel), strict=True):
        for x, y, label, (up, right) in zip(mark.x, mark.y, mark.labels, sides, strict=False):
            axes.annotate(
                label,
                (x, y),
                xytext=(4 * right, 3 * up),
                textcoords="offset points",
                fontsize=SMALL,
                color=colours["ink"],
                ha="left" if right > 0 else "right",
                va="bottom" if up > 0 else "top",
                zorder=5,
            )


def _draw_ribbon(axes: Axes, mark: Ribbon, colours: Colours) -> None:
    colour = to_rgba(colours[mark.colour], 0.18)
    axes.fill_between(mark.x, mark.low, mark.high, color=colour, linewidth=0, zorder=2)


def _draw_density(axes: Axes, mark: Density, colours: Colours) -> None:
    colour = colours[mark.colour]
    scale = [(0.0, to_rgba(colour, 0.22)), (0.55, to_rgba(colour)), (1.0, to_rgba(colours["ink"]))]
    axes.pcolormesh(
        mark.x_edges,
        mark.y_edges,
        np.ma.masked_equal(mark.counts, 0.0),
        cmap=LinearSegmentedColormap.from_list("density", scale),
        norm=LogNorm(1.0, max(float(mark.counts.max()), 3.0)),
        rasterized=True,
        zorder=2,
    )


def _draw_coverage(axes: Axes, mark: Coverage, colours: Colours) -> None:
    limits = axes.get_xlim()
    covered = mark.within(limits)
    if not covered.size:
        return
    heights, edges = mark.histogram(limits)
    shade, along = colours["shade"], axes.get_xaxis_transform()
    axes.axvspan(covered.min(), covered.max(), color=shade, alpha=0.28, linewidth=0, zorder=0)
    heights = COVERAGE_HEIGHT * heights
    axes.stairs(heights, edges, transform=along, color=shade, fill=True, zorder=1)
    place, side = mark.label_place(limits)
    _write(axes, mark.label, (place, 0.99), colours, transform=along, ha=side, va="top")


def _draw_span(axes: Axes, mark: Span, colours: Colours) -> None:
    axes.axvspan(mark.low, mark.high, color=colours["shade"], alpha=0.4, linewidth=0, zorder=0)
    middle = (mark.low + mark.high) / 2
    along = axes.get_xaxis_transform()
    _write(axes, mark.label, (middle, 0.99), colours, transform=along, ha="center", va="top")


def _draw_level(axes: Axes, mark: Level, colours: Colours) -> None:
    axes.axhline(mark.value, color=colours["muted"], linewidth=1.0, linestyle=ACROSS, zorder=2)
    along = axes.get_yaxis_transform()
    place = (0.98, mark.value)
    _write(axes, mark.label, place, colours, transform=along, ha="right", va="bottom")


def _draw_position(axes: Axes, mark: Position, colours: Colours) -> None:
    axes.axvline(mark.value, color=colours["muted"], linewidth=1.0, linestyle=ACROSS, zorder=2)
    axes.annotate(
        mark.label,
        (mark.value, 0.98),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-2, 0),
        textcoords="offset points",
        rotation=90,
        ha="right",
        va="top",
        fontsize=SMALL,
        color=colours["muted"],
    )


def _draw_diagonal(axes: Axes, mark: Diagonal, colours: Colours) -> None:
    axes.axline(
        (0.0, 0.0), slope=1.0, color=colours["muted"], linewidth=0.8, linestyle=":", zorder=1
    )


def _write(axes: Axes, text: str, place: tuple[Any, Any], colours: Colours, **how: Any) -> None:
    axes.text(*place, text, fontsize=SMALL, color=colours["muted"], **how)


_DRAWERS: dict[type[Mark], Any] = {
    Line: _draw_line,
    Points: _draw_points,
    Ribbon: _draw_ribbon,
    Density: _draw_density,
    Coverage: _draw_coverage,
    Span: _draw_span,
    Level: _draw_level,
    Position: _draw_position,
    Diagonal: _draw_diagonal,
}

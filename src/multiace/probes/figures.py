"""Figures of probes: the panels of a result as one picture, for screens and for paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multiace.probes.result import Mark, Panel, Series

Theme = Literal["light", "dark", "print"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00", "#56B4E9", "#882255", "#44AA99")
"""Colours that remain distinct for colour-blind readers (Okabe and Ito; Tol)."""

BRIGHT = ("#56B4E9", "#F28E5C", "#2EC4A0", "#DD8FD0", "#F2C14E", "#8FB8FF", "#FF7A93", "#7FD6C8")
"""The same for dark pages."""

DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
"""What separates more curves than there are colours."""

PANEL_SIZE = (4.4, 3.5)
"""Inches."""

MOST_NAMED = 12
"""Curves that are named in a legend; of more, only the first are."""


@dataclass(frozen=True)
class Look:
    """Colours of one theme.

    Args:
        text: words and axes.
        page: background.
        faint: limits and captions.
        shade: the histogram of the training data.
        colours: of the curves.
        dpi: of pixels in a PNG.
    """

    text: str
    page: str
    faint: str
    shade: str
    colours: tuple[str, ...] = COLOURS
    dpi: int = 160


THEMES: dict[Theme, Look] = {
    "light": Look(text="#222222", page="white", faint="#666666", shade="#C9CED6"),
    "dark": Look("#E8EAED", page="#16191D", faint="#9AA0A6", shade="#3C434C", colours=BRIGHT),
    "print": Look(text="black", page="white", faint="#444444", shade="#D9D9D9", dpi=300),
}


def draw(path: str | Path, panels: Sequence[Panel], theme: Theme = "light") -> None:
    """Write panels side by side to a file: PNG, SVG or PDF, by its suffix.

    Args:
        path: the file.
        panels: at least one.
        theme: colours for a light or dark screen, or for paper.
    """
    figure(panels, theme).savefig(path, dpi=THEMES[theme].dpi)


def figure(panels: Sequence[Panel], theme: Theme = "light") -> Figure:
    """Return panels side by side, at most three in a row, as a matplotlib figure.

    Raises:
        ValueError: no panel.
    """
    if not panels:
        raise ValueError("A figure needs at least one panel.")
    look = THEMES[theme]
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    with mpl.rc_context(_style(look)):
        found = Figure(
            figsize=(PANEL_SIZE[0] * columns, PANEL_SIZE[1] * rows), layout="constrained"
        )
        axes = np.atleast_1d(found.subplots(rows, columns)).ravel()
        for each, panel in zip(axes, panels, strict=False):
            draw_panel(each, panel, look)
        for unused in axes[len(panels) :]:
            unused.remove()
    return found


def draw_panel(axes: Axes, panel: Panel, look: Look) -> None:
    """Draw one panel onto axes."""
    for index, curve in enumerate(s for s in panel.series if s.role != "reference"):
        _draw_curve(axes, curve, panel.zero, look.colours[index % len(look.colours)], index)
    for curve in panel.series:
        if curve.role == "reference":
            _draw_reference(axes, curve, panel.zero, look)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.margins(x=0.02)
    if panel.log_y:
        axes.set_yscale("log")
        axes.grid(axis="y", color=look.shade, linewidth=0.5, alpha=0.6)
        axes.set_axisbelow(True)
    elif panel.y_range is not None:
        axes.set_ylim(*panel.y_range)
    elif panel.follow:
        _follow(axes, panel)
    for mark in panel.marks:
        _draw_mark(axes, mark, mark.value - (panel.zero if mark.axis == "y" else 0.0), look)
    if panel.sample is not None and panel.sample.size:
        _draw_sample(axes, panel.sample, look)
    if len(panel.series) > 1 or any(s.spread is not None for s in panel.series):
        _draw_legend(axes)


def _draw_curve(axes: Axes, curve: Series, zero: float, colour: str, index: int) -> None:
    y = curve.y - zero
    dash = DASHES[index // len(COLOURS) % len(DASHES)]
    if curve.style == "points":
        axes.plot(curve.x, y, "o", markersize=3.5, color=colour, label=curve.name, zorder=3)
    else:
        axes.plot(curve.x, y, linestyle=dash, color=colour, label=curve.name, zorder=3)
    if curve.spread is not None:
        axes.fill_between(
            curve.x, y - curve.spread, y + curve.spread, color=colour, alpha=0.25, linewidth=0
        )


def _draw_reference(axes: Axes, curve: Series, zero: float, look: Look) -> None:
    y = curve.y - zero
    if curve.style == "points":
        axes.plot(curve.x, y, "o", markersize=3, color=look.text, label=curve.name, zorder=4)
    else:
        dash: Any = (0, (4, 2))
        axes.plot(
            curve.x, y, linestyle=dash, linewidth=1.2, color=look.text, label=curve.name, zorder=4
        )


def _follow(axes: Axes, panel: Panel) -> None:
    """Hold what must be seen, and let curves that run away leave by half of its range."""
    held = [s.y - panel.zero for s in panel.series if s.name in panel.follow]
    held += [np.array([m.value - panel.zero]) for m in panel.marks if m.axis == "y"]
    known = np.concatenate(held)
    known = known[np.isfinite(known)]
    if not known.size:
        return
    low, high = float(known.min()), float(known.max())
    reach = 0.5 * max(high - low, 1e-9)
    others = np.concatenate([s.y - panel.zero for s in panel.series])
    others = others[np.isfinite(others)]
    low = max(min(low, float(others.min())), low - reach)
    high = min(max(high, float(others.max())), high + reach)
    below = 0.2 if panel.sample is not None else 0.05
    axes.set_ylim(low - below * (high - low), high + 0.05 * (high - low))


def _draw_mark(axes: Axes, mark: Mark, value: float, look: Look) -> None:
    """Draw a dashed line across, and its name at its end."""
    sideways = mark.axis == "x"
    line = axes.axvline if sideways else axes.axhline
    line(value, color=look.faint, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)
    axes.annotate(
        mark.label,
        (value, 0.98) if sideways else (0.98, value),
        xycoords=axes.get_xaxis_transform() if sideways else axes.get_yaxis_transform(),
        xytext=(-3, 0) if sideways else (0, 3),
        textcoords="offset points",
        rotation=90 if sideways else 0,
        ha="right",
        va="top" if sideways else "bottom",
        color=look.faint,
        fontsize=8,
    )


def _draw_sample(axes: Axes, sample: np.ndarray, look: Look) -> None:
    """Draw the distribution of the training data along the bottom of the panel."""
    left, right = axes.get_xlim()
    inside = sample[(sample >= left) & (sample <= right)]
    if not inside.size:
        return
    counts, edges = np.histogram(inside, bins=40, range=(left, right))
    axes.stairs(
        0.14 * counts / counts.max(),
        edges,
        transform=axes.get_xaxis_transform(),
        color=look.shade,
        fill=True,
        zorder=1,
        label="training data",
    )
    axes.set_xlim(left, right)


def _draw_legend(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[:MOST_NAMED], labels[:MOST_NAMED], frameon=False, fontsize=8, loc="best")


def _style(look: Look) -> dict[Any, Any]:
    return {
        "font.size": 9.0,
        "axes.titlesize": 10.0,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.edgecolor": look.faint,
        "axes.facecolor": look.page,
        "axes.labelcolor": look.text,
        "axes.titlecolor": look.text,
        "figure.facecolor": look.page,
        "savefig.facecolor": look.page,
        "text.color": look.text,
        "xtick.color": look.faint,
        "ytick.color": look.faint,
        "lines.linewidth": 1.6,
        "svg.fonttype": "none",
    }

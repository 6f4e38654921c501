"""Figures of the demo: learning curves, errors in and out of domain, scans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#882255", "#56B4E9")
"""Colours that remain distinct for colour-blind readers (Okabe and Ito; Tol), in model order."""

STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.edgecolor": "#444444",
    "axes.labelcolor": "#222222",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "lines.linewidth": 1.6,
    "savefig.dpi": 160,
}
GREY = "#666666"
TRAINING = "#C9CED6"
"""Shade of what the training data cover."""

LABEL_GAP = 0.055
"""Smallest distance between the names at the ends of curves, as a part of the axis."""


@dataclass(frozen=True)
class Curve:
    """Validation force error of one model during training.

    Args:
        epochs: number of each epoch.
        seconds: time since the start of training at the end of each epoch, s.
        forces: RMSE of validation forces, meV/Å.
    """

    epochs: Sequence[int]
    seconds: Sequence[float]
    forces: Sequence[float]


@dataclass(frozen=True)
class ScanFigure:
    """One scan as it is drawn.

    Args:
        title: what is scanned.
        label: the coordinate with its unit.
        coordinate: value of the coordinate in each structure, ascending.
        reference: reference energies, eV.
        models: energies of each model, eV, with the same zero as the reference.
        training: value of the coordinate in the training structures.
        limit: energy of the dissociated system, eV, where the scan leads to one.
        limit_label: what the limit is.
    """

    title: str
    label: str
    coordinate: Float64[np.ndarray, " points"]
    reference: Float64[np.ndarray, " points"]
    models: Mapping[str, Float64[np.ndarray, " points"]]
    training: Float64[np.ndarray, " structures"]
    limit: float | None = None
    limit_label: str = ""


def draw_learning_curves(path: Path, curves: Mapping[str, Curve]) -> None:
    """Draw the validation force error against epochs and against seconds."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.0, 3.8), layout="constrained")
        by_epoch, by_time = figure.subplots(1, 2, sharey=True)
        for curve, colour in zip(curves.values(), COLOURS, strict=False):
            by_epoch.plot(curve.epochs, curve.forces, color=colour)
            by_time.plot(curve.seconds, curve.forces, color=colour)
            by_time.plot(curve.seconds[-1:], curve.forces[-1:], "o", color=colour, markersize=4)
        for axes, title, label in (
            (by_epoch, "The same number of epochs", "epoch"),
            (by_time, "The same curves by the clock", "training time (s)"),
        ):
            axes.set_title(title)
            axes.set_xlabel(label)
            _log_axis(axes)
            axes.margins(x=0.02)
        _label_ends(by_epoch, {name: curve.forces[-1] for name, curve in curves.items()})
        by_epoch.xaxis.set_major_locator(MaxNLocator(integer=True))
        by_epoch.set_ylabel("validation force RMSE (meV/Å)")
        figure.savefig(path)


def draw_domain_errors(
    path: Path,
    temperatures: Sequence[int],
    energy: Mapping[str, Sequence[float]],
    forces: Mapping[str, Sequence[float]],
) -> None:
    """Draw test errors against the temperature of the test set.

    Args:
        path: the PNG file to write.
        temperatures: of the test sets in K, ascending; the first is that of the training data.
        energy: energy RMSE in meV of each model at each temperature.
        forces: force RMSE in meV/Å of each model at each temperature.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.0, 3.8), layout="constrained")
        panels = zip(
            figure.subplots(1, 2),
            (energy, forces),
            ("Energy of a molecule", "Force components"),
            ("RMSE (meV)", "RMSE (meV/Å)"),
            strict=True,
        )
        positions = np.arange(len(temperatures))
        for axes, values, title, label in panels:
            axes.axvspan(-0.3, 0.3, color=TRAINING, alpha=0.6, linewidth=0)
            axes.text(0.0, 1.0, "as trained", **_caption(axes), ha="center")
            axes.text(positions[-1], 1.0, "out of domain", **_caption(axes), ha="right")
            for errors, colour in zip(values.values(), COLOURS, strict=False):
                axes.plot(positions, errors, color=colour, marker="o", markersize=4)
            axes.set_xticks(positions, [f"{temperature:g} K" for temperature in temperatures])
            axes.set_xlim(-0.3, positions[-1] + 0.1)
            axes.set_title(title, pad=16)
            axes.set_ylabel(label)
            _log_axis(axes)
            _label_ends(axes, {name: errors[-1] for name, errors in values.items()})
        figure.savefig(path)


def draw_scans(path: Path, scans: Sequence[ScanFigure]) -> None:
    """Draw the energies along each scan over the distribution of the training data."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(scans), 4.2), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(scans)))
        for axes, scan in zip(panels, scans, strict=True):
            _draw_scan(axes, scan)
        last = scans[-1]
        ends = {name: float(energies[-1]) for name, energies in last.models.items()}
        _label_ends(panels[-1], {**ends, "reference": float(last.reference[-1])})
        figure.savefig(path)


def _draw_scan(axes: Axes, scan: ScanFigure) -> None:
    for name, energies in scan.models.items():
        axes.plot(scan.coordinate, energies, color=_colours(scan.models)[name], zorder=3)
    axes.plot(
        scan.coordinate, scan.reference, "o", color="black", markersize=3, linewidth=0, zorder=4
    )
    axes.set_title(scan.title)
    axes.set_xlabel(scan.label)
    axes.set_ylabel("energy (eV)")
    axes.margins(x=0.02)
    marks = [*scan.reference, *([] if scan.limit is None else [scan.limit])]
    low, high = min(marks), max(marks)
    reach = high - low
    for energies in scan.models.values():  # follow the models, but not those that run away
        low = max(min(low, energies.min()), min(marks) - 0.5 * reach)
        high = min(max(high, energies.max()), max(marks) + 0.5 * reach)
    axes.set_ylim(low - 0.25 * (high - low), high + 0.05 * (high - low))
    if scan.limit is not None:
        axes.axhline(scan.limit, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)
        axes.annotate(
            scan.limit_label,
            (0.3, scan.limit),
            xycoords=axes.get_yaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            color=GREY,
            fontsize=8,
        )
    _draw_training(axes, scan)


def _draw_training(axes: Axes, scan: ScanFigure) -> None:
    """Shade the range of the training data and their histogram along the bottom of the panel."""
    counts, edges = np.histogram(scan.training, bins=24)
    along = axes.get_xaxis_transform()
    axes.axvspan(edges[0], edges[-1], color=TRAINING, alpha=0.3, linewidth=0, zorder=0)
    axes.stairs(
        0.14 * counts / counts.max(), edges, transform=along, color=TRAINING, fill=True, zorder=1
    )
    left, right = axes.get_xlim()
    beside = edges[-1] < left + 0.6 * (right - left)
    axes.annotate(
        "training data",
        (edges[-1] if beside else (edges[0] + edges[-1]) / 2, 0.06 if beside else 0.15),
        xycoords=along,
        xytext=(4 if beside else 0, 0),
        textcoords="offset points",
        ha="left" if beside else "center",
        va="center" if beside else "bottom",
        fontsize=8,
        color=GREY,
    )
    axes.set_xlim(left, right)


def _colours(names: Iterable[str]) -> dict[str, str]:
    """Give each model its colour, the same in every figure; the reference is black."""
    return {**dict(zip(names, COLOURS, strict=False)), "reference": "black"}


def _log_axis(axes: Axes) -> None:
    """Make the y axis logarithmic with plain numbers and faint lines."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color="#E4E7EB", linewidth=0.7)
    axes.set_axisbelow(True)


def _label_ends(axes: Axes, ends: Mapping[str, float]) -> None:
    """Write each curve's name right of the axes at the height of its last value."""
    heights = {
        name: float(axes.transAxes.inverted().transform(axes.transData.transform((1.0, end)))[1])
        for name, end in ends.items()
    }
    names = sorted(heights, key=lambda name: heights[name])
    places = spread([min(max(heights[name], 0.0), 1.0) for name in names], LABEL_GAP)
    for name, place in zip(names, places, strict=True):
        axes.annotate(
            name,
            (1.0, place),
            xycoords="axes fraction",
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=_colours(name for name in ends if name != "reference")[name],
            annotation_clip=False,
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Move ascending places apart to at least `gap`, as little as possible in the square.

    y_k = place_k - k gap has to ascend: the nearest such y averages runs that descend (isotonic
    regression).

    Example:
        >>> spread([0.0, 0.5, 0.5], gap=0.25)
        [0.0, 0.375, 0.625]
    """
    runs: list[list[float]] = []
    for index, place in enumerate(places):
        runs.append([place - index * gap])
        while len(runs) > 1 and np.mean(runs[-2]) > np.mean(runs[-1]):
            runs[-2:] = [runs[-2] + runs[-1]]
    ascending = [float(np.mean(run)) for run in runs for _ in run]
    return [place + index * gap for index, place in enumerate(ascending)]


def _caption(axes: Axes) -> dict[str, Any]:
    """Return how captions above the axes are written."""
    return {
        "transform": axes.get_xaxis_transform(),
        "va": "bottom",
        "fontsize": 8,
        "color": GREY,
    }

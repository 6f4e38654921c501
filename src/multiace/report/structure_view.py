"""Structures as balls and sticks that the reader turns; the same drawn flat for files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Circle

from multiace.elements import covalent_radii, symbol_of
from multiace.figures.figure import check_name
from multiace.figures.palette import LIGHT
from multiace.figures.static import save_canvas, style
from multiace.geometry import Structure, neighbour_list

_COLOURS = """
    H f2f4f7 He d9ffff Li cc80ff Be c2ff00 B ffb5b5 C 4d5661 N 3f6fe0 O e0322b F 7fd34b Ne b3e3f5
    Na ab5cf2 Mg 6fd000 Al bfa6a6 Si e2b96f P ff8000 S f0d020 Cl 1fd01f Ar 80d1e3 K 8f40d4
    Ca 3dd000 Ti bfc2c7 V a6a6ab Cr 8a99c7 Mn 9c7ac7 Fe e06633 Co f090a0 Ni 50d050 Cu c88033
    Zn 7d80b0 Ga c28f8f Ge 668f8f As bd80e3 Se ffa100 Br a62929 Mo 54b5b5 Ru 248f8f Rh 0a7d8c
    Pd 006985 Ag c0c0c0 Cd ffd98f I 940094 W 2194d6 Pt d0d0e0 Au ffd123 Pb 575961
"""
"""Elements and how they are usually coloured; the others are violet."""

OTHER_COLOUR = "#b07fc7"
BOND_STRETCH = 1.25
"""Atoms nearer than this many sums of covalent radii are joined."""

N_COVALENT = 96
"""Elements with a known covalent radius; heavier ones are drawn with the last."""

WIDTH_OVER_HEIGHT = 1.25
"""Of a picture."""

MARGIN = 0.9
"""Room around the outermost atoms for their balls and arrows, Å."""

BALL = 0.45
"""Radius of a ball over the covalent radius."""


def element_colour(number: int) -> str:
    """Return the colour of an element.

    Example:
        >>> element_colour(8), element_colour(92)
        ('#e0322b', '#b07fc7')
    """
    words = _COLOURS.split()
    return {s: f"#{c}" for s, c in zip(words[::2], words[1::2], strict=True)}.get(
        symbol_of(number), OTHER_COLOUR
    )


@dataclass(frozen=True, eq=False)
class Frame:
    """One structure to look at.

    Args:
        structure: the atoms and their cell.
        title: in bold under the picture.
        facts: lines under the title.
        arrows: one vector an atom, drawn from its centre.
        scale: length of an arrow in Å for a vector of length 1.
    """

    structure: Structure
    title: str
    facts: tuple[str, ...] = ()
    arrows: Float64[np.ndarray, "atoms 3"] | None = None
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class StructureView:
    """Structures side by side, each turned by itself.

    Args:
        name: of its files: small letters, digits and underscores.
        title: what they have in common.
        frames: at least one.
        caption: what is to be seen; text between backticks is code.
    """

    name: str
    title: str
    frames: tuple[Frame, ...]
    caption: str = ""
    elements: tuple[tuple[str, str], ...] = field(init=False)
    """Symbol and colour of each element there is."""

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.frames:
            raise ValueError(f"The view {self.name!r} needs at least one structure.")
        numbers = sorted({n for f in self.frames for n in f.structure.numbers.tolist()})
        named = tuple((symbol_of(number), element_colour(number)) for number in numbers)
        object.__setattr__(self, "elements", named)


def bonds(structure: Structure) -> list[tuple[int, int]]:
    """Return the pairs of atoms that are joined, without images of periodic cells.

    Example:
        >>> positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74], [9.0, 9.0, 9.0]])
        >>> bonds(Structure(numbers=np.array([1, 1, 1]), positions=positions))
        [(0, 1)]
    """
    radii = _radii(structure)
    alone = replace(structure, pbc=(False, False, False))
    pairs = neighbour_list(alone, 2.0 * BOND_STRETCH * float(radii.max()))
    reach = BOND_STRETCH * (radii[pairs.receivers] + radii[pairs.senders])
    joined = (np.linalg.norm(pairs.vectors, axis=1) < reach) & (pairs.receivers < pairs.senders)
    return list(zip(pairs.receivers[joined].tolist(), pairs.senders[joined].tolist(), strict=True))


def frame_data(frame: Frame) -> dict[str, Any]:
    """Return what the page draws of a frame: atoms around their middle, bonds, cell, arrows."""
    structure = frame.structure
    cell = _cell_edges(structure)
    corners = cell.reshape(-1, 3) if len(cell) else structure.positions
    extent = np.concatenate([corners, structure.positions])
    middle = (extent.min(axis=0) + extent.max(axis=0)) / 2
    turned = view_axes(structure)
    arrows = None if frame.arrows is None else (frame.scale * frame.arrows @ turned.T)
    return {
        "symbols": [symbol_of(number) for number in structure.numbers.tolist()],
        "colours": [element_colour(number) for number in structure.numbers.tolist()],
        "radii": _rounded(BALL * _radii(structure)),
        "positions": _rounded((structure.positions - middle) @ turned.T),
        "bonds": bonds(structure),
        "cell": _rounded((cell - middle) @ turned.T),
        "arrows": None if arrows is None else _rounded(arrows),
        "reach": _rounded(np.abs((extent - middle) @ turned.T).max(axis=0)[:2] + MARGIN),
    }


def view_axes(structure: Structure) -> Float64[np.ndarray, "3 3"]:
    """Return the rows right, up and towards the reader, from which most of the atoms is seen.

    The principal axes of the positions: the longest to the right, the shortest towards the reader.
    Crystals are seen along a direction near their first cell vector.
    """
    if any(structure.pbc):
        angles = np.radians([-22.0, 18.0])
        (c1, s1), (c2, s2) = [(np.cos(a), np.sin(a)) for a in angles]
        around_y = np.array([[c1, 0.0, s1], [0.0, 1.0, 0.0], [-s1, 0.0, c1]])
        return np.array([[1.0, 0.0, 0.0], [0.0, c2, -s2], [0.0, s2, c2]]) @ around_y
    centred = structure.positions - structure.positions.mean(axis=0)
    _, _, axes = np.linalg.svd(np.concatenate([centred, 1e-9 * np.eye(3)]))
    axes *= np.where(axes[np.arange(3), np.abs(axes).argmax(axis=1)] < 0, -1.0, 1.0)[:, None]
    return axes if np.linalg.det(axes) > 0 else axes * np.array([[1.0], [1.0], [-1.0]])


def save_view(view: StructureView, *paths: Path) -> None:
    """Write a view to files, as the page shows it first."""
    columns = min(3, len(view.frames))
    rows = math.ceil(len(view.frames) / columns)
    with mpl.rc_context(style("light")):
        canvas = Canvas(figsize=(3.0 * columns, 3.3 * rows), layout="constrained")
        places = canvas.subplots(rows, columns, squeeze=False).ravel()
        for axes in places:
            axes.set_axis_off()
        for axes, frame in zip(places, view.frames, strict=False):
            _draw(axes, frame)
        save_canvas(canvas, *paths)


def _draw(axes: Axes, frame: Frame) -> None:
    content = frame_data(frame)
    positions = np.array(content["positions"])
    lines: list[Any] = [np.array(edge)[:, :2] for edge in content["cell"]]
    axes.add_collection(LineCollection(lines, colors=LIGHT["muted"], linewidths=0.6, zorder=0))
    ends = [positions[[i, j]] for i, j in content["bonds"]]
    for start, end in ends:
        depth = 2.0 + (start[2] + end[2]) / 2e3
        axes.plot(*np.stack([start, end])[:, :2].T, color="#8b949e", linewidth=2.5, zorder=depth)
    for position, colour, radius in zip(
        positions, content["colours"], content["radii"], strict=True
    ):
        depth = 2.0 + position[2] / 1e3
        ball = Circle((position[0], position[1]), radius, facecolor=colour, zorder=depth)
        ball.set(edgecolor="#3a424c", linewidth=0.5)
        axes.add_patch(ball)
    if content["arrows"] is not None:
        arrows = np.array(content["arrows"])
        look: dict[str, Any] = {"color": LIGHT["series-1"], "width": 0.008, "zorder": 5}
        axes.quiver(
            *positions[:, :2].T, *arrows[:, :2].T, angles="xy", scale_units="xy", scale=1, **look
        )
    right, up = content["reach"]
    up = max(up, right / WIDTH_OVER_HEIGHT)
    right = max(right, up * WIDTH_OVER_HEIGHT)
    axes.set(xlim=(-right, right), ylim=(-up, up), aspect="equal")
    axes.set_title("\n".join([frame.title, *frame.facts]), fontsize=8, fontweight="normal")


def _radii(structure: Structure) -> Float64[np.ndarray, " atoms"]:
    known = np.minimum(structure.numbers, N_COVALENT).tolist()
    return np.array(covalent_radii(known, "a picture"), dtype=np.float64)


def _cell_edges(structure: Structure) -> Float64[np.ndarray, "edges 2 3"]:
    """Return the twelve edges of a cell that repeats; none without one."""
    if structure.cell is None or not any(structure.pbc):
        return np.zeros((0, 2, 3))
    corners = [np.array(corner, dtype=np.float64) for corner in product((0, 1), repeat=3)]
    edges = [
        (start, end)
        for number, start in enumerate(corners)
        for end in corners[number + 1 :]
        if np.abs(start - end).sum() == 1.0
    ]
    return np.array(edges) @ structure.cell


def _rounded(values: np.ndarray) -> Any:
    return np.round(values, 3).tolist()

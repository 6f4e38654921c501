"""Beside which corner of its dot each label stands, so that few of them overlap."""

from __future__ import annotations

from itertools import product

import numpy as np
from jaxtyping import Float64

from multiace.figures.figure import Axis, Panel, Points

LETTER_WIDTH, LETTER_HEIGHT = 0.013, 0.036
"""Size of a letter as a part of a wide panel."""

DOT = 0.012
"""Half the size of a dot, with what is free around it."""

SIDES = tuple(product((1, -1), (1, -1)))
"""Up and to the right (1) or down and to the left (-1), the ones to be preferred first."""

Box = tuple[float, float, float, float]


def label_sides(panel: Panel) -> list[list[tuple[int, int]]]:
    """Return the sides (vertical, horizontal) of the labels of each `Points` of a drawn panel.

    One label after the other takes the corner of its dot at which it overlaps the least with the
    dots, the labels before it and what is outside the panel.

    Args:
        panel: from `multiace.figures.limits.drawn`.

    Example:
        >>> axis = Axis("", limits=(0.0, 1.0))
        >>> beside = np.array([0.50, 0.53])
        >>> label_sides(Panel("", axis, axis, (Points(beside, beside, labels=("one", "two")),)))
        [[(1, -1), (1, 1)]]
    """
    marks = [mark for mark in panel.marks if isinstance(mark, Points)]
    places = [_places(mark, panel) for mark in marks]
    taken = [
        (x - DOT, y - DOT, x + DOT, y + DOT) for of_mark in places for x, y in of_mark.tolist()
    ]
    found = []
    for mark, of_mark in zip(marks, places, strict=True):
        sides = []
        for text, (x, y) in zip(mark.labels, of_mark.tolist(), strict=False):
            boxes = {side: _box(text, x, y, side) for side in SIDES}
            side = min(SIDES, key=lambda side: _cost(boxes[side], taken))
            taken.append(boxes[side])
            sides.append(side)
        found.append(sides)
    return found


def _places(mark: Points, panel: Panel) -> Float64[np.ndarray, "dots 2"]:
    """Return where the dots are, as parts of the panel."""

    def part(values: np.ndarray, axis: Axis) -> np.ndarray:
        assert axis.limits is not None
        low, high = np.log(axis.limits) if axis.log else axis.limits
        return ((np.log(values) if axis.log else values) - low) / (high - low)

    return np.stack([part(mark.x, panel.x), part(mark.y, panel.y)], axis=1)


def _box(text: str, x: float, y: float, side: tuple[int, int]) -> Box:
    up, right = side
    width = LETTER_WIDTH * len(text)
    left, bottom = x + (DOT if right > 0 else -DOT - width), y + (0 if up > 0 else -LETTER_HEIGHT)
    return left, bottom, left + width, bottom + LETTER_HEIGHT


def _cost(box: Box, taken: list[Box]) -> float:
    """Return how much of a box is taken or outside the panel."""
    inside = _overlap(box, (0.0, 0.0, 1.0, 1.0))
    return _overlap(box, box) - inside + sum(_overlap(box, other) for other in taken)


def _overlap(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)

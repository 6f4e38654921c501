"""Colours of figures and pages: named by what they mean, with a value for paper and for screens.

| name | meaning |
|---|---|
| ink | the reference, text |
| muted | limits, captions, axes |
| grid | lines behind the data |
| shade | what the training data cover |
| paper | the ground |
| series-0 .. series-5 | models or runs, the same in every figure |

The six series remain distinct for colour-blind readers.

Source: Okabe and Ito, Color Universal Design (2008); Tol, Colour Schemes (2021).
"""

from __future__ import annotations

import re
from typing import Final

N_SERIES: Final = 6
"""Series with a colour of their own; later ones repeat the colours with other dashes."""

DASHES: Final = ("solid", "dash", "dot", "dashdot")
"""Dashes of the first six series, the next six, and so on."""

LIGHT: Final = {
    "ink": "#16191d",
    "muted": "#5c6570",
    "grid": "#e6e9ed",
    "shade": "#c9ced6",
    "paper": "#ffffff",
    "series-0": "#0072B2",
    "series-1": "#D55E00",
    "series-2": "#009E73",
    "series-3": "#AA4499",
    "series-4": "#882255",
    "series-5": "#56B4E9",
}
DARK: Final = {
    "ink": "#eef1f5",
    "muted": "#9aa5b1",
    "grid": "#2a313a",
    "shade": "#46505d",
    "paper": "#14181d",
    "series-0": "#4ba3e3",
    "series-1": "#ff8a3d",
    "series-2": "#2cc295",
    "series-3": "#e08bd0",
    "series-4": "#e0628f",
    "series-5": "#a5d8f6",
}


def series_colour(index: int) -> str:
    """Return the name of the colour of a series.

    Example:
        >>> series_colour(0), series_colour(7)
        ('series-0', 'series-1')
    """
    return f"series-{index % N_SERIES}"


def series_dash(index: int) -> str:
    """Return the dash of a series: solid for the first six.

    Example:
        >>> series_dash(0), series_dash(7)
        ('solid', 'dash')
    """
    return DASHES[index // N_SERIES % len(DASHES)]


def check_colour(name: str) -> None:
    """Refuse the name of a colour that there is not.

    Raises:
        ValueError: listing the names there are.
    """
    if name not in LIGHT:
        raise ValueError(f"{name!r} is not a colour of figures. Use one of {', '.join(LIGHT)}.")


def rgba(colour: str, opacity: float) -> str:
    """Return a hexadecimal colour with an opacity as CSS.

    Example:
        >>> rgba("#0072B2", 0.5)
        'rgba(0,114,178,0.5)'
    """
    red, green, blue = (int(part, 16) for part in re.findall("..", colour[1:]))
    return f"rgba({red},{green},{blue},{opacity:g})"

"""Colours of figures and pages: named by what they mean, with a value for paper and for screens.

| name | meaning |
|---|---|
| ink | the reference, text |
| muted | limits, captions, axes |
| grid | lines behind the data |
| shade | what the training data cover |
| paper | the ground |
| series-0 .. series-5 | models or runs, the same in every figure |

The six series and the ink remain distinct for readers with protanopia, deuteranopia and tritanopia,
and stand out from their ground by a contrast of at least 3.

Source: Okabe and Ito, Color Universal Design (2008), for the first three; WCAG 2.2, for contrast.
"""

from __future__ import annotations

import re
from typing import Final, Literal

N_SERIES: Final = 6
"""Series with a colour of their own; later ones repeat the colours with other dashes."""

DASHES: Final = ("solid", "dash", "dot", "dashdot")
"""Dashes of the first six series, the next six, and so on."""

Theme = Literal["light", "dark", "print"]

LIGHT: Final = {
    "ink": "#16191d",
    "muted": "#5c6570",
    "grid": "#e6e9ed",
    "shade": "#c9ced6",
    "paper": "#ffffff",
    "series-0": "#0072b2",
    "series-1": "#d55e00",
    "series-2": "#009e73",
    "series-3": "#b0307a",
    "series-4": "#7a1150",
    "series-5": "#6e5000",
}
DARK: Final = {
    "ink": "#eef1f5",
    "muted": "#9aa5b1",
    "grid": "#2a313a",
    "shade": "#46505d",
    "paper": "#14181d",
    "series-0": "#6c86ff",
    "series-1": "#f08a24",
    "series-2": "#5fcfb0",
    "series-3": "#a874b4",
    "series-4": "#e0504c",
    "series-5": "#ffd44a",
}
THEMES: Final[dict[Theme, dict[str, str]]] = {
    "light": LIGHT,
    "dark": DARK,
    "print": LIGHT | {"ink": "#000000", "muted": "#444444", "shade": "#d0d0d0"},
}
"""Colours for a light or dark screen, and for paper."""


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

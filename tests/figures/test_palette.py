"""Colours are told apart by every reader and stand out from their ground."""

from itertools import combinations

import numpy as np
import pytest

from multiace.figures.palette import N_SERIES, THEMES

READERS = {
    "trichromat": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""What they see of linear sRGB: Machado, Oliveira and Fernandes (2009), severity 1."""

DIFFERENCE = 0.08
"""Of colours in Oklab: that of lightness 0.8 and 0.72 of one hue."""


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255.0
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    low, high = sorted(linear(each) @ [0.2126, 0.7152, 0.0722] for each in (first, second))
    return (high + 0.05) / (low + 0.05)


def oklab(rgb: np.ndarray) -> np.ndarray:
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    axes = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(axes) @ np.cbrt(np.array(cones) @ rgb.clip(0.0, 1.0))


def test_contrast_and_difference_are_those_of_known_colours():
    assert contrast("#ffffff", "#000000") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    np.testing.assert_allclose(oklab(linear("#ffffff")), [1.0, 0.0, 0.0], atol=1e-4)
    np.testing.assert_allclose(oklab(linear("#ff0000")), [0.628, 0.225, 0.126], atol=1e-3)


@pytest.mark.parametrize("theme", THEMES)
def test_curves_and_text_stand_out_from_their_ground(theme):
    colours = THEMES[theme]
    for name in (f"series-{index}" for index in range(N_SERIES)):
        assert contrast(colours[name], colours["paper"]) >= 3.0
    assert contrast(colours["ink"], colours["paper"]) >= 7.0
    assert contrast(colours["muted"], colours["paper"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_tells_the_curves_apart(theme, reader):
    names = ["ink", *(f"series-{index}" for index in range(N_SERIES))]
    seen = {n: oklab(np.array(READERS[reader]) @ linear(THEMES[theme][n])) for n in names}
    for first, second in combinations(names, 2):
        assert np.linalg.norm(seen[first] - seen[second]) >= DIFFERENCE, (first, second)


def test_themes_have_the_same_names():
    assert len({tuple(colours) for colours in THEMES.values()}) == 1

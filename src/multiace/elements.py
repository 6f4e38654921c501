"""Chemical symbols, atomic numbers and the ordered set of elements a model knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_PERIODIC_TABLE: Final = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br
    Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho
    Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es
    Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""

SYMBOLS: Final[tuple[str, ...]] = tuple(_PERIODIC_TABLE.split())
"""Symbols of the elements 1 to 118, hydrogen first."""

_COVALENT_RADII: Final = """
    0.31 0.28 1.28 0.96 0.84 0.76 0.71 0.66 0.57 0.58 1.66 1.41 1.21 1.11 1.07 1.05
    1.02 1.06 2.03 1.76 1.70 1.60 1.53 1.39 1.39 1.32 1.26 1.24 1.32 1.22 1.22 1.20
    1.19 1.20 1.20 1.16 2.20 1.95 1.90 1.75 1.64 1.54 1.47 1.46 1.42 1.39 1.45 1.44
    1.42 1.39 1.39 1.38 1.39 1.40 2.44 2.15 2.07 2.04 2.03 2.01 1.99 1.98 1.98 1.96
    1.94 1.92 1.92 1.89 1.90 1.87 1.87 1.75 1.70 1.62 1.51 1.44 1.41 1.36 1.36 1.32
    1.45 1.46 1.48 1.40 1.50 1.50 2.60 2.21 2.15 2.06 2.00 1.96 1.90 1.87 1.80 1.69
"""

_NUMBER_OF: Final = {symbol: number for number, symbol in enumerate(SYMBOLS, start=1)}


class ElementError(ValueError):
    """An element that does not exist, or that a model was not made for."""


_HINTS = {
    "D": " Write 'H': isotopes are one element.",
    "T": " Write 'H': isotopes are one element.",
    "X": " Take out atoms that stand for nothing.",
}


def atomic_number(symbol: str) -> int:
    """Return the atomic number of a chemical symbol.

    Raises:
        ElementError: the symbol is none of the 118 elements; case counts.

    Example:
        >>> atomic_number("Si")
        14
    """
    number = _NUMBER_OF.get(symbol)
    if number is None:
        close = difflib.get_close_matches(symbol.strip().capitalize(), SYMBOLS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        if symbol.isdecimal() and 1 <= int(symbol) <= len(SYMBOLS):
            hint = f" Write {SYMBOLS[int(symbol) - 1]!r}."
        hint = _HINTS.get(symbol, hint)
        raise ElementError(f"{symbol!r} is not the symbol of a chemical element.{hint}")
    return number


def symbol_of(number: int) -> str:
    """Return the chemical symbol of an atomic number.

    Raises:
        ElementError: the number is not in 1 to 118.

    Example:
        >>> symbol_of(14)
        'Si'
    """
    if not 1 <= number <= len(SYMBOLS):
        raise ElementError(
            f"{number} is not the atomic number of a chemical element: it must be 1 to "
            f"{len(SYMBOLS)}. Dummy atoms (X, atomic number 0) are not supported."
        )
    return SYMBOLS[number - 1]


def covalent_radii(numbers: Iterable[int], option: str) -> list[float]:
    """Return the covalent radius of each element in Å.

    Args:
        numbers: atomic numbers, 1 to 96.
        option: the option of a design that needs them, for the error; it takes `none`.

    Raises:
        ElementError: an element without covalent radius.

    Source: Cordero et al., Dalton Trans. 2008, 2832.

    Example:
        >>> covalent_radii([1, 6], "energy.zbl")
        [0.31, 0.76]
    """
    radii, numbers = _COVALENT_RADII.split(), list(numbers)
    beyond = [number for number in numbers if number > len(radii)]
    if beyond:
        raise ElementError(
            f"{option} needs a covalent radius, and none is known for {format_elements(beyond)}. "
            f"Set {option}: none."
        )
    return [float(radii[number - 1]) for number in numbers]


def sorted_elements(numbers: Iterable[int]) -> tuple[int, ...]:
    """Return the distinct atomic numbers in ascending order, the order models use.

    Example:
        >>> sorted_elements([8, 1, 6, 1])
        (1, 6, 8)
    """
    elements = tuple(sorted({int(number) for number in numbers}))
    for number in elements:
        symbol_of(number)
    return elements


def format_elements(numbers: Iterable[int]) -> str:
    """Return the symbols of the elements as text for messages.

    Example:
        >>> format_elements([1, 6, 8])
        'H, C, O'
    """
    return ", ".join(symbol_of(int(number)) for number in numbers)

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

_NUMBER_OF: Final = {symbol: number for number, symbol in enumerate(SYMBOLS, start=1)}


class ElementError(ValueError):
    """An element that does not exist, or that a model was not made for."""


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

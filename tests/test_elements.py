"""Symbols and atomic numbers against ASE's table."""

import ase.data
import pytest

from multiace.elements import (
    SYMBOLS,
    ElementError,
    atomic_number,
    format_elements,
    sorted_elements,
    symbol_of,
)


def test_the_periodic_table_is_that_of_ase():
    assert list(SYMBOLS) == ase.data.chemical_symbols[1:]


@pytest.mark.parametrize("number", range(1, 119))
def test_symbol_and_number_are_inverse(number):
    assert atomic_number(symbol_of(number)) == number


@pytest.mark.parametrize(("symbol", "hint"), [("si", "'Si'"), ("CL", "'Cl'"), (" Fe", "'Fe'")])
def test_an_unknown_symbol_is_refused_with_the_closest(symbol, hint):
    with pytest.raises(ElementError, match=f"is not the symbol.*Did you mean {hint}"):
        atomic_number(symbol)


@pytest.mark.parametrize("number", [-1, 0, 119])
def test_a_number_out_of_range_is_refused(number):
    with pytest.raises(ElementError, match=f"^{number} is not the atomic number"):
        symbol_of(number)


def test_elements_are_sorted_and_distinct():
    assert sorted_elements([14, 8, 8, 1]) == (1, 8, 14)
    assert format_elements((1, 8, 14)) == "H, O, Si"
    with pytest.raises(ElementError):
        sorted_elements([0, 1])

"""How cells are told apart in figures, and what they are called."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.study.test_answer import results

from multiace.study.curves import learning_curves, looks
from multiace.study.factors import Factor
from multiace.study.results import Results
from multiace.study.study import cell_name


def eight_cells() -> Results:
    """Return results of a grid of three factors, the second of which has the only effect."""
    found = results()
    third = Factor("normalisation", ("N", "none"), ({}, {}))
    energies, nonlinearity = found.factors[1], found.factors[0]
    fits = tuple(
        replace(fit, effects=tuple(replace(e, factor=(1, 0)[e.factor]) for e in fit.effects))
        for fit in found.fits
    )
    outcomes = tuple(
        replace(o, levels=(o.levels[1], o.levels[0], level), cell=f"{o.cell} {level}")
        for o in found.outcomes
        for level in (0, 1)
    )
    return replace(found, factors=(energies, nonlinearity, third), outcomes=outcomes, fits=fits)


def test_few_cells_have_a_colour_each_and_the_range_of_their_seeds():
    found = looks(results(), "in_domain")
    assert [look.name for look in found.values()] == list(found)
    assert len({look.colour for look in found.values()}) == 4
    (figure,) = learning_curves(results())
    assert [type(mark).__name__ for mark in figure.panels[0].marks] == ["Ribbon", "Line"] * 4


def test_many_cells_are_coloured_by_the_choice_that_matters_most():
    study = eight_cells()
    found = looks(study, "in_domain")
    assert len(found) == 8
    for cell, look in found.items():
        levels = study.of_cell(cell)[0].levels
        assert look.name == f"{('silu', 'linear')[levels[1]]}, {('E0', 'shift')[levels[0]]}"
        assert look.colour == f"series-{levels[1]}"
        assert look.dash == ("solid", "dash")[levels[0]]
    (figure,) = learning_curves(study)
    assert len(figure.legend) == 4
    assert len(figure.panels[0].marks) == 8
    assert figure.caption.endswith("Colours: nonlinearity; dashes: energies.")


def test_factors_are_named_where_their_levels_have_the_same_names():
    study = eight_cells()
    energies = replace(study.factors[0], levels=("linear", "shift"))
    found = looks(replace(study, factors=(energies, *study.factors[1:])), "in_domain")
    assert "nonlinearity: linear, energies: linear" in {look.name for look in found.values()}


@pytest.mark.parametrize(
    ("kind", "levels", "name"),
    [
        ("one-at-a-time", (0, 0), "first levels"),
        ("one-at-a-time", (0, 1), "b: y"),
        ("path", (0, 0), "start"),
        ("path", (1, 0), "a"),
        ("path", (1, 1), "end (all steps)"),
        ("grid", (0, 1), "a: x, b: y"),
    ],
)
def test_cells_are_named_by_what_tells_them_apart(kind, levels, name):
    factors = tuple(Factor(f, ("x", "y"), ({}, {})) for f in "ab")
    assert cell_name(factors, levels, kind) == name

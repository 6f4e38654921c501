"""Structures by reference: of lists, of stores, of both."""

from __future__ import annotations

import numpy as np
import pytest
from tests.training import tiny

from multiace.data import Selection, Store, count_edges, prepare_store, read_structures
from multiace.data.columns import Columns
from multiace.data.identity import structure_digest

STRUCTURES = [*tiny.molecules(4), *tiny.crystals(3)]


@pytest.fixture
def members(tmp_path):
    """Return structures as a file has them."""
    return read_structures(tiny.write(tmp_path / "a.xyz", STRUCTURES))


@pytest.fixture
def mixed(tmp_path, members):
    """Return a list and a store of the same structures, one after the other."""
    prepare_store([str(tmp_path / "a.xyz")], tmp_path / "a.h5", cutoffs=[3.0])
    return Selection.of(members, Store(tmp_path / "a.h5"))


def _digests(structures):
    return [structure_digest(structure) for structure in structures]


def test_a_selection_is_its_sets_in_order(mixed, members):
    assert len(mixed) == 14
    assert _digests(mixed)[:7] == _digests(mixed)[7:] == _digests(members)


@pytest.mark.parametrize(
    "indices", [[], [13], [12, 3, 8, 9, 2, 0], list(range(13, -1, -1))], ids=str
)
def test_choosing_keeps_the_order_asked_for(mixed, members, indices):
    chosen = mixed.take(indices)
    expected = [members[index % 7] for index in indices]
    assert _digests(chosen) == _digests(expected)
    assert [chosen.source(i) for i in range(len(chosen))] == [s.source for s in chosen]
    assert chosen.columns.n_atoms.tolist() == [s.n_atoms for s in expected]
    assert chosen.edge_counts(3.0).edges.tolist() == count_edges(expected, 3.0).edges.tolist()


def test_choosing_of_a_choice_and_joining_choices_agree_with_lists(mixed, members):
    chosen = mixed.take([9, 1, 8]).take([2, 0])
    joined = Selection.of(chosen, mixed.take([3]), members[:1])
    assert _digests(joined) == _digests([members[i] for i in (1, 2, 3, 0)])
    assert _digests(joined[1:3]) == _digests([members[i] for i in (2, 3)])


def test_counts_within_a_cutoff_that_no_store_knows_are_counted(mixed, members):
    expected = count_edges(members, 2.5)
    counts = mixed.edge_counts(2.5)
    assert counts.edges.tolist() == 2 * expected.edges.tolist()
    assert counts.centres.tolist() == 2 * expected.centres.tolist()


def test_columns_of_several_sets_share_their_kinds_of_configuration():
    parts = [
        Columns.of([s.__class__(s.numbers, s.positions, config_type=kind)])
        for s, kind in zip(STRUCTURES, ("b", "a", "b"), strict=False)
    ]
    joined = Columns.concatenate(parts)
    assert [joined.config_types[code] for code in joined.config_type] == ["b", "a", "b"]
    assert joined.present_config_types == ["a", "b"]
    assert joined.take(np.array([1])).present_config_types == ["a"]

"""Irreps: order, products, layouts and the messages for bad text."""

import pytest

from multiace.o3.irreps import Irrep, Irreps

IRREPS = [Irrep(l, p) for l in range(4) for p in (1, -1)]


@pytest.mark.parametrize("irrep", IRREPS, ids=str)
def test_an_irrep_reads_back_what_it_writes(irrep):
    assert Irrep.parse(str(irrep)) == irrep


def test_irreps_are_ordered_by_degree_then_even_before_odd():
    in_order = ["0e", "0o", "1e", "1o", "2e", "2o"]
    shuffled = ["2o", "1e", "0o", "2e", "1o", "0e"]
    assert [str(irrep) for irrep in sorted(map(Irrep.parse, shuffled))] == in_order
    even, odd = Irrep.parse("1e"), Irrep.parse("1o")
    assert even < odd
    assert even <= odd
    assert odd > even
    assert odd >= even
    assert max(even, odd) == odd


@pytest.mark.parametrize("a", IRREPS, ids=str)
@pytest.mark.parametrize("b", IRREPS, ids=str)
def test_a_product_has_as_many_components_as_its_factors_make_pairs(a, b):
    product = a * b
    assert sum(irrep.dim for irrep in product) == a.dim * b.dim
    assert {irrep.p for irrep in product} == {a.p * b.p}
    assert product == b * a


def test_natural_parity_is_that_of_the_harmonics():
    natural = [Irrep.natural(l) for l in range(4)]
    assert [str(irrep) for irrep in natural] == ["0e", "1o", "2e", "3o"]
    assert all(irrep.is_natural for irrep in natural)
    assert not Irrep.parse("1e").is_natural


@pytest.mark.parametrize("text", ["", "1", "e", "1x0e", "-1e", "1a", "0e+1o"])
def test_text_that_is_no_irrep_is_quoted_with_the_rule(text):
    with pytest.raises(
        ValueError, match="is not an irrep. Write the degree and the parity"
    ) as error:
        Irrep.parse(text)
    assert repr(text) in str(error.value)


def test_a_layout_places_entry_after_entry():
    layout = Irreps.parse("8x0e + 4x1o+2x2e")
    assert layout.channels == (8, 4, 2)
    assert layout.irreps == (Irrep(0, 1), Irrep(1, -1), Irrep(2, 1))
    assert layout.dim == 8 + 4 * 3 + 2 * 5
    assert layout.n_components == 1 + 3 + 5
    assert layout.slices == (slice(0, 8), slice(8, 20), slice(20, 30))
    assert len(layout) == 3
    assert list(layout) == [(8, Irrep(0, 1)), (4, Irrep(1, -1)), (2, Irrep(2, 1))]
    assert layout.index(Irrep.parse("1o")) == 1


def test_layouts_compare_by_value():
    layout = Irreps.parse("8x0e+8x1o")
    same = Irreps.of(8, [Irrep.parse("0e"), Irrep.parse("1o")])
    assert layout == same
    assert hash(layout) == hash(same)
    assert Irreps.parse(str(layout)) == layout
    assert layout != Irreps.parse("8x1o+8x0e")
    assert Irreps.parse("0e") == Irreps.parse("1x0e")


def test_channels_are_numbered_within_types():
    numbered = Irreps.parse("8x0e+4x1o").numbered(4)
    assert numbered == ((2, Irrep.parse("0e")), (1, Irrep.parse("1o")))


def test_no_entries_are_an_empty_layout():
    empty = Irreps(())
    assert (empty.dim, empty.n_components, empty.slices) == (0, 0, ())


@pytest.mark.parametrize("text", ["", "8x", "8x0e+", "8*0e", "8x0e,8x1o", "x1o", "-2x0e", "8x1a"])
def test_text_that_is_no_layout_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"is not an irrep with a channel count.*8x0e\+4x1o"):
        Irreps.parse(text)


def test_entries_need_channels():
    with pytest.raises(ValueError, match="channels of 1o must be at least 1, got 0"):
        Irreps.parse("8x0e+0x1o")


@pytest.mark.parametrize("irrep", [Irrep(-1, 1), Irrep(1, 0)])
def test_entries_need_a_degree_and_a_parity(irrep):
    with pytest.raises(ValueError, match=r"degree l >= 0 and a parity p of 1 or -1"):
        Irreps.of(2, [irrep])


def test_a_missing_irrep_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"2e is not among '8x0e\+8x1o'"):
        Irreps.parse("8x0e+8x1o").index(Irrep.parse("2e"))

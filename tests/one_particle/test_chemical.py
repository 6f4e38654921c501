"""h^(0) of the elements."""

import pytest
import torch

from multiace.initialisation import Initialisation
from multiace.one_particle.chemical import ChemicalEmbedding

SPECIES = torch.tensor([2, 0, 2, 1])


def build(kind, channels, *, count_elements=False, fan_in="forward"):
    initial = Initialisation(seed=0, fan_in=fan_in)
    return ChemicalEmbedding(kind, 3, channels, count_elements=count_elements, initial=initial)


@pytest.mark.parametrize("fan_in", ["forward", "initial"])
@pytest.mark.parametrize("count_elements", [False, True])
def test_learned_embedding_is_the_row_of_the_element(fan_in, count_elements):
    embedding = build("learned", 5, count_elements=count_elements, fan_in=fan_in)
    h = embedding(SPECIES)
    assert h.shape == (4, 5)
    in_forward = fan_in == "forward" and count_elements
    factor = 3**-0.5 if in_forward else 1.0
    torch.testing.assert_close(h, embedding.weights[SPECIES] * factor)
    torch.testing.assert_close(h[0], h[2])
    # the same values in the end, whichever place has the factor
    torch.testing.assert_close(h, build("learned", 5, count_elements=count_elements)(SPECIES))


def test_counting_the_elements_divides_by_their_root():
    counted, not_counted = (
        build("learned", 5, count_elements=count)(SPECIES) for count in (True, False)
    )
    torch.testing.assert_close(counted * 3**0.5, not_counted)


def test_one_hot_embedding_has_no_weights():
    embedding = build("one_hot", 3)
    expected = torch.nn.functional.one_hot(SPECIES, 3).double()
    torch.testing.assert_close(embedding(SPECIES), expected)
    assert not list(embedding.parameters())
    assert not embedding.state_dict()

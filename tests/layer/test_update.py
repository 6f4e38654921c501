"""The update h' = sigma( W m + S h ), and the selection of irreps."""

import pytest
import torch
from torch import nn

from multiace.layer.update import Select, Update
from multiace.o3.irreps import Irreps

SPECIES = torch.tensor([0, 1])


class Scaled(nn.Module):
    """Multiply by a number, and by the species if there is one to see."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x, species=None):
        return x * self.factor if species is None else x * self.factor * (1 + species[:, None])


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("nonlinear", [False, True])
def test_update_is_its_equation(linear, connected, nonlinear):
    m, h = torch.randn(2, 3), torch.randn(2, 3)
    update = Update(
        Scaled(2.0) if linear else None,
        Scaled(3.0) if connected else None,
        nn.Tanh() if nonlinear else None,
    )
    z = torch.tensor([[1.0], [2.0]])
    expected = m * 2.0 * z if linear else m
    expected = expected + h * 3.0 * z if connected else expected
    expected = expected.tanh() if nonlinear else expected
    torch.testing.assert_close(update(m, h, SPECIES), expected)


def test_update_changes_neither_message_nor_features():
    m, h = torch.ones(2, 3), torch.ones(2, 3)
    Update(None, Scaled(3.0), nn.Tanh())(m, h, SPECIES)
    assert (m == 1).all()
    assert (h == 1).all()


@pytest.mark.parametrize(
    ("irreps_in", "irreps_out", "expected"),
    [
        ("2x0e+1x1o", "2x0e+1x1o", [1, 2, 3, 4, 5]),
        ("2x0e+1x1o", "1x1o", [3, 4, 5]),
        ("2x0e+1x1o", "4x0e+1x1o", [1, 2, 0, 0, 3, 4, 5]),
        ("2x0e+1x1o", "2x0e+2x1o", [1, 2, 3, 0, 4, 0, 5, 0]),
        ("2x0e+1x1o", "2x0e+1x1e", [1, 2, 0, 0, 0]),
        ("1x1o+2x0e", "2x0e+1x1o", [4, 5, 1, 2, 3]),
    ],
)
def test_selection_lays_irreps_out_and_fills_with_zeros(irreps_in, irreps_out, expected):
    select = Select(Irreps.parse(irreps_in), Irreps.parse(irreps_out))
    h = torch.arange(1.0, 6.0).expand(2, 5)
    torch.testing.assert_close(select(h), torch.tensor(expected).float().expand(2, -1))

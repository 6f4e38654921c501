"""Irreps and paths of one layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from multiace.o3.full import TotalDegree
from multiace.o3.irreps import Irrep, Irreps


class Path(NamedTuple):
    """One coupling of the one-particle basis: h (irrep_in) x Y (l_edge) -> A (irrep_out)."""

    irrep_in: Irrep
    l_edge: int
    irrep_out: Irrep


@dataclass(frozen=True)
class LayerLayout:
    """Irreps and paths of one layer, in the order of the equations.

    | symbol | field | what |
    |---|---|---|
    | h^(t) | `features_in` | input features |
    | phi | `paths` | couplings, sorted by irrep_in, irrep_out, l_edge |
    | sum_j phi | `pooled` | channels of irrep_out: its paths side by side |
    | W sum_j phi | `mixed` | after the first of two linear maps, where there are two |
    | A | `atomic_basis` | after the linear map |
    | m | `message` | after the product basis (A itself where correlation = 1) |
    | W m + sc | `update` | input of sigma: scalars and gates, then the rest |
    | h^(t+1) | `features_out` | output features |

    Args:
        correlation: nu, factors of a product.
        total_degree: which products of any channels there are; None: channel by channel.
        n_types: of the channels of A, where they are (type, n).
        density: whether A is summed from the radial functions themselves.
    """

    features_in: Irreps
    convolved: Irreps
    paths: tuple[Path, ...]
    pooled: Irreps
    mixed: Irreps
    atomic_basis: Irreps
    message: Irreps
    update: Irreps
    features_out: Irreps
    connected: Irreps
    correlation: int = 1
    total_degree: TotalDegree | None = None
    n_types: int = 1
    density: bool = False

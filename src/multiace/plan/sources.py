"""What a convolution of a plan reads its radial functions from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from multiace.one_particle.radial import RadialNetwork
from multiace.plan.arrays import Array
from multiace.plan.topology import Topology


@runtime_checkable
class Knots(Protocol):
    """Knots and spline weights of the pairs."""

    knots: Tensor
    basis: Tensor
    slope: Tensor
    distances: Array


@dataclass
class NetworkSource:
    """R = u V, 1/lambda in V."""

    hidden: Array
    weights: Tensor
    network: RadialNetwork

    def edge_types(self, top: Topology) -> Tensor | None:
        """Which V each edge takes."""
        return self.network.edge_types(top.species, top.senders, top.receivers)


@dataclass
class SplineSource:
    """R = sum_q B_q table[knot + q], 1/lambda in the table."""

    basis: Knots
    table: Tensor  # (types, knots, n_weights)
    type_of_elements: Tensor | None  # (elements, elements) of sender and receiver

    def edge_types(self, top: Topology) -> Tensor | None:
        """Which table each edge takes."""
        if self.type_of_elements is None:
            return None
        return self.type_of_elements[top.species[top.senders], top.species[top.receivers]]

    def pair_types(self, top: Topology) -> Tensor | None:
        """Which table each pair takes, where either direction takes the same functions."""
        if self.type_of_elements is None:
            return None
        senders, receivers = top.ends_of_pairs
        return self.type_of_elements[top.species[senders], top.species[receivers]]


RadialSource = NetworkSource | SplineSource

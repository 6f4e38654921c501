"""The sum over neighbours of the one-particle basis."""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from multiace.kernels.operation import HasFunctions, Operation, OperationModule
from multiace.kernels.segment_sum import segment_sum
from multiace.kernels.tables import ConvolutionTable, split_sizes
from multiace.o3.irreps import Irrep


class Convolution(OperationModule):
    """sum_{j in N(i)} R_{p c}(j -> i) sum_{m1 m2} C^p_{m1 m2 m} Y_{m1}(j -> i) h_{j c m2}.

    The radial functions are formed here, R = u V_type, so that a fused kernel never has to store
    them: u are the last hidden features of the radial network, V its last map.

    | symbol | argument | shape |
    |---|---|---|
    | h | `features` | (nodes, dim of irreps_in) |
    | Y | `harmonics` | (edges, lm) |
    | u | `hidden` | (edges, hidden), or (pairs, hidden) with `pairs` |
    | V | `weights` | (types, hidden, n_weights), or (rows, n_weights) |

    Where weights are rows, type t has the rows t to t + hidden - 1: neighbouring types share them,
    as the intervals of a spline do.
    """

    name, of_table = "convolution", ConvolutionTable

    def __init__(self, table: ConvolutionTable, kernels: HasFunctions | None = None) -> None:
        super().__init__(table, kernels)
        self.groups: list[_Group] = []
        if self.function is not None:
            return
        self.groups = [_Group.of(table, irrep) for irrep in table.irreps_in.irreps]
        for group in self.groups:
            coupling = torch.from_numpy(table.coupling_from(group.irrep)).flatten(1)
            self.register_buffer(f"coupling_{group.irrep}", coupling, persistent=False)

    def forward(
        self,
        features: Float[Tensor, "nodes dim_in"],
        harmonics: Float[Tensor, "edges lm"],
        hidden: Float[Tensor, "pairs hidden"],
        weights: Float[Tensor, "types hidden n_weights"] | Float[Tensor, "rows n_weights"],
        edge_types: Int[Tensor, " edges"] | None,
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        pairs: Int[Tensor, " edges"] | None = None,
    ) -> Float[Tensor, "nodes dim_out"]:
        """Return the sums over neighbours, laid out as `table.irreps_out`.

        Args:
            features: h.
            harmonics: Y.
            hidden: u.
            weights: V.
            edge_types: which V each edge takes, or None: there is one.
            senders: j of each edge.
            receivers: i of each edge.
            pairs: row of u that each edge takes, or None: its own.
        """
        function = self.function
        if function is not None:
            tensors = (features, harmonics, hidden, weights, edge_types, senders, receivers, pairs)
            return function(*tensors, self.encoding, self.table.irreps_out.dim)
        n_edges, n_nodes = senders.shape[0], features.shape[0]
        hidden = hidden if pairs is None else hidden[pairs]
        radial = radial_functions(hidden, weights, edge_types)  # (edges, n_weights)
        pooled: list[Tensor] = []
        for group, h, w in zip(
            self.groups,
            features.split(split_sizes(self.table.irreps_in), dim=1),
            radial.split([group.n_weights for group in self.groups], dim=1),
            strict=True,
        ):
            # T = sum_m C Y_m: one matrix (rows, 2 l_in + 1) an edge
            coupled = harmonics @ self.get_buffer(f"coupling_{group.irrep}")
            coupled = coupled.view(n_edges, group.n_rows, group.irrep.dim)
            h = h.view(n_nodes, group.irrep.dim, group.channels)[senders]
            # T (R h) and (T h) R are equal; whichever makes fewer products for each edge
            scalar = group.irrep.dim == 1
            phi = coupled if scalar else coupled @ h  # (edges, rows, 1 or channels)
            blocks = zip(
                group.blocks,
                phi.split([n_paths * dim for n_paths, dim in group.blocks], dim=1),
                w.split([n_paths * group.channels for n_paths, _ in group.blocks], dim=1),
                strict=True,
            )
            for (n_paths, dim), rows, of_paths in blocks:
                rows = rows.view(n_edges, n_paths, dim, rows.shape[2])
                of_paths = of_paths.view(n_edges, n_paths, 1, group.channels)
                if scalar:
                    of_paths = of_paths * h.unsqueeze(1)
                message = segment_sum(rows * of_paths, receivers, n_nodes)
                pooled.extend(message.unbind(dim=1))  # (nodes, 2 l_out + 1, channels) a path
        return torch.cat(
            [
                torch.cat([pooled[p] for p in self.table.paths_to(irrep)], dim=2).flatten(1)
                for irrep in self.table.irreps_out.irreps
            ],
            dim=1,
        )


class _Group(NamedTuple):
    """The paths from one irrep; `blocks` are (paths, 2 l_out + 1) of equal l_out."""

    irrep: Irrep
    channels: int
    blocks: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, table: ConvolutionTable, irrep: Irrep) -> _Group:
        dims = [table.paths[p][2].dim for p in table.paths_from(irrep)]
        blocks = tuple((len(list(run)), dim) for dim, run in groupby(dims))
        return cls(irrep, table.irreps_in.channels[table.irreps_in.index(irrep)], blocks)

    @property
    def n_rows(self) -> int:
        return sum(n_paths * dim for n_paths, dim in self.blocks)

    @property
    def n_weights(self) -> int:
        return sum(n_paths for n_paths, _ in self.blocks) * self.channels


def radial_functions(
    hidden: Float[Tensor, "edges hidden"],
    weights: Float[Tensor, "types hidden n_weights"] | Float[Tensor, "rows n_weights"],
    edge_types: Int[Tensor, " edges"] | None,
) -> Float[Tensor, "edges n_weights"]:
    """Return R = u V_type; without types, R = u V.

    Each edge's hidden features are placed in the block of its type, so that one matrix product
    serves all types.
    """
    if weights.ndim == 2:
        weights = weights.unfold(0, hidden.shape[1], 1).mT
    if edge_types is None:
        return hidden @ weights[0]
    types = torch.arange(len(weights), device=hidden.device)
    mine = (edge_types.unsqueeze(1) == types).to(hidden.dtype)  # (edges, types)
    placed = mine.unsqueeze(2) * hidden.unsqueeze(1)  # (edges, types, hidden)
    return placed.flatten(1) @ weights.flatten(0, 1)


def _definition(*arguments) -> tuple[Tensor, ...]:
    *tensors, table, _ = arguments
    return (Convolution.defined_by(table, tensors[0])(*tensors),)


CONVOLUTION = Operation(
    name="convolution",
    inputs=("features", "harmonics", "hidden", "weights"),
    constants="Tensor? edge_types, Tensor senders, Tensor receivers, Tensor? pairs, "
    "Tensor table, int dim_out",
    n_outputs=1,
    fake=lambda features, *others: (features.new_empty((features.shape[0], others[-1])),),
    definition=_definition,
    multilinear=True,
)

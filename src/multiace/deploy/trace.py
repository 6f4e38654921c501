"""A potential as one graph of operations, for `torch.compile`, `torch.export` and other engines."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, fx, nn

from multiace.model import Model
from multiace.potential import Potential
from multiace.tracing import EDGES, NODES, flat_graph


class _EnergyAndGradient(nn.Module):
    """E_i and dE/dr_ji, by autograd."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        edge_vectors: Float[Tensor, "edges 3"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
    ) -> tuple[Float64[Tensor, " nodes"], Float[Tensor, "edges 3"]]:
        with torch.enable_grad():
            r = edge_vectors.detach().requires_grad_()
            energies = self.model(r, senders, receivers, species, species.shape[0]).sum(dim=1)
            (gradient,) = torch.autograd.grad(energies.sum(), r, materialize_grads=True)
        return energies.detach(), gradient


def trace_potential(potential: Potential) -> fx.GraphModule:
    """Return (edge vectors, senders, receivers, species) -> (E_i, dE/dr_ji) as one graph.

    The backward pass is part of the graph, so that nothing of it needs autograd: it can be given
    to `torch.compile` and `torch.export`. Forces follow from dE/dr_ji as in `Potential`. Numbers
    of atoms and edges are free. With compiled kernels the graph calls operations of
    `torch.ops.multiace_cpu`; a process that loads an exported graph makes them known to torch by
    `multiace.kernels.dispatch.select_kernels("cpu")`.

    | argument | shape | unit |
    |---|---|---|
    | r_ji = r_j - r_i | (edges, 3), in the dtype of the potential | Å |
    | j (senders), i (receivers, ascending) | (edges,), int64 | |
    | species: position in `potential.elements` | (nodes,), int64 | |
    | E_i | (nodes,), float64 | eV |
    | dE/dr_ji | (edges, 3) | eV/Å |

    Args:
        potential: the model; the graph shares its weights and computes on its device.

    An example that runs is in docs/installing.md. The runtime shape checker of the tests must be
    off while a graph is compiled or exported: it takes the symbol of a size for no int.

    Raises:
        TraceError: the operations depend on the numbers of atoms or edges.
    """
    device = next(potential.parameters()).device
    receivers = torch.arange(EDGES, device=device) * NODES // EDGES
    graph = flat_graph(
        _EnergyAndGradient(potential.model),
        torch.ones(EDGES, 3, dtype=potential.dtype, device=device),
        (receivers + 1) % NODES,
        receivers,
        torch.zeros(NODES, dtype=torch.int64, device=device),
    )
    for name, parameter in list(graph.named_parameters()):
        delattr(graph, name)
        graph.register_buffer(name, parameter.detach())
    return graph

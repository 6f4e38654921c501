"""Time each operation of the second layer of MACE 128x0e+128x1o on 64 silicon atoms.

    python -m benchmarks.cpu.operations [--tiny]

prints JSON: forward, backward (gradients by all inputs) and double backward (gradients of these) of
every operation by itself, on one thread in float32, with calls and autograd's bookkeeping.

FLOPs are nominal, additions and multiplications counted each. Forward, with E edges, P pairs, N
nodes, K hidden features, W radial functions, c_p channels of path p from degree l to degree L:

| operation | forward |
|---|---|
| convolution | 2 P K W + E sum_p c_p (2 (2l+1) (2L+1) + 2l+1) |
| polynomial product | N C (products + 2 coefficients) + 2 C mixed weights |
| linear | 2 N sum of (2l+1) times inputs times outputs |
| radial network | 2 P sum of inputs times outputs, hidden layers |
| edge basis | E (10 + 6 (l_max+1)^2) |

A backward counts twice, a double backward four times as much: each product has two factors. What is
computed again or saved by sharing is not counted, so the rate is that of useful work. The peak is
the rate of a large matrix product of torch, a lower bound of what the processor can do.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from benchmarks.cpu.measure import Effort, in_turns
from benchmarks.cpu.options import parser
from benchmarks.cpu.systems import silicon
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from multiace import presets
from multiace.design import Statistics
from multiace.geometry import Structure, build_graph
from multiace.kernels.tables import ConvolutionTable, ProductTable
from multiace.layer.layer import Layer
from multiace.layer.linear import EquivariantLinear
from multiace.o3.irreps import Irreps
from multiace.potential import Potential

PASSES = {"forward": 1, "backward": 2, "double backward": 4}


def potential_of(channels: int) -> Potential:
    """Return the model with weights of its own."""
    design = presets.mace(channels=channels, features_l_max={"rest": 1, "last": 0})
    statistics = Statistics(mean_neighbours=28.0, atomic_energies={"Si": 0.0})
    return Potential(design, (14,), statistics, seed=0)


def operations_of(
    potential: Potential, n_edges: int, n_pairs: int, n_nodes: int
) -> dict[str, tuple]:
    """Return name -> module, FLOPs of a forward pass."""
    first, second = (cast(Layer, layer) for layer in potential.model.layers)
    basis, network = second.atomic_basis, second.atomic_basis.radial_network
    assert second.message is not None
    linear = {
        "linear after pooling": basis.after_pooling[0],
        "linear before edges": basis.before_edges,
        "linear of the update": first.update.linear,
    }
    table = cast(ConvolutionTable, basis.convolution.table)
    widths = [tuple(w.shape) for w in network.hidden]
    n_hidden = network.weights.shape[1]
    operations: dict[str, tuple] = {
        "convolution": (
            basis.convolution,
            2 * n_pairs * n_hidden * table.n_weights + n_edges * _of_edge(table),
        ),
        "polynomial product": (
            second.message.product,
            _of_product(second.message.product_basis.table, n_nodes),
        ),
    }
    for name, module in linear.items():
        of_node = _of_linear(cast(EquivariantLinear, module))
        operations[name] = (cast(EquivariantLinear, module).kernel, 2 * n_nodes * of_node)
    operations["radial network"] = (network, 2 * n_pairs * sum(a * b for a, b in widths))
    n_harmonics = (potential.design.l_max + 1) ** 2
    kernel = potential.model.edge_functions.edge_basis
    operations["edge basis"] = (kernel, n_edges * (10 + 6 * n_harmonics))
    radial = potential.model.edge_functions.radial_basis.kernel
    operations["radial basis"] = (radial, n_pairs * (30 + 40 * potential.design.radial.number))
    return operations


def _of_edge(table: ConvolutionTable) -> int:
    paths = zip(table.paths, table.channels_of_path, strict=True)
    return sum(
        channels * (2 * irrep_in.dim * out.dim + irrep_in.dim)
        for (irrep_in, _, out), channels in paths
    )


def _of_product(table: ProductTable, n_nodes: int) -> int:
    channels = table.irreps_in.channels[0]
    products = sum(len(rows) for rows in table.monomials[1:])
    coefficients, mixed = 0, 0
    for order in range(1, table.correlation + 1):
        values = table.coefficients(order) != 0.0  # (rows and paths, monomials)
        mixed += int(values.sum())
        start = 0
        for irrep, counts in zip(table.irreps_out.irreps, table.n_paths, strict=True):
            stop = start + counts[order - 1] * irrep.dim
            block = values[start:stop].reshape(-1, irrep.dim, values.shape[1])
            coefficients += int(block.any(axis=0).sum())
            start = stop
    return channels * (n_nodes * (products + 2 * coefficients) + 2 * mixed)


def _of_linear(linear: EquivariantLinear) -> int:
    def widths(irreps: Irreps) -> dict:
        return {irrep: channels for channels, irrep in irreps.entries}

    ours, theirs = widths(linear.irreps_in), widths(linear.irreps_out)
    return sum(irrep.dim * ours[irrep] * theirs[irrep] for irrep in ours if irrep in theirs)


def inputs_of(potential: Potential, modules: list[nn.Module], graph: Any) -> list[tuple]:
    """Return what the model gives to each module."""
    taken: dict[nn.Module, tuple] = {}

    def take(module: nn.Module, arguments: tuple) -> None:
        taken.setdefault(module, arguments)

    handles = [module.register_forward_pre_hook(take) for module in modules]
    with torch.no_grad():
        potential(graph)
    for handle in handles:
        handle.remove()
    return [taken[module] for module in modules]


def passes_of(module: nn.Module, arguments: tuple) -> dict[str, Callable[[], object]]:
    """Return the three passes of a module as functions to be timed."""
    leaves, structure = pytree.tree_flatten(arguments)
    leaves = [
        leaf.detach().clone().requires_grad_()
        if isinstance(leaf, Tensor) and leaf.is_floating_point()
        else leaf
        for leaf in leaves
    ]
    arguments = pytree.tree_unflatten(leaves, structure)
    inputs = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.requires_grad]

    def forward() -> list[Tensor]:
        return [x for x in pytree.tree_leaves(module(*arguments)) if x is not None]

    outputs = forward()
    cotangents = [torch.randn_like(output).requires_grad_() for output in outputs]
    backward = partial(
        torch.autograd.grad, outputs, inputs, cotangents, retain_graph=True, allow_unused=True
    )
    gradients = [gradient for gradient in backward(create_graph=True) if gradient is not None]
    of = [*inputs, *cotangents]
    dots = [torch.randn_like(gradient) for gradient in gradients]
    double_backward = partial(
        torch.autograd.grad, gradients, of, dots, retain_graph=True, allow_unused=True
    )
    return {
        "forward": torch.no_grad()(forward),
        "backward": backward,
        "double backward": double_backward,
    }


def peak(size: int) -> Callable[[], object]:
    """Return a product of square matrices."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    out = torch.empty(size, size)
    return lambda: torch.mm(a, b, out=out)


def measure(*, tiny: bool) -> dict[str, Any]:
    """Time every operation and the peak in turns."""
    torch.set_num_threads(1)
    potential = potential_of(8 if tiny else 128)
    structure = Structure.from_ase(silicon(1 if tiny else 2))
    graph = build_graph(structure, potential.cutoff, (14,)).to(dtype=torch.float32)
    operations = operations_of(potential, graph.n_edges, graph.n_edges // 2, graph.n_nodes)
    modules = [module for module, _ in operations.values()]
    size = 256 if tiny else 1536
    contenders: dict[str, Callable[[], object]] = {"peak": peak(size)}
    flops = {"peak": 2.0 * size**3}
    inputs = inputs_of(potential, modules, graph)
    for (name, (module, count)), arguments in zip(operations.items(), inputs, strict=True):
        for of, function in passes_of(module, arguments).items():
            contenders[f"{name}: {of}"] = function
            flops[f"{name}: {of}"] = float(count * PASSES[of])
    effort = Effort(rounds=2, seconds=0.0) if tiny else Effort(seconds=0.1, most=50)
    times, load = in_turns(contenders, effort)
    milliseconds = {name: record["processor_ms"]["median"] for name, record in times.items()}
    rates = {name: flops[name] / (1e6 * ms) for name, ms in milliseconds.items()}
    rows = [
        {
            "operation": name.split(": ")[0],
            "pass": name.split(": ")[1],
            "ms": milliseconds[name],
            "iqr_ms": times[name]["processor_ms"]["iqr"],
            "mflop": flops[name] / 1e6,
            "gflops": rates[name],
            "share_of_peak": rates[name] / rates["peak"],
        }
        for name in contenders
        if name != "peak"
    ]
    return {
        "peak": f"torch.mm of {size} x {size} matrices",
        "peak_gflops": rates["peak"],
        "kernels": potential.kernels.label,
        "load": load,
        "rows": rows,
    }


def main() -> None:
    """Print the result."""
    arguments_of = parser(__doc__)
    arguments_of.add_argument("--tiny", action="store_true", help="few channels: only a test")
    result = measure(tiny=arguments_of.parse_args().tiny)
    assert all(math.isfinite(row["gflops"]) for row in result["rows"])
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

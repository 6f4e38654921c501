"""Traced potentials give the numbers of the potential, compiled or exported, of any size."""

import io
import re
import subprocess
import sys
from pathlib import Path

import jaxtyping
import pytest
import torch

from multiace.deploy.trace import trace_potential
from multiace.design import Statistics
from multiace.kernels.cpu.library import KernelLibraryError
from multiace.potential import Potential
from multiace.presets import PRESETS

STATISTICS = Statistics(mean_neighbours=10.0, atomic_energies={"H": -13.6, "C": -30.0})
SIZES = [(7, 40), (12, 95), (3, 11), (2, 2), (1, 1), (1, 0)]
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(autouse=True, scope="module")
def unchecked():
    """Run without the shape checker: to it, the symbol of a size is no int."""
    checked = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", checked)


def build(preset: str, kernels: str) -> Potential:
    try:
        return Potential(
            PRESETS[preset](size="small", channels=4),
            (1, 6),
            STATISTICS,
            seed=0,
            kernels=kernels,
            dtype=torch.float64,
        )
    except KernelLibraryError as error:
        pytest.skip(str(error))


def inputs(n_nodes: int, n_edges: int) -> tuple[torch.Tensor, ...]:
    """Edge vectors, senders, receivers and species of a random graph."""
    random = torch.Generator().manual_seed(n_edges)
    nodes = torch.randint(0, n_nodes, (2, n_edges), generator=random)
    edge_vectors = 1.5 * torch.randn(n_edges, 3, generator=random, dtype=torch.float64)
    species = torch.randint(0, 2, (n_nodes,), generator=random)
    return edge_vectors, nodes[0], nodes[1].sort().values, species


EDGE = "(torch.ones(1, 3), torch.tensor([1]), torch.tensor([0]), torch.tensor([0, 0]))"


def run(code: str, path: Path) -> str:
    """Run Python in a process of its own; return what it prints."""
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def expected(potential: Potential, graph: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    edge_vectors, senders, receivers, species = graph
    r = edge_vectors.clone().requires_grad_()
    energies = potential.model(r, senders, receivers, species, len(species)).sum(dim=1)
    (gradient,) = torch.autograd.grad(energies.sum(), r, materialize_grads=True)
    return energies.detach(), gradient


def assert_same_for_all_sizes(potential: Potential, traced: object) -> None:
    assert callable(traced)
    for size in SIZES:
        graph = inputs(*size)
        torch.testing.assert_close(tuple(traced(*graph)), expected(potential, graph), **TOLERANCE)


@pytest.fixture(
    scope="module",
    params=[
        ("mace", "cpu"),
        *(
            pytest.param((preset, kernels), marks=pytest.mark.slow)
            for preset, kernels in [
                ("nequip", "cpu"),
                ("botnet", "cpu"),
                ("mace", "reference"),
                ("nequip", "reference"),
                ("botnet", "reference"),
            ]
        ),
    ],
    ids="-".join,
)
def pair(request):
    potential = build(*request.param)
    return potential, trace_potential(potential)


def test_the_graph_gives_energies_and_gradients(pair):
    assert_same_for_all_sizes(*pair)


def test_the_graph_needs_no_autograd(pair):
    _, graph = pair
    energies, gradient = graph(*inputs(7, 40))
    assert not energies.requires_grad
    assert not gradient.requires_grad
    assert not list(graph.parameters())


def test_the_graph_of_the_reference_has_no_operation_of_ours():
    design = PRESETS["nequip"](size="small", channels=2, layers=1)
    potential = Potential(design, (1, 6), STATISTICS, kernels="reference", dtype=torch.float64)
    graph = trace_potential(potential)
    assert "multiace" not in graph.code
    assert_same_for_all_sizes(potential, graph)


def test_an_exported_graph_is_saved_and_loaded_with_free_sizes(pair):
    potential, graph = pair
    edges, nodes = torch.export.Dim("edges"), torch.export.Dim("nodes")
    sizes = ({0: edges}, {0: edges}, {0: edges}, {0: nodes})
    exported = torch.export.export(graph, inputs(7, 40), dynamic_shapes=sizes)
    file = io.BytesIO()
    torch.export.save(exported, file)
    file.seek(0)
    assert_same_for_all_sizes(potential, torch.export.load(file).module())


@pytest.mark.slow
def test_another_process_runs_the_program_of_the_docs(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "installing.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    path, load = tmp_path / "program.pt2", "program = torch.export.load(sys.argv[1]).module()"
    choose = "from multiace.kernels.dispatch import select_kernels; select_kernels()"
    run(f"{code}\nimport sys; torch.export.save(program, sys.argv[1])", path)
    printed = run(f"import sys, torch; {choose}; {load}; print(program(*{EDGE})[0].shape)", path)
    assert "torch.Size([2])" in printed


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_graph_is_compiled_for_all_sizes(pair, backend):
    potential, graph = pair
    compiled = torch.compile(graph, backend=backend, dynamic=True, fullgraph=True)
    assert_same_for_all_sizes(potential, compiled)

"""A backend touches one folder: what it does not compute is left to the definitions."""

import copy
import logging
import pickle

import pytest
import torch
from tests.kernels.comparison import random
from tests.kernels.toy_backend import NAMESPACE, TOY, gate
from tests.laws.systems import METHANOL

from multiace.activation import Activation
from multiace.design import Statistics
from multiace.geometry import build_graph
from multiace.kernels import dispatch
from multiace.kernels.operation import Namespace, Passes
from multiace.kernels.operations.gate import GATE
from multiace.kernels.tables import GateTable
from multiace.o3.irreps import Irreps
from multiace.potential import Potential
from multiace.presets import PRESETS

STATISTICS = Statistics(mean_neighbours=5.0, atomic_energies={"H": 0.0, "C": 0.0, "O": 0.0})
NEEDS_GPU = (
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(dispatch.BACKENDS, "toy", lambda: TOY)


def build(kernels, preset="nequip", device="cpu"):
    design = PRESETS[preset]("small", channels=4, layers=2)
    fields = {"kernels": kernels, "device": device, "dtype": torch.float64}
    return Potential(design, (1, 6, 8), STATISTICS, **fields)


def results(potential):
    """Energies, forces, and gradients of a loss of both."""
    graph = build_graph(METHANOL, potential.cutoff, potential.elements)
    device = next(potential.parameters()).device
    prediction = potential(graph.to(device=device, dtype=potential.dtype))
    loss = prediction.energy.sum() + prediction.forces.square().sum()
    gradients = torch.autograd.grad(loss, list(potential.parameters()))
    return [x.detach().cpu() for x in (prediction.energy, prediction.forces, *gradients)]


def test_a_model_on_one_pass_of_a_backend_is_the_model():
    expected, potential = results(build("reference")), build("toy")
    for model in (potential, copy.deepcopy(potential), pickle.loads(pickle.dumps(potential))):
        torch.testing.assert_close(results(model), expected)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("kernels", "device"),
    [("toy", "cpu"), *(pytest.param(k, "cuda", marks=NEEDS_GPU) for k in ("reference", "toy"))],
)
def test_energies_forces_and_gradients_are_those_of_the_definitions(preset, kernels, device):
    found = results(build(kernels, preset, device))
    torch.testing.assert_close(found, results(build("reference", preset)))


def test_passes_by_the_definition_are_operations_to_torch():
    plain = Activation("silu", 1.0)
    table = GateTable(Irreps.parse("4x0e+2x1o"), Irreps.parse("2x0e+2x1o"), plain, plain, plain)
    x = random(3, 10)
    operations = torch.ops.multiace_toy
    torch.library.opcheck(operations.gate.default, (x.requires_grad_(), table.encoding, 8))
    backward = ([True], random(3, 8), x.detach(), table.encoding, 8)
    utilities = ("test_schema", "test_faketensor")
    torch.library.opcheck(operations.gate_backward.default, backward, test_utils=utilities)
    second = ([True, True], random(3, 10), *backward[1:])
    torch.library.opcheck(operations.gate_double_backward.default, second, test_utils=utilities)
    assert NAMESPACE.direct[operations.gate.default](x.detach(), table.encoding, 8).shape == (3, 8)


def test_passes_that_a_backend_lacks_are_said_once(caplog):
    with caplog.at_level(logging.INFO, logger="multiace"):
        Namespace("lacking", "cpu").register(GATE, Passes(gate))
    assert [record.getMessage() for record in caplog.records] == [
        "kernels lacking: gate has no pass backward; it is that of the definition",
        "kernels lacking: gate has no pass double_backward; it is that of the definition",
    ]

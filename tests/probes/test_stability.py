"""Stability and cost: springs hold, holes fail, counts are those of the design."""

import numpy as np
import pytest
import torch
from tests.probes.conftest import LENGTH, STIFFNESS, PairCalculator, harmonic

from multiace import probes
from multiace.deploy.dynamics import Thermostat
from multiace.design.cost import cost as design_cost
from multiace.geometry import Structure
from multiace.probes.cost import peak_memory
from multiace.probes.stability import SurfaceEvaluator, energy_drift, time_to_failure
from multiace.probes.surface import surface

PAIR = Structure(np.array([6, 8]), np.array([[0.0] * 3, [LENGTH, 0.0, 0.0]]))


def test_a_spring_keeps_its_energy_and_half_the_step_quarters_the_fluctuation():
    found = probes.stability(harmonic(), PAIR, temperatures=[300.0], steps=100, timestep=0.5)
    assert found["halving_ratio"] == pytest.approx(4.0, rel=0.15)
    assert found["fluctuation"] < 1.0
    assert found["failed_at"] is None
    ((temperature, survived, _, reason),) = found.table("temperatures").rows
    assert (temperature, survived, reason) == (300.0, pytest.approx(0.05), "")


def test_a_force_that_is_not_minus_the_slope_drifts():
    spring = harmonic()
    pushed = PairCalculator(spring.u, lambda r: 1.3 * spring.slope(r))
    honest, wrong = (
        energy_drift(SurfaceEvaluator(surface(c)), PAIR, 600.0, 0.5, 100, seed=0)
        for c in (spring, pushed)
    )
    assert wrong.fluctuation > 20.0 * honest.fluctuation


def test_a_bond_without_a_force_breaks_at_the_first_temperature():
    loose = PairCalculator(lambda r: 0.0 * r, lambda r: 0.0 * r)
    found = probes.stability(loose, PAIR, temperatures=[30000.0, 60000.0], steps=100)
    assert found["failed_at"] == 30000.0
    (row,) = found.table("temperatures").rows
    assert "bond of atoms 0 and 1" in row[3] or "apart" in row[3]
    assert row[1] < 0.05


def test_what_is_not_finite_ends_a_run_with_its_reason():
    def u(r):
        return np.where(r > LENGTH + 0.02, np.nan, 0.5 * STIFFNESS * (r - LENGTH) ** 2)

    broken = SurfaceEvaluator(surface(PairCalculator(u, lambda r: STIFFNESS * (r - LENGTH))))
    survived, _, reason = time_to_failure(broken, PAIR, Thermostat(600.0, 0.01), 0.5, 400)
    assert "not finite" in reason
    assert survived < 0.2


def test_temperatures_must_ascend():
    with pytest.raises(ValueError, match="must ascend"):
        probes.stability(harmonic(), PAIR, temperatures=[600.0, 300.0])


def test_a_model_runs_with_its_plan(potentials):
    found = probes.stability(potentials[0], PAIR, temperatures=[300.0], steps=10)
    assert abs(found["drift"]) < 1.0
    assert set(found.panels) == {"drift", "survival"}


def test_counts_are_those_of_the_design_and_times_are_positive(potentials):
    water = Structure(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]))
    found = probes.cost(potentials[0], [PAIR, water], seconds=0.0)
    ideal = design_cost(potentials[0].design, 3, 2.0)
    assert found["neighbours"] == 2.0
    assert found["flops_forces"] == ideal.flops_forces
    assert found["gflops"] == pytest.approx(3 * ideal.flops_forces / (1e6 * found["time"]))
    assert [row[0] for row in found.table("cost").rows] == [2, 3]
    assert found.settings["dtype"] == "float64"
    assert probes.cost(harmonic(), [water], seconds=0.0)["time"] > 0.0
    with pytest.raises(ValueError, match="at least one"):
        probes.cost(potentials[0], [])


@pytest.mark.parametrize("freed", [0, 200 * 1024**2])
def test_memory_is_what_the_work_takes_at_its_peak(freed):
    def work():
        return torch.ones(8 * 1024**2, dtype=torch.float64).sum()  # 64 MiB, touched

    pieces = [bytearray(100_000) for _ in range(freed // 100_000)]
    pin = bytearray(100_000)  # above them: the heap cannot shrink when they are freed
    del pieces
    found = peak_memory(work, torch.device("cpu"))
    del pin
    if found is None:
        pytest.skip("this system does not reset the peak of the resident set")
    assert 0.8 * 64 * 1024**2 < found < 2.0 * 64 * 1024**2

"""Two tiny trained runs and what a report is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.training.tiny import ENERGIES, config, molecules, write

from multiace.geometry import Labels, Structure
from multiace.geometry.coordinate import coordinate
from multiace.report.runs import Evidence, Run, Scan, collect, read_run
from multiace.training import train


def atom(symbol: str, number: int) -> Structure:
    return Structure(
        numbers=np.array([number]),
        positions=np.zeros((1, 3)),
        labels=Labels(energy=ENERGIES[symbol]),
        config_type="isolated_atom",
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Return a folder with data and two runs, `run` and `other`, of different seeds."""
    folder = tmp_path_factory.mktemp("runs")
    isolated = write(folder / "atoms.xyz", [atom("H", 1), atom("O", 8)])
    hot = [replace(s, config_type=("a", "b")[k % 2]) for k, s in enumerate(molecules(6, seed=5))]
    data = {
        "energies": {},
        "isolated_atoms": str(isolated),
        "tests": {"hot": str(write(folder / "hot.xyz", hot))},
    }
    for name, seed in (("run", 1), ("other", 2)):
        out = str(folder / name)
        train(config(folder, data=data, epochs=6, seed=seed, out=out), progress="none")
    return folder


@pytest.fixture(scope="session")
def runs(folder) -> tuple[Run, Run]:
    return read_run(folder / "run", "one"), read_run(folder / "other", "two")


def stretched() -> tuple[Structure, ...]:
    """Return water with its first O-H bond stretched."""
    (water,) = molecules(1)
    structures = []
    for length in (1.6, 0.8, 1.2, 2.4):
        positions = water.positions.copy()
        along = positions[1] - positions[0]
        positions[1] = positions[0] + length * along / np.linalg.norm(along)
        energy = water.labels.energy + 4.0 * (length - 1.0) ** 2
        structures.append(replace(water, positions=positions, labels=Labels(energy=energy)))
    return tuple(structures)


@pytest.fixture(scope="session")
def scan() -> Scan:
    return Scan(
        "stretch",
        "O–H bond",
        "r(O–H) (Å)",
        stretched(),
        lambda s: coordinate(s, (0, 1)),
        limit=-2070.0,
        limit_label="OH + H",
    )


@pytest.fixture(scope="session")
def evidence(runs, scan) -> Evidence:
    return collect(runs, scans=(scan,), progress=lambda what, part: None)

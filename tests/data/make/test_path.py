"""The path of least energy passes the saddle, and its ends are minima."""

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write
from tests.data.make.calculators import WATER, springs

from multiace.data import DataError, bundled, read_structures
from multiace.data.make import make, make_recipe
from multiace.data.make.path import ReactionPath
from multiace.data.make.recipe import Path
from multiace.data.make.source import System


@pytest.mark.slow
def test_the_proton_of_malonaldehyde_passes_the_barrier_of_the_relaxed_scan(tmp_path):
    pytest.importorskip("tblite", reason="labels need tblite")
    scan = read_structures(bundled("malonaldehyde/proton_transfer"))
    for name, frame in (("start", scan[0]), ("end", scan[-1])):
        write(tmp_path / f"{name}.xyz", frame.to_ase())
    recipe = make_recipe(
        {
            "structure": str(tmp_path / "start.xyz"),
            "sets": {"path": {"kind": "path", "end": str(tmp_path / "end.xyz"), "images": 5}},
        }
    )
    (made,) = make(recipe, tmp_path / "out")
    energies = np.array([frame.labels.energy for frame in read_structures(made.path)])
    barrier = max(frame.labels.energy for frame in scan) - scan[0].labels.energy
    assert len(energies) == 5
    assert energies[2] - energies[0] == pytest.approx(barrier, abs=0.003)
    assert energies[4] - energies[0] == pytest.approx(0.0, abs=0.002)


def test_ends_must_have_the_same_atoms_in_the_same_order(tmp_path):
    water = molecule("H2O")
    write(tmp_path / "end.xyz", water[[1, 0, 2]])
    with pytest.raises(DataError, match=r"end must have the atoms .* in the same order"):
        ReactionPath(
            "p",
            System(water, 0, 1, springs(*WATER)),
            Path(kind="path", end=str(tmp_path / "end.xyz")),
            relax_end=False,
        )


@pytest.mark.parametrize(("steps", "converges"), [(300, True), (1, False)])
def test_a_path_that_does_not_converge_is_no_path(tmp_path, steps, converges):
    water = molecule("H2O")
    mirrored = water.copy()
    mirrored.positions[:, 2] *= -1
    write(tmp_path / "end.xyz", mirrored)
    settings = Path(
        kind="path",
        end=str(tmp_path / "end.xyz"),
        images=5,
        steps=steps,
        climb=False,
        largest_force=0.01,
    )
    source = ReactionPath("p", System(water, 0, 1, springs(*WATER)), settings, relax_end=True)
    outcomes = [outcome for outcome, _ in source.points({}, lambda energies: None)]
    assert len(outcomes) == 5
    if converges:
        lengths = [point.info["path_A"] for point in outcomes]
        assert lengths == sorted(lengths)
        assert lengths[0] == 0.0
    else:
        assert all("no path: not converged to 0.01" in failure.reason for failure in outcomes)

"""What is refused before LAMMPS is asked for anything: needs no LAMMPS."""

from types import SimpleNamespace

import pytest

from multiace.deploy.lammps import LAMMPSForces


def test_several_processes_are_refused(random_potential):
    settings = {"world_size": 4, "box_exist": 1, "ntypes": 1}
    parallel = SimpleNamespace(
        extract_global=lambda name: "metal", extract_setting=settings.__getitem__
    )
    with pytest.raises(ValueError, match=r"runs in 4 processes.*without mpirun"):
        LAMMPSForces(parallel, random_potential, ["H"])

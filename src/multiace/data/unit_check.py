"""Recognise positions and labels that are not in eV and Å.

Nothing is converted: each finding names the unit that the numbers look like. The rules are about
whole files, since single frames may be extreme for good reasons (a dimer scan starts at 0.35 Å).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from ase.data import covalent_radii
from jaxtyping import Float64

from multiace.data.errors import DataError
from multiace.data.nearest import nearest
from multiace.elements import sorted_elements, symbol_of
from multiace.geometry import Structure
from multiace.units import BOHR, GPA, HARTREE, KBAR, KCAL_PER_MOL

ENERGY_UNITS: Final[Mapping[str, float]] = {
    "eV": 1.0,
    "Hartree": HARTREE,
    "Rydberg": 0.5 * HARTREE,
    "kcal/mol": KCAL_PER_MOL,
    "kJ/mol": KCAL_PER_MOL / 4.184,
    "meV": 1e-3,
}
"""Units of energy that data are found in, in eV."""

FORCE_UNITS: Final[Mapping[str, float]] = {
    "eV/Å": 1.0,
    "Hartree/Bohr": HARTREE / BOHR,
    "Rydberg/Bohr": 0.5 * HARTREE / BOHR,
    "kcal/mol/Å": KCAL_PER_MOL,
    "kJ/mol/Å": KCAL_PER_MOL / 4.184,
    "meV/Å": 1e-3,
    "eV/Bohr": 1 / BOHR,
}
"""Units of force that data are found in, in eV/Å."""

STRESS_UNITS: Final[Mapping[str, float]] = {"eV/Å^3": 1.0, "GPa": GPA, "kbar": KBAR}
"""Units of stress that data are found in, in eV/Å^3."""

# Non-relativistic energies of the atoms H to Ar, Hartree: Chakravorty et al., Phys. Rev. A 47
# (1993) 3649, doi:10.1103/PhysRevA.47.3649, table XI. Energies of any all-electron method come
# within 3 %.
_ATOMS: Final = (
    *(-0.5, -2.9037, -7.4781, -14.6674, -24.6539, -37.8450, -54.5892, -75.0673, -99.7339),
    *(-128.9376, -162.2546, -200.053, -242.346, -289.359, -341.259, -398.110, -460.148, -527.540),
)
_ALL_ELECTRON: Final = 0.03
_BINDING: Final = (-12.0, -1.0)  # eV per atom; in Rydberg or Hartree it would be above -0.9
_TYPICAL_FORCE: Final = 0.2  # eV/Å: median that Rydberg/Bohr would not reach
_MOST_PER_ATOM: Final = 50.0  # eV: no bond is stronger
_SHORTEST, _LONGEST = 0.5, 8.0  # Å: median nearest neighbour
_SHORTEST_RATIO = 0.4  # median nearest neighbour over the sum of covalent radii
_BOHR_RATIOS = (1.6, 2.3)  # nearest neighbours over the sum of covalent radii, in Bohr
_BONDED = 1.45  # nearest neighbours over the sum of covalent radii, at most
_NOBLE_GASES: Final = frozenset((2, 10, 18, 36, 54, 86))
_MEDIAN_FORCE = 12.0  # eV/Å
_RMS_FORCE = 50.0  # eV/Å
_RMS_STRESS = 2.0  # eV/Å^3
_FIRST_SEARCH = 3.0  # Å
_SAMPLED_ATOMS = 2000


def unit_problems(
    file: str, structures: Sequence[Structure], atomic_energies: Mapping[int, float]
) -> Iterator[DataError]:
    """Yield what in a file looks like other units.

    Args:
        file: name of the file, for messages.
        structures: its structures.
        atomic_energies: E0 in eV by atomic number, as far as known.
    """
    for problem in (
        _lengths(structures),
        _energies(structures, atomic_energies),
        _forces(structures),
        _stresses(structures),
    ):
        if problem is not None:
            field, text, hint = problem
            hint = f"{hint} Give eV and Å, or switch this check off with unit_check."
            yield DataError(text, file=file, field=field, hint=hint)


Found = tuple[str, str, str] | None  # field, problem, hint


def sampled(structures: Sequence[Structure], n_atoms: int = _SAMPLED_ATOMS) -> list[Structure]:
    """Return structures at equal distances in a file, with about `n_atoms` atoms in all."""
    if not structures:
        return []
    total = sum(structure.n_atoms for structure in structures)
    step = max(1, -(-total // n_atoms))
    return list(structures[::step])


def _lengths(structures: Sequence[Structure]) -> Found:
    """Compare nearest neighbours with what atoms can have."""
    sample = sampled([structure for structure in structures if structure.n_atoms > 1])
    if not sample:
        return None
    for radius in (_FIRST_SEARCH, _LONGEST):
        found = nearest(sample, radius)
        middle = float(np.median(np.concatenate([one.distances for one in found])))
        if middle < radius:
            break
    said = f"the median distance of nearest neighbours is {middle:.3g} Å"
    ratios = [
        one.distances / (covalent_radii[s.numbers] + covalent_radii[s.numbers[one.neighbours]])
        for s, one in zip(sample, found, strict=True)
        if not _NOBLE_GASES & set(s.numbers.tolist())
    ]
    ratio = np.concatenate(ratios) if ratios else np.ones(1)
    if middle < _SHORTEST or np.median(ratio) < _SHORTEST_RATIO:
        if _are_fractions(sample):
            return "pos", said, "The positions look like fractions of the cell vectors."
        return "pos", said, "The positions look like nm."
    if middle > _LONGEST:
        return "pos", f"{said.replace('inf', f'more than {_LONGEST:g}')}", "Are these pm?"
    if (ratio < _BONDED).mean() > 0.05:
        return None
    middle = float(np.median(ratio))
    if _BOHR_RATIOS[0] < middle < _BOHR_RATIOS[1]:
        return "pos", f"{said}, {middle:.3g} times the covalent radii", "They look like Bohr."
    return None


def _are_fractions(structures: Sequence[Structure]) -> bool:
    return all(
        structure.cell is not None
        and np.abs(structure.positions).max() <= 1.5
        and np.linalg.norm(structure.cell, axis=1).min() > 2.0
        for structure in structures
    )


def _energies(structures: Sequence[Structure], known: Mapping[int, float]) -> Found:
    """Compare energies with E0, else with the energies of whole atoms."""
    labelled = [s for s in structures if s.labels.energy is not None and s.n_atoms > 1]
    if not labelled:
        return None
    totals = np.array([structure.labels.energy for structure in labelled])
    sizes = np.array([structure.n_atoms for structure in labelled])
    elements = sorted_elements(z for s in labelled for z in set(s.numbers.tolist()))
    bound = None
    if set(elements) <= set(known):
        bound = float(np.median((totals - _sums(labelled, known)) / sizes))
    if max(elements) <= len(_ATOMS) and not _is_binding(bound):
        whole = _sums(labelled, {z: _ATOMS[z - 1] * HARTREE for z in elements})
        ratio = float(np.median(totals / whole))
        for name, unit in ENERGY_UNITS.items():
            if name == "Rydberg" and _has_typical_forces(labelled):
                continue  # valence energies of xTB in eV are near by chance: -34.44 for ethanol
            if name != "eV" and abs(ratio * unit - 1) < _ALL_ELECTRON:
                text = f"energies of {np.median(totals / sizes):.6g} per atom (median) are those of"
                elements_text = ", ".join(symbol_of(z) for z in elements)
                text += f" whole atoms of {elements_text} in {name}"
                return "energy", text, f"The energies look like {name}."
    if bound is None or abs(bound) <= _MOST_PER_ATOM:
        return None
    text = f"the energies lie {bound:.6g} eV per atom (median) from the energies of the atoms"
    hint = "Energies and E0 must be of one method and in eV"
    typical = {name: bound * unit for name, unit in ENERGY_UNITS.items() if -10 < bound * unit < -1}
    like = f", and these look like {' or '.join(typical)}" if typical else ""
    return "energy", text, f"{hint}{like}."


def _is_binding(bound: float | None) -> bool:
    """Return whether an energy per atom relative to E0 is one of bonds in eV."""
    return bound is not None and _BINDING[0] < bound < _BINDING[1]


def _has_typical_forces(structures: Sequence[Structure]) -> bool:
    """Return whether there are forces of the size they have in eV/Å."""
    arrays = [s.labels.forces for s in structures if s.labels.forces is not None]
    if not arrays:
        return False
    middle = float(np.median(np.linalg.norm(np.concatenate(arrays), axis=1)))
    return _TYPICAL_FORCE < middle <= _MEDIAN_FORCE


def _sums(
    structures: Sequence[Structure], energies: Mapping[int, float]
) -> Float64[np.ndarray, " structures"]:
    """Return the sum of the atoms' energies of each structure."""
    table = np.zeros(max(energies) + 1)
    table[list(energies)] = list(energies.values())
    return np.array([table[structure.numbers].sum() for structure in structures])


def _forces(structures: Sequence[Structure]) -> Found:
    """Compare the size of forces with those in matter."""
    arrays = [s.labels.forces for s in structures if s.labels.forces is not None and s.n_atoms > 1]
    if not arrays:
        return None
    norms = np.linalg.norm(np.concatenate(arrays), axis=1)
    middle, rms = float(np.median(norms)), float(np.sqrt(np.mean(np.square(norms)) / 3))
    if middle <= _MEDIAN_FORCE and rms <= _RMS_FORCE:
        return None
    text = f"forces have a median of {middle:.3g} eV/Å and components of {rms:.3g} eV/Å (rms)"
    typical = [name for name, unit in FORCE_UNITS.items() if 0.2 < middle * unit < 5.0]
    hint = f"They look like {' or '.join(typical)}." if typical else "No unit explains them."
    return "forces", text, hint


def _stresses(structures: Sequence[Structure]) -> Found:
    """Compare the size of stresses with those that matter bears."""
    found = [s.labels.stress for s in structures if s.labels.stress is not None]
    if not found:
        return None
    rms = float(np.sqrt(np.mean(np.square(found))))
    if rms <= _RMS_STRESS:
        return None
    text = f"stress has components of {rms:.3g} eV/Å^3 (rms), which is {rms / GPA:.3g} GPa"
    typical = [name for name in ("GPa", "kbar") if rms * STRESS_UNITS[name] < 0.5]
    hint = f"It looks like {' or '.join(typical)}." if typical else "It may be a virial in eV."
    return "stress", text, hint

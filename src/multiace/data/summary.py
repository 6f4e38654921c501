"""What a set of structures holds, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Real

from multiace.data.atomic_energies import is_isolated_atom, isolated_atom_energies
from multiace.data.duplicates import find_duplicates
from multiace.data.nearest import nearest
from multiace.data.unit_check import sampled
from multiace.elements import atomic_number, symbol_of
from multiace.geometry import Structure, neighbour_list
from multiace.units import GPA

_SAMPLED_ATOMS = 20_000
_SEARCH = 3.0  # Å, for nearest neighbours


@dataclass(frozen=True)
class Range:
    """How numbers are spread.

    Args:
        count: how many there are.
        lowest: the smallest.
        median: half of them are smaller.
        mean: their mean.
        highest: the largest.
        deviation: standard deviation.
    """

    count: int
    lowest: float
    median: float
    mean: float
    highest: float
    deviation: float

    @classmethod
    def of(cls, values: Real[np.ndarray, "..."]) -> Range | None:
        """Return the range of numbers, None if there are none.

        Example:
            >>> Range.of(np.array([1.0, 2.0, 6.0])).mean
            3.0
        """
        flat = np.ravel(values)
        if flat.size == 0:
            return None
        return cls(
            count=int(flat.size),
            lowest=float(flat.min()),
            median=float(np.median(flat)),
            mean=float(flat.mean()),
            highest=float(flat.max()),
            deviation=float(flat.std()),
        )


@dataclass(frozen=True)
class Summary:
    """What structures hold; ranges are None where there is nothing.

    Args:
        n_structures: structures.
        n_atoms: their atoms.
        elements: atoms by symbol.
        sizes: atoms of a structure.
        periodicity: structures by `pbc`, e.g. `TTF`.
        config_types: structures by kind of configuration.
        labels: structures with each label.
        energies: eV per atom, isolated atoms left out.
        binding_energies: energies beyond E0, eV per atom, where E0 of all elements is known.
        force_norms: length of forces, eV/Å.
        pressures: minus the mean of the diagonal of the stress, GPa.
        volumes: Å^3 per atom.
        distances: from each atom to its nearest neighbour, Å; periodic ones within 3 Å.
        cutoff: Å, for `neighbours`.
        neighbours: neighbours of an atom within the cutoff.
        atomic_energies: E0 of isolated atoms, eV by symbol.
        n_repeated: structures that occur before, identical or equivalent.
    """

    n_structures: int
    n_atoms: int
    elements: dict[str, int]
    sizes: Range | None
    periodicity: dict[str, int]
    config_types: dict[str, int]
    labels: dict[str, int]
    energies: Range | None
    binding_energies: Range | None
    force_norms: Range | None
    pressures: Range | None
    volumes: Range | None
    distances: Range | None
    cutoff: float
    neighbours: Range | None
    atomic_energies: dict[str, float]
    n_repeated: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain data."""
        return asdict(self)


def summarise(structures: Sequence[Structure], cutoff: float) -> Summary:
    """Summarise structures; distances and neighbours from about 20,000 atoms of them.

    Args:
        structures: all structures.
        cutoff: Å.

    Raises:
        DataError: isolated atoms that contradict one another.

    Example:
        >>> from multiace.data import bundled, read_structures
        >>> summary = summarise(read_structures(bundled("malonaldehyde/stretch")), cutoff=4.0)
        >>> summary.n_structures, summary.elements
        (33, {'H': 132, 'C': 99, 'O': 66})
    """
    structures = list(structures)
    condensed = [structure for structure in structures if not is_isolated_atom(structure)]
    known = isolated_atom_energies(structures)
    sample = sampled(condensed, _SAMPLED_ATOMS)
    near = [one.distances for one in nearest(sample, _SEARCH)]
    repeated = find_duplicates(structures, [""] * len(structures)).count().get(("", ""), {})
    forces = [s.labels.forces for s in structures if s.labels.forces is not None]
    stresses = [s.labels.stress for s in structures if s.labels.stress is not None]
    per_atom = [s.labels.energy / s.n_atoms for s in condensed if s.labels.energy is not None]
    return Summary(
        n_structures=len(structures),
        n_atoms=sum(structure.n_atoms for structure in structures),
        elements=_elements(structures),
        sizes=Range.of(np.array([structure.n_atoms for structure in structures])),
        periodicity=_counted("".join("FT"[p] for p in s.pbc) for s in structures),
        config_types=_counted(structure.config_type for structure in structures),
        labels={
            name: sum(getattr(s.labels, name) is not None for s in structures)
            for name in ("energy", "forces", "stress")
        },
        energies=Range.of(np.array(per_atom)),
        binding_energies=Range.of(_binding(condensed, known)),
        force_norms=Range.of(np.linalg.norm(np.concatenate([np.zeros((0, 3)), *forces]), axis=1)),
        pressures=Range.of(np.array([-np.trace(stress) / 3 / GPA for stress in stresses])),
        volumes=Range.of(np.array([s.volume / s.n_atoms for s in condensed if s.volume])),
        distances=Range.of(_finite(near)),
        cutoff=cutoff,
        neighbours=Range.of(_neighbours(sample, cutoff)),
        atomic_energies=dict(sorted(known.items(), key=lambda pair: atomic_number(pair[0]))),
        n_repeated={kind: repeated.get(kind, 0) for kind in ("identical", "equivalent")},
    )


def _counted(values: Any) -> dict[str, int]:
    """Return how often each value occurs, the most frequent first."""
    return dict(Counter(values).most_common())


def _elements(structures: Sequence[Structure]) -> dict[str, int]:
    """Return the atoms of each element, by atomic number."""
    counts = np.zeros(120, dtype=np.int64)
    for structure in structures:
        counts += np.bincount(structure.numbers, minlength=len(counts))
    return {symbol_of(int(z)): int(counts[z]) for z in np.flatnonzero(counts)}


def _binding(
    structures: Sequence[Structure], known: dict[str, float]
) -> Float64[np.ndarray, " structures"]:
    """Return energies beyond E0 per atom of the structures whose E0 are known."""
    values = []
    for structure in structures:
        symbols = [symbol_of(number) for number in structure.numbers.tolist()]
        if structure.labels.energy is not None and set(symbols) <= set(known):
            atoms = sum(known[symbol] for symbol in symbols)
            values.append((structure.labels.energy - atoms) / structure.n_atoms)
    return np.array(values)


def _finite(arrays: Sequence[Float64[np.ndarray, "_"]]) -> Float64[np.ndarray, " atoms"]:
    values = np.concatenate([np.zeros(0), *arrays])
    return values[np.isfinite(values)]


def _neighbours(structures: Sequence[Structure], cutoff: float) -> Float64[np.ndarray, " atoms"]:
    """Return the number of neighbours of each atom."""
    counts = [
        np.bincount(neighbour_list(s, cutoff).receivers, minlength=s.n_atoms) for s in structures
    ]
    return np.concatenate([np.zeros(0), *counts])

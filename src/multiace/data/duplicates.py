"""Find structures that occur twice, in one file or in several.

Two structures are *identical* if their atoms in the order of the file, their cells and their
positions up to a common translation agree to 1e-4 Å, and *equivalent* if one is the other one
rotated, mirrored, translated or with its atoms in another order: a model cannot tell them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from multiace.data.atomic_energies import is_isolated_atom
from multiace.data.errors import DataError, DataWarning
from multiace.geometry import Structure, neighbour_list

_POSITION = 1e-4  # Å
_FINGERPRINT = 2e-5
_DISTANCE = 1e-3  # Å
_ENERGY = (
    1e-4  # eV per atom: periodic structures are compared further if their energies agree to this
)
_VOLUME = 1e-6  # relative
_CONFLICT = 0.010  # eV per atom
_CUTOFF = 5.0  # Å, of fingerprints of periodic and large structures
_DENSE = 64  # atoms
_AT_ONCE = 500_000  # distances held at a time
_DECAYS = (0.5, 1.0, 2.0, 4.0)  # Å
_SEED = 0xD0B1E


@dataclass(frozen=True)
class Duplicates:
    """Structures that occur twice.

    Args:
        structures: all structures.
        owners: the file, or the part of the data, that each belongs to.
        first: index of the first structure that each one repeats; its own if there is none before.
        identical: whether it is identical to that one, or only equivalent.
    """

    structures: Sequence[Structure]
    owners: Sequence[str]
    first: Int64[np.ndarray, " structures"]
    identical: Sequence[bool]

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs (repeated, repeating)."""
        repeating = np.nonzero(self.first != np.arange(len(self.first)))[0]
        return [(int(self.first[index]), int(index)) for index in repeating]

    def count(self) -> Mapping[tuple[str, str], Counter[str]]:
        """Return how many structures of one owner repeat those of another, by kind."""
        counts: dict[tuple[str, str], Counter[str]] = {}
        for index, other in self.pairs:
            kind = "identical" if self.identical[other] else "equivalent"
            counts.setdefault((self.owners[index], self.owners[other]), Counter())[kind] += 1
        return counts

    def findings(self) -> Iterator[DataError | DataWarning]:
        """Yield energies that contradict one another, and how many structures occur twice."""
        for index, other in self.pairs:
            problem = self._conflict(index, other)
            if problem is not None:
                yield problem
        examples = {(self.owners[i], self.owners[j]): (i, j) for i, j in reversed(self.pairs)}
        for (owner, other), kinds in self.count().items():
            index, repeating = examples[owner, other]
            what = " and ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            where = "others there" if owner == other else f"frames of {owner}"
            yield DataWarning(
                f"this is the first of {sum(kinds.values())} in {other} that repeat {where} "
                f"({what}); it repeats {self.structures[index].source}",
                **_place(self.structures[repeating]),
                field="pos",
                hint="They count twice."
                if owner == other
                else "If one is for training and the other is to measure errors, take them out of "
                "one.",
            )

    def _conflict(self, index: int, other: int) -> DataError | None:
        """Return the error for one geometry with two energies."""
        one, two = self.structures[index], self.structures[other]
        if one.labels.energy is None or two.labels.energy is None:
            return None
        difference = abs(one.labels.energy - two.labels.energy) / one.n_atoms
        if difference <= _CONFLICT:
            return None
        kind = "identical" if self.identical[other] else "equivalent"
        return DataError(
            f"the frame is {kind} to {one.source}, but their energies differ by "
            f"{1e3 * difference:.4g} meV per atom",
            **_place(two),
            field="energy",
            value=two.labels.energy,
            hint="A model can learn only one of them: keep the right one.",
        )


def find_duplicates(structures: Sequence[Structure], owners: Sequence[str]) -> Duplicates:
    """Find structures that occur twice; isolated atoms are passed over.

    Molecules of up to 64 atoms are compared by all their distances. Other structures are compared
    atom by atom, and those of one volume and energy by the distances within 5 Å, so that a rotated
    copy with another energy is found among molecules only.

    Args:
        structures: all structures.
        owners: the file, or the part of the data, that each belongs to.

    Example:
        >>> pair = Structure(np.array([1, 1]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]]))
        >>> turned = Structure(np.array([1, 1]), np.array([[0.0, 0.0, 0.0], [0.74, 0.0, 0.0]]))
        >>> find_duplicates([pair, turned], ["a.xyz", "b.xyz"]).pairs
        [(0, 1)]
    """
    first = np.arange(len(structures))
    identical = [True] * len(structures)
    groups: dict[tuple[bytes, tuple[bool, ...]], list[int]] = {}
    for index, structure in enumerate(structures):
        if not is_isolated_atom(structure):
            composition = np.sort(structure.numbers).tobytes()
            groups.setdefault((composition, structure.pbc), []).append(index)
    for members in groups.values():
        for leader, index in _identical(structures, members):
            first[index] = leader
        distinct = [index for index in members if first[index] == index]
        for leader, index in _equivalent(structures, distinct):
            first[index], identical[index] = leader, False
    for index, leader in enumerate(first):  # a copy of a copy repeats the first of all
        first[index] = first[leader]
    return Duplicates(structures, owners, first, identical)


def _place(structure: Structure) -> dict[str, Any]:
    """Return the file and the frame a structure was read from."""
    file, _, frame = structure.source.rpartition(":")
    return {"file": file, "frame": int(frame)} if frame.isdigit() else {}


def _repeated(
    vectors: Float64[np.ndarray, "members values"],
    members: Sequence[int],
    tolerance: float,
) -> Iterator[tuple[int, int]]:
    """Yield (first, repeating) members whose vectors agree, found along a random direction."""
    direction = np.random.default_rng(_SEED).normal(size=vectors.shape[1])
    direction /= np.linalg.norm(direction)
    along = vectors @ direction
    reach = tolerance * np.sqrt(vectors.shape[1])
    order = np.argsort(along, kind="stable").tolist()
    leaders: list[int] = []
    for place in order:
        leaders = [leader for leader in leaders if along[place] - along[leader] <= reach]
        same = [x for x in leaders if np.abs(vectors[x] - vectors[place]).max() <= tolerance]
        if not same:
            leaders.append(place)
            continue
        yield members[same[0]], members[place]


def _identical(
    structures: Sequence[Structure], members: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Yield (first, repeating) structures that agree atom by atom."""
    by_order: dict[bytes, list[int]] = {}
    for index in members:
        by_order.setdefault(structures[index].numbers.tobytes(), []).append(index)
    for group in by_order.values():
        if len(group) == 1:
            continue
        vectors = []
        for index in group:
            structure = structures[index]
            cell = np.zeros((3, 3)) if structure.cell is None else structure.cell
            cell = cell * np.array(structure.pbc)[:, None]
            centred = structure.positions - structure.positions[0]
            vectors.append(np.concatenate([centred.ravel(), cell.ravel()]))
        for one, two in _repeated(np.array(vectors), group, _POSITION):
            yield min(one, two), max(one, two)


def _equivalent(
    structures: Sequence[Structure], members: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Yield (first, repeating) structures with the same distances."""
    if len(members) < 2:
        return
    if any(structures[members[0]].pbc) or structures[members[0]].n_atoms > _DENSE:
        for group in _of_one_energy(structures, members):
            vectors = np.array([_sparse_fingerprint(structures[index]) for index in group])
            yield from _confirmed(structures, _repeated(vectors, group, _FINGERPRINT))
        return
    vectors = _dense_fingerprints([structures[index] for index in members])
    yield from _confirmed(structures, _repeated(vectors, members, _FINGERPRINT))


def _confirmed(
    structures: Sequence[Structure], pairs: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Yield (first, repeating) pairs whose distances agree one by one.

    Fingerprints alone can come close to each other in crystals with different small strains.
    """
    for one, two in pairs:
        shorter, longer = sorted(
            (_sorted_distances(structures[one]), _sorted_distances(structures[two])), key=len
        )
        ours = longer[: len(shorter)]  # those next to the cutoff fall on either side of it
        if np.abs(ours - shorter).max(initial=0.0) <= _DISTANCE:
            yield min(one, two), max(one, two)


def _sorted_distances(structure: Structure) -> Float64[np.ndarray, " pairs"]:
    """Return all distances of a small molecule, else those within the cutoff, ascending."""
    if any(structure.pbc) or structure.n_atoms > _DENSE:
        edges = neighbour_list(structure, _CUTOFF)
        return np.sort(np.linalg.norm(edges.vectors, axis=1))
    apart = structure.positions[:, None] - structure.positions
    return np.sort(np.linalg.norm(apart, axis=2).ravel())


def _of_one_energy(structures: Sequence[Structure], members: Sequence[int]) -> Iterator[list[int]]:
    """Yield groups of structures with nearly one energy and volume."""
    labelled = [index for index in members if structures[index].labels.energy is not None]
    keys = {
        index: (
            (structures[index].labels.energy or 0.0) / structures[index].n_atoms,
            structures[index].volume or 1.0,
        )
        for index in labelled
    }
    labelled.sort(key=keys.__getitem__)
    group: list[int] = []
    for index in labelled:
        close = group and keys[index][0] - keys[group[-1]][0] < _ENERGY
        if close:
            group.append(index)
            continue
        yield from _of_one_volume(group, keys)
        group = [index]
    yield from _of_one_volume(group, keys)


def _of_one_volume(
    group: list[int], keys: Mapping[int, tuple[float, float]]
) -> Iterator[list[int]]:
    """Yield the parts of a group with one volume that have more than one member."""
    ordered = sorted(group, key=lambda index: keys[index][1])
    part: list[int] = []
    for index in ordered:
        if part and keys[index][1] > keys[part[-1]][1] * (1 + _VOLUME):
            if len(part) > 1:
                yield part
            part = []
        part.append(index)
    if len(part) > 1:
        yield part


def _species_weights(numbers: Int64[np.ndarray, " atoms"]) -> Float64[np.ndarray, " atoms"]:
    """Return a number for each element by which atoms are told apart."""
    return 0.5 + np.modf(numbers * 0.6180339887498949)[0]


def _functions(distances: Float64[np.ndarray, "..."]) -> list[Float64[np.ndarray, "..."]]:
    """Return functions of the distances that tell close and far apart."""
    return [*(np.exp(-distances / decay) for decay in _DECAYS), 1 / (1 + distances)]


def _dense_fingerprints(
    structures: Sequence[Structure],
) -> Float64[np.ndarray, "structures values"]:
    """Return what all distances within each molecule of one composition have in common."""
    numbers = np.sort(structures[0].numbers)
    weights = _species_weights(numbers)
    step = max(1, _AT_ONCE // len(numbers) ** 2)
    values = []
    for start in range(0, len(structures), step):
        positions = np.array(
            [
                structure.positions[np.argsort(structure.numbers, kind="stable")]
                for structure in structures[start : start + step]
            ]
        )
        apart = positions[:, :, None] - positions[:, None]  # (structures, atoms, atoms, 3)
        distances = np.sqrt(np.einsum("sijx,sijx->sij", apart, apart))
        densities = [function @ weights for function in _functions(distances)]
        values.append(_invariants(np.array(densities), weights).T)
    return np.concatenate(values)


def _sparse_fingerprint(structure: Structure) -> Float64[np.ndarray, " values"]:
    """Return what the distances within the cutoff say."""
    edges = neighbour_list(structure, _CUTOFF)
    lengths = np.linalg.norm(edges.vectors, axis=1)
    weights = _species_weights(structure.numbers)
    smooth = np.square(1 - np.square(lengths / _CUTOFF)) * weights[edges.senders]
    densities = np.array(
        [
            np.bincount(edges.receivers, function * smooth, minlength=structure.n_atoms)
            for function in _functions(lengths)
        ]
    )
    return _invariants(densities, weights)


def _invariants(
    densities: Float64[np.ndarray, "functions *structures atoms"],
    weights: Float64[np.ndarray, " atoms"],
) -> Float64[np.ndarray, "values *structures"]:
    """Return sums over atoms of the densities around them and of their squares, per atom."""
    squares = np.square(densities)
    return np.concatenate([densities @ weights, squares @ weights]) / len(weights)

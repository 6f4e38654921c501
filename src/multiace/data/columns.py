"""What is kept in memory of each structure of a set, whatever the number of its atoms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64, UInt8

from multiace.data.atomic_energies import is_isolated_atom
from multiace.data.identity import structure_digest
from multiace.geometry import Structure


@dataclass(frozen=True, eq=False)
class Columns:
    """One number or flag a structure: about 80 bytes, where its atoms may need kilobytes.

    Args:
        n_atoms: atoms.
        energy: total energy in eV; nan where there is none.
        has_forces: whether there are forces.
        has_stress: whether there is a stress.
        isolated: whether it is an isolated atom.
        config_type: index into `config_types`.
        digest: SHA-256 of what training sees, see `structure_digest`.
        config_types: kinds of configuration, each once.
    """

    n_atoms: Int64[np.ndarray, " structures"]
    energy: Float64[np.ndarray, " structures"]
    has_forces: Bool[np.ndarray, " structures"]
    has_stress: Bool[np.ndarray, " structures"]
    isolated: Bool[np.ndarray, " structures"]
    config_type: Int32[np.ndarray, " structures"]
    digest: UInt8[np.ndarray, "structures 32"]
    config_types: tuple[str, ...]

    @classmethod
    def of(cls, structures: Iterable[Structure]) -> Columns:
        """Return the columns of structures.

        Raises:
            DataError: a structure is called an isolated atom, but has several.
        """
        codes: dict[str, int] = {}
        rows = []
        digests = bytearray()
        for structure in structures:
            labels = structure.labels
            rows.append(
                (
                    structure.n_atoms,
                    np.nan if labels.energy is None else labels.energy,
                    labels.forces is not None,
                    labels.stress is not None,
                    is_isolated_atom(structure),
                    codes.setdefault(structure.config_type, len(codes)),
                )
            )
            digests += structure_digest(structure)
        n_atoms, energy, forces, stress, isolated, kind = (
            zip(*rows, strict=True) if rows else [()] * 6
        )
        return cls(
            n_atoms=np.array(n_atoms, dtype=np.int64),
            energy=np.array(energy, dtype=np.float64),
            has_forces=np.array(forces, dtype=bool),
            has_stress=np.array(stress, dtype=bool),
            isolated=np.array(isolated, dtype=bool),
            config_type=np.array(kind, dtype=np.int32),
            digest=np.frombuffer(bytes(digests), dtype=np.uint8).reshape(-1, 32),
            config_types=tuple(codes),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Columns]) -> Columns:
        """Return the columns of several sets of structures, one after the other."""
        codes: dict[str, int] = {}
        recoded = []
        for part in (cls.of([]), *parts):
            new = [codes.setdefault(kind, len(codes)) for kind in part.config_types]
            kinds = np.array(new, dtype=np.int32)[part.config_type]
            recoded.append(replace(part, config_type=kinds))
        arrays = {
            field.name: np.concatenate([getattr(part, field.name) for part in recoded])
            for field in fields(cls)
            if field.name != "config_types"
        }
        return cls(**arrays, config_types=tuple(codes))

    def take(self, indices: Int64[np.ndarray, " chosen"]) -> Columns:
        """Return the columns of some of the structures."""
        arrays = {
            field.name: getattr(self, field.name)[indices]
            for field in fields(self)
            if field.name != "config_types"
        }
        return replace(self, **arrays)

    @property
    def present_config_types(self) -> list[str]:
        """Kinds of configuration that occur, sorted."""
        return sorted(self.config_types[code] for code in np.unique(self.config_type))

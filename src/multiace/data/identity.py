"""What makes two structures the same to a training."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from multiace.geometry import Structure

_BLOCK = 2**22  # bytes of a file that are hashed at once


def structure_digest(structure: Structure) -> bytes:
    """Return the SHA-256 of all that training sees of a structure.

    Atoms, positions, cell, periodic directions, labels, kind of configuration and weight count;
    the file it comes from and the names of its labels there do not.

    Example:
        >>> atom = Structure(numbers=np.array([1]), positions=np.zeros((1, 3)))
        >>> structure_digest(atom).hex()[:8]
        'a6ebd953'
    """
    labels = structure.labels
    arrays = {
        "numbers": structure.numbers,
        "positions": structure.positions,
        "cell": structure.cell,
        "forces": labels.forces,
        "stress": labels.stress,
    }
    scalars = [structure.pbc, structure.config_type, structure.weight, labels.energy]
    digest = hashlib.sha256(json.dumps(scalars).encode())
    for name, array in arrays.items():
        digest.update(name.encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of the bytes of a file as 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()

"""Reference data that comes with the library: malonaldehyde at GFN2-xTB.

`bundled/README.md` says how it was made, `bundled/malonaldehyde/provenance.json` with what.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from multiace.data.errors import DataError


@dataclass(frozen=True)
class Bundled:
    """One file of the bundled data.

    Args:
        description: what it holds.
        n_structures: number of frames.
        sha256: checksum of the file.
    """

    description: str
    n_structures: int
    sha256: str


BUNDLED: Final[dict[str, Bundled]] = {
    "malonaldehyde/train_300K": Bundled(
        description="training set, molecular dynamics at 300 K",
        n_structures=500,
        sha256="bcb6f6f7fe5a0e753eb44164de7604a883155b42a7624e87e7bb5a705c017ed2",
    ),
    "malonaldehyde/test_300K": Bundled(
        description="test set, other trajectories at 300 K",
        n_structures=200,
        sha256="f6626099ad92a4a2518fe06bf8c3d291469a890bc063ad9d12080e8b014c7573",
    ),
    "malonaldehyde/test_600K": Bundled(
        description="test set, molecular dynamics at 600 K",
        n_structures=200,
        sha256="fca01d514c8c1abc9a7d98e3ef4cce5f79dbaecc818b7d212f264399114fd4f7",
    ),
    "malonaldehyde/test_1200K": Bundled(
        description="test set, molecular dynamics at 1200 K",
        n_structures=200,
        sha256="f0fe2d4233b9c0acd9fc39af14e5f5d510357bf78bfc89e2243fd911cd1597b9",
    ),
    "malonaldehyde/dihedral": Bundled(
        description="rigid rotation of the CHO group, 0 to 180 degrees",
        n_structures=37,
        sha256="8866eb5a4c8245cb18a99fd2ac5ff22828323711a7fb34d0d329265ac598429d",
    ),
    "malonaldehyde/proton_transfer": Bundled(
        description="relaxed path of the proton between the oxygen atoms",
        n_structures=21,
        sha256="de4da0e6fab512c6cc166da8cac08a5f9b0303182f4a470fa5e6d8a7995bb39a",
    ),
    "malonaldehyde/stretch": Bundled(
        description="rigid O-H stretch of the open rotamer, 0.8 to 4.0 Å",
        n_structures=33,
        sha256="3eda748798785d0e0f35fa28d58bf0e823ce9d104853fee7064f9b68565d620d",
    ),
    "malonaldehyde/isolated_atoms": Bundled(
        description="isolated H, C and O in their ground-state multiplicities",
        n_structures=3,
        sha256="722d845a4307b1f9816ae7563d8cba68916ab45db73d6347f773b54ac33ec369",
    ),
}
"""The bundled files by name: extended XYZ with energy (eV) and forces (eV/Å)."""


PREFIX: Final = "bundled:"
"""What the name of a bundled file begins with, where files are given too."""


def data_path(name: str) -> Path:
    """Return the path of a file, or of a bundled one as `bundled:NAME`.

    Raises:
        DataError: there is no such bundled file.

    Example:
        >>> data_path("bundled:malonaldehyde/stretch").name, data_path("a/b.xyz").name
        ('stretch.xyz', 'b.xyz')
    """
    return bundled(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else Path(name)


def bundled(name: str) -> Path:
    """Return the path of a bundled file.

    Raises:
        DataError: there is no such file.

    Example:
        >>> bundled("malonaldehyde/stretch").name
        'stretch.xyz'
    """
    if name not in BUNDLED:
        close = difflib.get_close_matches(name, BUNDLED, n=1)
        raise DataError(
            f"{name!r} is not a bundled data set",
            value=name,
            hint=f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(BUNDLED)}.",
        )
    return Path(str(files("multiace.data").joinpath("bundled", f"{name}.xyz")))

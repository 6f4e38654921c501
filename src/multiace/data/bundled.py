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


BUNDLED: Final[dict[str, Bundled]] = {}
"""The bundled files by name."""


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

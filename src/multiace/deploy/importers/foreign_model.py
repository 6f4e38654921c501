"""Import a model of another code: export it in its own interpreter, then read the neutral file."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from multiace.deploy.importers import exporters
from multiace.deploy.importers.mace import import_mace
from multiace.deploy.importers.nequip import import_nequip
from multiace.deploy.importers.neutral import ImportModelError, Neutral, is_neutral, read_neutral
from multiace.potential import Potential

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


class Importer(Protocol):
    """Build a Potential from a neutral file of one peer."""

    def __call__(
        self, neutral: Neutral, *, head: str | None, dtype: torch.dtype, prune: bool = True
    ) -> Potential:
        """Return the Potential; refuse by name what is not supported."""
        ...


IMPORTERS: dict[str, Importer] = {"mace": import_mace, "nequip": import_nequip}
"""Peer -> what builds a Potential from its neutral files; its exporter is `exporters/PEER.py`."""


@dataclass(frozen=True)
class Imported:
    """A potential of another code, and plain data on where it comes from."""

    potential: Potential
    provenance: dict[str, Any]


def import_model(
    peer: str,
    path: str | os.PathLike[str],
    *,
    interpreter: str | None = None,
    head: str | None = None,
    dtype: str | None = None,
    prune: bool = True,
) -> Imported:
    """Import a model file of a peer, or a neutral file that was made of one.

    Args:
        peer: `mace` or `nequip`.
        path: the file.
        interpreter: Python in which the peer is installed; not needed for a neutral file.
        head: which head, where a model has several.
        dtype: float32 or float64; by default that of the model.
        prune: leave out what cannot reach a readout.

    Raises:
        ImportModelError: a file that cannot be read, or a model that is not supported.
    """
    with tempfile.TemporaryDirectory(prefix="multiace-") as folder:
        source = Path(path)
        if not is_neutral(source):
            source = Path(folder) / "neutral.safetensors"
            export(peer, path, source, interpreter)
        neutral = read_neutral(source)
    if neutral.peer != peer:
        raise ImportModelError(
            f"{path} holds a model of {neutral.peer}. Run multiace import {neutral.peer}."
        )
    potential = IMPORTERS[peer](
        neutral, head=head, dtype=_DTYPES[dtype or neutral.settings["dtype"]], prune=prune
    )
    provenance = {
        "imported_from": peer,
        "versions": neutral.versions,
        "file": Path(path).name,
        "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
    }
    return Imported(potential, provenance if head is None else {**provenance, "head": head})


def export(
    peer: str,
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    interpreter: str | None,
) -> None:
    """Write the neutral file of a model in the interpreter of its peer.

    The file may be a pickle: whoever opens it runs what is in it, which is why only that
    interpreter does.

    Raises:
        ImportModelError: no interpreter, or what the exporter says.
    """
    if interpreter is None:
        raise ImportModelError(
            f"{path} is a file of {peer}, which only {peer} can open. Give the Python that it is "
            "installed in: --python /path/to/its/environment/bin/python."
        )
    script = Path(exporters.__file__).with_name(f"{peer}.py")
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONSAFEPATH", "PYTHONPATH")}
    try:
        done = subprocess.run(
            [interpreter, str(script), str(Path(path).resolve()), str(out)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
    except OSError as error:
        raise ImportModelError(f"{interpreter} cannot be run: {error.strerror}.") from None
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"it ended with code {done.returncode}."
        if not lines or any(line.startswith("Traceback") for line in lines):
            reason = f"{path} could not be exported by {interpreter}: {reason}"
        raise ImportModelError(reason)

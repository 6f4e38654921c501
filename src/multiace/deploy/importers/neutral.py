"""Read neutral files: what exporters write of the models of other codes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from multiace.deploy.importers.exporters.neutral import FORMAT, FORMAT_VERSION


class ImportModelError(ValueError):
    """A model of another code that cannot be imported: says what of it, the rule, the way out."""


@dataclass(frozen=True)
class Neutral:
    """A model of another code as plain data.

    | field | what |
    |---|---|
    | `peer` | the code: `mace` or `nequip` |
    | `versions` | package -> version, where the file was written |
    | `settings` | what the model is: plain data, names of the peer |
    | `tensors` | weights and constants under their original names |
    """

    peer: str
    versions: dict[str, str]
    settings: dict[str, Any]
    tensors: dict[str, Tensor]


class _Entries(dict[str, Any]):
    """What a neutral file says of a model, at any depth."""

    def __missing__(self, name: str) -> Any:
        raise ImportModelError(
            f"the neutral file has no entry {name!r}: it is damaged, or not from multiace import. "
            "Import the file of the peer again."
        )


def is_neutral(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a neutral file; nothing but its header is looked at."""
    try:
        with safe_open(path, "pt") as file:
            return FORMAT in (file.metadata() or {})
    except SafetensorError:
        return False


def read_neutral(path: str | os.PathLike[str]) -> Neutral:
    """Read a neutral file.

    Args:
        path: the file.

    Raises:
        ImportModelError: not a neutral file, or one of a later version; also, where it is used,
            a setting that is missing.
    """
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(FORMAT)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if text is None:
            raise ImportModelError(f"{path} has no {FORMAT!r} entry: it is not a neutral file.")
        description = json.loads(text, object_hook=_Entries)
        if description["format_version"] > FORMAT_VERSION:
            raise ImportModelError(
                f"{path} is in format {description['format_version']}, but this version of "
                f"multiace reads up to {FORMAT_VERSION}. Update multiace."
            )
        return Neutral(
            peer=description["peer"],
            versions=description["versions"],
            settings=description["settings"],
            tensors=tensors,
        )
    except (SafetensorError, TypeError, json.JSONDecodeError) as error:
        raise ImportModelError(f"{path} is not a neutral file: {error}.") from None

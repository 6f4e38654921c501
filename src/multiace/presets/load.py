"""Designs by name or from files: a preset, or a YAML file of fields."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from multiace.design import Design
from multiace.presets import PRESETS
from multiace.presets.build import make_design, merge

KEYWORDS = ("preset", "size", "file")
"""What a mapping may hold besides the fields of a Design."""

_FILES = (".yaml", ".yml", ".json")


def load_design(content: str | Mapping[str, Any], *, size: str | None = None) -> Design:
    """Return the Design of a preset, a file or a mapping.

    Args:
        content: name of a preset or of a YAML file, or a mapping as in `design_fields`.
        size: `paper` or `small`, for a preset.

    Raises:
        ValueError: no such preset.
        DesignError: fields that a Design refuses.
        FileNotFoundError: no such file.

    Example:
        >>> load_design("mace", size="small").layers
        2
    """
    if size is not None:
        content = {**_as_mapping(content), "size": size}
    return make_design(design_fields(content), KEYWORDS)


def design_fields(content: Any) -> Any:
    """Return the fields of the Design that `content` asks for.

    Args:
        content: name of a preset or of a YAML file, or a mapping of `preset` (and `size`) or
            `file`, and fields of the Design that change it. A training config counts as a file
            of its `design`.

    Raises:
        ValueError: both preset and file, or a preset that does not exist.

    Example:
        >>> design_fields({"preset": "nequip", "size": "small", "channels": 4})["channels"]
        4
    """
    if isinstance(content, str):
        content = _as_mapping(content)
    if not isinstance(content, Mapping):
        return content
    changes = dict(content)
    preset, size, file = (changes.pop(name, None) for name in KEYWORDS)
    if preset is not None and file is not None:
        raise ValueError(f"design has a preset ({preset}) and a file ({file}). Give one of them.")
    if preset is None and size is not None:
        raise ValueError(f"design.size is {size!r}, but there is no design.preset. Name one.")
    if file is not None:
        return merge(_read(file), changes)
    if preset is not None:
        return merge(_preset(preset, size or "paper").to_dict(), changes)
    return changes


def _as_mapping(content: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(content, str):
        return content
    return {"file" if is_file(content) else "preset": content}


def is_file(name: str) -> bool:
    """Whether a name is that of a file, and not of a preset."""
    return Path(name).suffix in _FILES


def _read(path: str) -> dict[str, Any]:
    content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds no fields of a Design. Write `field: value` lines.")
    return dict(design_fields(content.get("design", content)))


def _preset(name: str, size: Any) -> Design:
    if name not in PRESETS:
        close = difflib.get_close_matches(str(name), PRESETS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"{name!r} is neither a preset ({', '.join(PRESETS)}) nor a YAML file.{hint}"
        )
    return PRESETS[name](size)

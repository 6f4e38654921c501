"""Put a preset together from its fields, its size and the caller's changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeGuard

from multiace.design import Design

Size = Literal["paper", "small"]

_PER_LAYER = {"first", "rest", "last"}


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes`; groups are merged, per-layer values replaced as a whole.

    Example:
        >>> merge({"radial": {"number": 8, "hidden": [64]}}, {"radial": {"number": 6}})
        {'radial': {'number': 6, 'hidden': [64]}}
    """
    result = dict(base)
    for name, value in changes.items():
        old = result.get(name)
        if _is_group(old) and _is_group(value):
            result[name] = merge(old, value)
        else:
            result[name] = value
    return result


def _is_group(value: Any) -> TypeGuard[Mapping[str, Any]]:
    if not isinstance(value, Mapping) or _PER_LAYER & set(value):
        return False
    return not any(str(key).isdigit() for key in value)  # widths by l are one value


def build(
    paper: Mapping[str, Any], small: Mapping[str, Any], size: Size, changes: Mapping[str, Any]
) -> Design:
    """Return the Design of a preset.

    Raises:
        ValueError: a size that is neither `paper` nor `small`.
    """
    if size not in ("paper", "small"):
        raise ValueError(f"size must be 'paper' or 'small', got {size!r}.")
    base = paper if size == "paper" else merge(paper, small)
    return Design.model_validate(merge(base, changes))

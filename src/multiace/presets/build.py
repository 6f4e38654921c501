"""Put a preset together from its fields, its size and the caller's changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeGuard

from pydantic import ValidationError

from multiace.design import Design, DesignError
from multiace.design.errors import error_messages

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


def make_design(fields: Any, keywords: Sequence[str] = ()) -> Design:
    """Return the Design of plain fields.

    Args:
        fields: nested mappings.
        keywords: what the caller takes besides the fields of a Design.

    Raises:
        DesignError: all that is wrong, each with its field, value and rule.

    Example:
        >>> make_design({"product_basis": {"corelation": 2}})
        Traceback (most recent call last):
            ...
        multiace.design.errors.DesignError: 'product_basis.corelation' is not a design option. Did
        you mean 'product_basis.correlation'?
    """
    if not isinstance(fields, Mapping):
        raise DesignError(f"A Design is made of `field: value`, got {fields!r}.")
    try:
        return Design.model_validate(dict(fields))
    except ValidationError as error:
        messages = error_messages(
            error, Design, fields, shorthand={"": keywords}, option="a design option"
        )
        raise DesignError("\n".join(messages)) from None


def build(
    paper: Mapping[str, Any], small: Mapping[str, Any], size: Size, changes: Mapping[str, Any]
) -> Design:
    """Return the Design of a preset.

    Raises:
        ValueError: a size that is neither `paper` nor `small`.
        DesignError: changes that a Design refuses.
    """
    if size not in ("paper", "small"):
        raise ValueError(f"size must be 'paper' or 'small', got {size!r}.")
    base = paper if size == "paper" else merge(paper, small)
    return make_design(merge(base, changes), ("size",))

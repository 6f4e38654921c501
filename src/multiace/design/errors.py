"""`DesignError`, and what is wrong with options in our words instead of pydantic's."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Shorthand = Mapping[str, Sequence[str]]
"""Dotted group ("" for the whole) -> keys that it takes besides its fields."""


class DesignError(ValueError):
    """A Design without meaning: says the field, its value, the rule and the way out."""


def error_messages(
    error: ValidationError,
    model: type[BaseModel],
    content: Mapping[str, Any],
    *,
    places: Mapping[str, str] | None = None,
    shorthand: Shorthand | None = None,
    option: str = "an option",
) -> list[str]:
    """Say what is wrong with options: one message for each key, with the nearest one there is.

    Args:
        error: what pydantic found.
        model: the model that refused the content.
        content: the nested mappings that were refused.
        places: where each dotted key was written.
        shorthand: keys that groups take besides their fields.
        option: what a key is called.

    Example:
        >>> class Config(BaseModel, extra="forbid"):
        ...     epochs: int = 1
        >>> try:
        ...     Config.model_validate({"epoch": 3})
        ... except ValidationError as error:
        ...     error_messages(error, Config, {"epoch": 3})
        ["'epoch' is not an option. Did you mean 'epochs'?"]
    """
    known = set(option_keys(model, shorthand=shorthand))
    by_key: dict[str, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        by_key.setdefault(_key_of(details["loc"], content, known), []).append(details)
    meant = {
        _nearest(key, known)
        for key, details in by_key.items()
        if details[0]["type"] == "extra_forbidden"
    }
    messages = []
    for key, details in by_key.items():
        if details[0]["type"] == "missing" and key in meant:
            continue
        if {detail["type"] for detail in details} == {"extra_forbidden"}:
            close = _nearest(key, known)
            text = f"'{key}' is not {option}." + (f" Did you mean '{close}'?" if close else "")
        else:
            text = _message(key, details, model)
        place = (places or {}).get(key)
        messages.append(text + (f" ({place})" if place else ""))
    return list(dict.fromkeys(messages))


def option_keys(
    model: type[BaseModel], prefix: str = "", *, shorthand: Shorthand | None = None
) -> Iterator[str]:
    """Yield the dotted key of each option of a model.

    Example:
        >>> from multiace.design import Design
        >>> "radial.number" in set(option_keys(Design))
        True
    """
    shorthand = shorthand or {}
    yield from (prefix + extra for extra in shorthand.get(prefix.removesuffix("."), ()))
    for name, field in model.model_fields.items():
        yield prefix + name
        group = _group_of(field.annotation)
        if group is not None:
            yield from option_keys(group, f"{prefix}{name}.", shorthand=shorthand)


def _key_of(loc: tuple[int | str, ...], content: Mapping[str, Any], known: set[str]) -> str:
    """Return the dotted key of an error, without pydantic's names of the branches of a union."""
    names: list[str] = []
    value: Any = content
    for part in loc:
        key = ".".join([*names, str(part)])
        inside = isinstance(value, Mapping) and (part in value or str(part) in value)
        if not (inside or key in known):
            continue
        names.append(str(part))
        value = value.get(part) if isinstance(value, Mapping) else None
    return ".".join(names)


def _message(key: str, details: Sequence[ErrorDetails], model: type[BaseModel]) -> str:
    first = details[0]
    if {detail["type"] for detail in details} == {"missing"}:
        return f"'{key}' is missing: {_description(key, model)}"
    if first["type"] == "value_error":
        text = str(first.get("ctx", {}).get("error", first["msg"]))
        return f"{key}: {text}" if key and not text.startswith(key) else text
    rules = dict.fromkeys(_rule(detail) for detail in details if detail["type"] != "missing")
    description = _description(key, model)
    return f"{key} must be {' or '.join(rules)}, got {first['input']!r}. {description}"


def _rule(details: ErrorDetails) -> str:
    text = details["msg"]
    for start in ("Input should be ", "Value error, "):
        text = text.removeprefix(start)
    text = text.replace("String should match pattern", "text of the form")
    text = re.sub(", unable to parse string as an? (number|integer)", "", text)
    return text.replace("a valid integer", "an integer").replace("a valid ", "a ")


def _nearest(key: str, known: set[str]) -> str | None:
    """Return the option most like a key: beside it first, then one of that name elsewhere."""
    group, _, name = key.rpartition(".")
    beside = {k.rpartition(".")[2]: k for k in known if k.rpartition(".")[0] == group}
    close = difflib.get_close_matches(name, list(beside), n=1, cutoff=0.6)
    if close:
        return beside[close[0]]
    elsewhere = sorted((k for k in known if k.rpartition(".")[2] == name), key=len)
    if elsewhere:
        return elsewhere[0]
    close = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.7)
    return close[0] if close else None


def _group_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a field, looking through `Model | None`."""
    candidates = (annotation, *get_args(annotation))
    for candidate in candidates:
        if (
            isinstance(candidate, type)
            and issubclass(candidate, BaseModel)
            and not candidate.__pydantic_generic_metadata__["origin"]
        ):
            return candidate
    return None


def _description(key: str, model: type[BaseModel]) -> str:
    """Return what a field says of itself."""
    group: type[BaseModel] | None = model
    text = ""
    for name in key.split("."):
        field = group.model_fields.get(name) if group is not None else None
        if field is None:
            return text
        text = field.description or ""
        group = _group_of(field.annotation)
    return text
